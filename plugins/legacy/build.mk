# SPDX-License-Identifier: Apache-2.0
# One plugin a chip.
plugins-y += legacy/i8254 legacy/i8259 legacy/i8237 legacy/mc146818 \
	legacy/ioapic legacy/ns16550
