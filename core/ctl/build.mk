# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/ctl/,commands.o describe.o socket.o typing.o)
