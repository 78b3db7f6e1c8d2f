# SPDX-License-Identifier: Apache-2.0
# Our decoder against others.
cpu-tests-$(CONFIG_ZYDIS) += decode_oracle
cpu/decode_oracle-objs := tests/cpu/decode_zydis.o tests/cpu/decode_bytes.o
cpu/decode_oracle-libs := $(ZYDIS_LIBS)
cpu-tests-y += decode_objdump
cpu/decode_objdump-objs := tests/cpu/decode_bytes.o
