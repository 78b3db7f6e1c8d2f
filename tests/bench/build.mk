# SPDX-License-Identifier: Apache-2.0
bench-y += interp
bench/interp-objs := tests/cpu/flat.o
