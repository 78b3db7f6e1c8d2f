# SPDX-License-Identifier: Apache-2.0
# Bare-metal guests, each of 32 and 64 bits, and the script that runs them.
hv-guests := multiboot parts synic hypercall stimer reftime fuzz saved reset speed startup apic
script-tests-y += hv/guests
long-tests-y += hv/guests_long

HV_CFLAGS := -std=gnu11 -O2 -Wall -Werror -ffreestanding -fno-pic -fno-pie \
	-fno-stack-protector -fcf-protection=none -fno-toplevel-reorder \
	-fno-asynchronous-unwind-tables -mgeneral-regs-only -mno-red-zone
hv-sources := $(addprefix $(S)/tests/hv/,start.S guest.c guest.h guest.ld)

define hv-guest
$(B)/tests/hv/%.$(1): $(S)/tests/hv/%.c $(hv-sources) $(S)/tests/hv/build.mk
	@mkdir -p $$(@D)
	$$(call say,GUEST)$(CC) -m$(1) $(HV_CFLAGS) -nostdlib -static -no-pie \
		-Wl,--build-id=none,--no-warn-rwx-segments,-T,$(S)/tests/hv/guest.ld -o $$@ \
		$(S)/tests/hv/start.S $(S)/tests/hv/guest.c $$<
endef
$(foreach bits,32 64,$(eval $(call hv-guest,$(bits))))

$(B)/tests/hv/guests.log $(B)/tests/hv/guests_long.log: \
	$(foreach bits,32 64,$(hv-guests:%=$(B)/tests/hv/%.$(bits)))
