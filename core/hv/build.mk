# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/hv/,hv.o hypercall.o msr.o ports.o synic.o)
