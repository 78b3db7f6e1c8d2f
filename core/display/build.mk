# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/display/,console.o console_client.o console_proto.o \
	console_vm.o png.o region.o screen.o)
