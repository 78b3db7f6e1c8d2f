# SPDX-License-Identifier: Apache-2.0
testlib-y += tests/lib/vmbus_guest.o tests/lib/saved_section.o
