# SPDX-License-Identifier: Apache-2.0
# firmware-y += x builds the option ROM x.bin from firmware/bios/x.S: 16-bit
# code, linked at offset 0, padded to 512-byte blocks and given its checksum.
FIRMWARE_CFLAGS = -m32 -march=i386 -ffreestanding -fno-pic -nostdinc \
	-I$(S)/firmware/bios -Wa,--noexecstack

$(B)/firmware/bios/%.o: $(S)/firmware/bios/%.S $(B)/.flags
	@mkdir -p $(@D)
	$(call say,AS16)$(CC) $(FIRMWARE_CFLAGS) $(DEPFLAGS) -c -o $@ $<
$(B)/firmware/bios/%.raw: $(B)/firmware/bios/%.o $(S)/firmware/bios/rom.ld
	$(call say,LD16)$(LD) -m elf_i386 -T $(S)/firmware/bios/rom.ld \
		--oformat binary -o $@ $<
$(B)/firmware/%.bin: $(B)/firmware/bios/%.raw $(B)/tools/seal-rom
	$(call say,ROM)$(B)/tools/seal-rom $< $@

firmware-objs = $(firmware-y:%=$(B)/firmware/bios/%.o)
