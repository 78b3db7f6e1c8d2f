# SPDX-License-Identifier: Apache-2.0
unit-tests-y += harness
unit-tests-y += map dirty pio wire pci isa_dma clock lane log
unit-tests-y += decode gen_x86
unit-tests-y += block_raw char_socket
