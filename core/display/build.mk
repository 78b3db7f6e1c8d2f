# SPDX-License-Identifier: Apache-2.0
core-y += core/display/screen.o
