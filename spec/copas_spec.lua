-- SPDX-License-Identifier: MIT
require 'spec.support.adapter'('copas', 'copas')
