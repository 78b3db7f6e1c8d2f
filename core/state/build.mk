# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/state/,board.o field.o machine.o stream.o)
