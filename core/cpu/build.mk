# SPDX-License-Identifier: Apache-2.0

# --- the instruction table and what is made of it
gen-x86-defs := $(wildcard $(S)/core/cpu/x86*.def)
gen-x86-srcs := $(wildcard $(S)/tools/gen-x86*.c)
gen-x86-out := $(addprefix $(B)/core/cpu/gen/,rows.c decode_tables.c \
	handlers.c handlers.h vec.S)

$(B)/tools/gen-x86: $(gen-x86-srcs) $(S)/tools/gen-x86.h \
		$(S)/core/cpu/table.h $(B)/.flags
	@mkdir -p $(@D)
	$(call say,HOSTCC)$(HOST_CC) $(HOST_CFLAGS) -o $@ $(gen-x86-srcs)
$(gen-x86-out) &: $(B)/tools/gen-x86 $(gen-x86-defs) \
		$(wildcard $(S)/core/cpu/features.h)
	@mkdir -p $(B)/core/cpu/gen
	$(call say,GEN)$(B)/tools/gen-x86 $(S)/core/cpu/x86.def \
		$(S)/core/cpu/features.h $(B)/core/cpu/gen

generated-y += core/cpu/gen/handlers.h
core-y += core/cpu/gen/rows.o core/cpu/gen/decode_tables.o
core-y += core/cpu/gen/handlers.o core/cpu/gen/vec.o
core-y += core/cpu/decode.o core/cpu/disasm.o

# --- processor state, execution environment, system instructions
core-y += $(addprefix core/cpu/,access.o cpuid.o except.o far.o features.o \
	iret.o mmu.o mode.o msr.o segment.o sync.o task.o tlb.o tsc.o)
core-y += $(addprefix core/cpu/interp/,blocks.o engine.o run.o sys_ctl.o \
	sys_desc.o sys_far.o sys_info.o sys_io.o sys_xsave.o)

# mmu_refill() leaves translated code's vector registers alone; a sanitizer's
# functions would not
$(B)/core/cpu/mmu.o: CFLAGS += -mgeneral-regs-only -fno-sanitize=all

# --- x87, MMX, SSE, AVX
core-y += $(addprefix core/cpu/interp/,vec.o vec_sse.o vec_avx.o vec_mmx.o \
	vec_move.o vec_vmove.o x87.o x87_fast.o)

# --- integer instructions
core-y += $(addprefix core/cpu/interp/,alu.o move.o shift.o bits.o muldiv.o \
	bcd.o branch.o string.o)

# --- translation to host code
core-$(CONFIG_JIT) += $(addprefix core/cpu/jit/,alu.o bits.o branch.o cache.o check.o \
	check_report.o emit.o fault.o legacy.o loop.o loop_plan.o mem.o runtime.o slot.o shadow.o stats.o \
	string.o system.o translate.o unit.o vector.o window.o x87.o)
ifneq ($(CONFIG_JIT),y)
core-y += core/cpu/jit/none.o
endif
