/* SPDX-License-Identifier: Apache-2.0 */
/* Before a file of tests in tiny guests: all their guests run translated. */
#ifndef TESTS_CPU_GUEST_JIT_H
#define TESTS_CPU_GUEST_JIT_H

#include "tests/cpu/guest.h"

#define guest_create         guest_create_jit
#define guest_create_threads guest_create_threads_jit

#endif
