-- SPDX-License-Identifier: MIT
require 'spec.support.adapter'('luv', 'luv')
