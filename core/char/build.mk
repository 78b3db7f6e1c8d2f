# SPDX-License-Identifier: Apache-2.0
core-y += core/char/port.o
