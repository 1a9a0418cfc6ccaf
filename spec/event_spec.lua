-- SPDX-License-Identifier: MIT
require 'spec.support.adapter'('event', 'luaevent.core')
