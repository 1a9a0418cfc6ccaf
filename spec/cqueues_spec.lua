-- SPDX-License-Identifier: MIT
require 'spec.support.adapter'('cqueues', 'cqueues')
