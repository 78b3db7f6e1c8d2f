# SPDX-License-Identifier: Apache-2.0
core-y += core/mem/map.o core/mem/memory.o core/mem/access.o
