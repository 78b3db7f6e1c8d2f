# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/net/,frame.o merge.o open.o options.o port.o pump.o \
	segment.o socket.o tap.o user_check.o)
ifeq ($(CONFIG_SLIRP),y)
core-y += core/net/user.o
else
core-y += core/net/user_absent.o
endif
