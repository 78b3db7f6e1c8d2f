# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/vm/,board.o error.o firmware.o request.o)
