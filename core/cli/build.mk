# SPDX-License-Identifier: Apache-2.0
core-y += core/main.o
core-y += $(addprefix core/cli/,ctl.o ctl_device.o ctl_hvsock.o \
	ctl_link.o ctl_print.o devtest.o plugins.o run.o)
