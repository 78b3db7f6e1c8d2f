# SPDX-License-Identifier: Apache-2.0
bench-y += interp guest boot smp storage
bench-y += net
bench/interp-objs := tests/cpu/flat.o
bench-y += vmbus_ring
bench/vmbus_ring-objs := tests/dev/vmbus_echo.o
bench-y += hv
bench bench-hv: $(B)/tests/hv/speed.64
