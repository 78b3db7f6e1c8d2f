# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/display/,png.o screen.o)
