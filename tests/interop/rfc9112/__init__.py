# SPDX-License-Identifier: MIT
"""What RFC 9112 asks of a server, rule by rule; see docs/conformance.md. tests/interop/conformance.py runs it."""
