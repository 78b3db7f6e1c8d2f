# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/vm/,bench.o bench_media.o bench_state.o board.o \
	error.o firmware.o request.o)
