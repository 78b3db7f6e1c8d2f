# SPDX-License-Identifier: Apache-2.0
core-y += core/input/input.o core/input/keys.o
