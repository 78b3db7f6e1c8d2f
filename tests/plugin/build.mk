# SPDX-License-Identifier: Apache-2.0
script-tests-y += plugin/example plugin/refused plugin/bad_input
