# SPDX-License-Identifier: Apache-2.0
bench-y += interp guest
bench/interp-objs := tests/cpu/flat.o
