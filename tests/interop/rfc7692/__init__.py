# SPDX-License-Identifier: MIT
"""What RFC 7692 asks of a server, rule by rule; see docs/conformance.md. tests/interop/conformance.py runs it."""
