# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/char/,escape.o file.o open.o port.o socket.o \
	stdio.o stream.o terminal.o)
