# SPDX-License-Identifier: Apache-2.0
script-tests-y += build/configure build/install
long-tests-y += build/no_jit
