# SPDX-License-Identifier: Apache-2.0
bench-y += interp guest boot smp
bench/interp-objs := tests/cpu/flat.o
