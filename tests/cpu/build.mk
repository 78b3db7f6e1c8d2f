# SPDX-License-Identifier: Apache-2.0
# Our decoder against others.
cpu-tests-$(CONFIG_ZYDIS) += decode_oracle
cpu/decode_oracle-objs := tests/cpu/decode_zydis.o tests/cpu/decode_bytes.o
cpu/decode_oracle-libs := $(ZYDIS_LIBS)
cpu-tests-y += decode_objdump
cpu/decode_objdump-objs := tests/cpu/decode_bytes.o
# The interpreter against the host's processor: single instructions of every
# row, and whole programs.
oracle-objs := $(addprefix tests/cpu/,compare.o flat.o native.o native_entry.o \
	trial_encode.o trial_state.o)
cpu-tests-y += oracle fuzz_prog
cpu/oracle-objs := $(oracle-objs)
cpu/fuzz_prog-objs := $(oracle-objs) tests/cpu/program.o
# System behaviour, in tiny guests.
system-tests := system_real system_prot system_long system_smp system_rows \
	system_fpu
system-tests += $(system-tests:%=%_jit)
cpu-tests-y += $(system-tests)
$(foreach t,$(system-tests),$(eval cpu/$(t)-objs := tests/cpu/guest.o))
cpu-tests-$(CONFIG_JIT) += jit_check jit_flags
cpu/jit_check-objs := tests/cpu/guest.o
cpu/jit_flags-objs := tests/cpu/guest.o
script-tests-$(CONFIG_JIT) += cpu/oracle_jit
$(B)/tests/cpu/oracle_jit.log $(B)/tests/cpu/host_long.log: \
	$(B)/tests/cpu/oracle $(B)/tests/cpu/fuzz_prog
long-tests-y += cpu/host_long
