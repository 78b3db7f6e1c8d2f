# SPDX-License-Identifier: Apache-2.0
# The harness, and the tests that belong to no single folder of the sources.
# Each folder below adds its own in its build.mk.
testlib-y += tests/lib/main.o tests/lib/test.o tests/lib/packets.o
