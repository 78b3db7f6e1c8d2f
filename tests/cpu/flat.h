/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest like a process on this host: one processor in long mode at CPL 3,
 * flat segments with Linux's selectors, and the pages of native.h at the
 * same linear addresses, with copies of their contents.
 */
#ifndef TESTS_CPU_FLAT_H
#define TESTS_CPU_FLAT_H

#include "native.h"

struct vcpu;
struct x86_insn;

/* From now on flat_execute() runs translated code, all blocks that have been
 * interpreted `hot` times; false: this host does not allow it. */
bool flat_translate(struct vcpu *cpu, bool exact, unsigned hot);
/* How often a row's handler was called by translated code. */
uint64_t flat_fallbacks(const struct vcpu *cpu, unsigned row);

/* Forgets all translations of addresses. */
void flat_flush(struct vcpu *cpu);

/* Sets up the machine; aborts the test when it cannot. */
struct vcpu *flat_create(void);

/* The guest's copy of a page-aligned part of the window or of the code. */
uint8_t *flat_memory(uint64_t addr);

/* Decodes at NATIVE_INSN.  Returns what x86_decode() did. */
int flat_decode(struct vcpu *cpu, const uint8_t *insn, unsigned bits,
                struct x86_insn *i);

/*
 * Executes the decoded instruction with the registers in; leaves out as
 * native_run() does.
 */
void flat_run(struct vcpu *cpu, const struct x86_insn *i,
              const struct native_regs *in, unsigned bits,
              struct native_regs *out);

/*
 * Puts code at NATIVE_INSN and lets the run loop execute it, until it ends in
 * an exception; an INT3 is where it ended well, as for native_run().  False:
 * it did not end.
 */
bool flat_execute(struct vcpu *cpu, const uint8_t *code, unsigned len,
                  const struct native_regs *in, unsigned bits,
                  struct native_regs *out);

/* Instructions that the last one executed, if they are counted. */
uint64_t flat_executed(void);

/* Executes so many instructions of 64-bit code; returns how many it did. */
uint64_t flat_spin(struct vcpu *cpu, const uint8_t *code, unsigned len,
                   const struct native_regs *in, uint64_t budget);

#endif
