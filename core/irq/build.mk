# SPDX-License-Identifier: Apache-2.0
core-y += core/irq/lapic.o
