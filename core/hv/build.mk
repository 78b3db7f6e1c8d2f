# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/hv/,crash.o hv.o hypercall.o hypercall_vp.o \
	msr.o ports.o reftime.o stimer.o synic.o)
