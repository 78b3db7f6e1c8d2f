# SPDX-License-Identifier: Apache-2.0
core-y += core/main.o
core-y += $(addprefix core/cli/,ctl.o devtest.o plugins.o run.o)
