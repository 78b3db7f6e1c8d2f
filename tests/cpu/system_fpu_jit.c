/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cpu/guest_jit.h"
#include "tests/cpu/system_fpu.c"
