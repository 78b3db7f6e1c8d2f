/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87, MMX and vector registers over what happens between instructions:
 * faults, CR0.TS, images, unmasked exceptions; the last instruction.
 */
#include <string.h>

#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

#define PI_MANTISSA 0xc90fdaa22168c235u
#define CW          (GUEST_DATA + 0x100)
#define ABSENT      0x90000u /* not mapped */

static struct guest *start(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create(1, NULL);

    guest_long(g);
    g->st->cr0 |= CR0_NE | CR0_MP;
    guest_write64(g, GUEST_PT + (ABSENT >> 12) * 8, 0);
    guest_settle(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    return g;
}

static unsigned top(const struct guest *g)
{
    return g->st->x87.sw >> 11 & 7;
}

static uint64_t mantissa(const struct guest *g, unsigned i)
{
    uint64_t v;

    memcpy(&v, g->st->x87.st[(top(g) + i) & 7], 8);
    return v;
}

GUEST_CODE(across_fault, 64,
           "fldpi; fld1; paddd %xmm1,%xmm0; fadd %st(1); mov 0x90000,%eax");
TEST(registers_outlive_a_fault)
{
    struct guest *g = start(GUEST_BYTES(across_fault));

    memset(g->st->ymm[1], 1, 16);
    guest_expect(g, EXC_PF);
    CHECK_EQ(top(g), 6);
    CHECK_EQ(g->st->x87.tag, 0xc0);
    CHECK_EQ(mantissa(g, 1), PI_MANTISSA);
    CHECK_EQ(g->st->ymm[0][7], 1);
    guest_destroy(g);
}

GUEST_CODE(operand_fault, 64, "fldpi; fld1; faddl 0x90000; fldz");
TEST(an_operand_that_faults_changes_nothing)
{
    struct guest *g = start(GUEST_BYTES(operand_fault));

    guest_expect(g, EXC_PF);
    CHECK_EQ(g->st->cr2, ABSENT);
    CHECK_EQ(g->st->x87.tag, 0xc0);
    CHECK_EQ(mantissa(g, 0), 1ull << 63);
    CHECK_EQ(g->st->x87.ip, GUEST_CODE_AT + 2); /* that of FLD1 */
    guest_destroy(g);
}

GUEST_CODE(task_switched, 64,
           "fldpi; movd %eax,%xmm2; mov %cr0,%rax; or $8,%eax; mov %rax,%cr0;"
           "mov $1,%ebx; fld1; hlt");
GUEST_CODE(task_switched_sse, 64,
           "fldpi; movd %eax,%xmm2; mov %cr0,%rax; or $8,%eax; mov %rax,%cr0;"
           "mov $1,%ebx; paddd %xmm2,%xmm2; hlt");
TEST(cr0_ts_stops_the_next_instruction)
{
    struct guest *g = start(GUEST_BYTES(task_switched));

    guest_expect(g, EXC_NM);
    CHECK_EQ(g->st->gpr[RBX], 1);
    CHECK_EQ(g->st->x87.tag, 0x80);
    CHECK_EQ(mantissa(g, 0), PI_MANTISSA);
    guest_destroy(g);
    g = start(GUEST_BYTES(task_switched_sse));
    guest_expect(g, EXC_NM);
    CHECK_EQ(g->st->gpr[RBX], 1);
    guest_destroy(g);
}

/* As kernels do that change FPU contexts late */
GUEST_CODE(switched, 64,
           "fninit; fxsave64 0x20200; fldpi; mov %cr0,%rax; or $8,%eax;"
           "mov %rax,%cr0; clts; fxsave64 0x20000; fxrstor64 0x20200;"
           "fldz; fld1; fstp %st(0); fxsave64 0x20400; fxrstor64 0x20000;"
           "fldl2e; hlt");
TEST(contexts_change)
{
    struct guest *g = start(GUEST_BYTES(switched));

    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->ram[0x20004], 0x80);
    CHECK_EQ(g->ram[0x20204], 0);
    CHECK_EQ(g->ram[0x20404], 0x80);
    CHECK_EQ(guest_read64(g, 0x20420), 0);
    CHECK_EQ(g->st->x87.tag, 0xc0);
    CHECK_EQ(mantissa(g, 1), PI_MANTISSA);
    guest_destroy(g);
}

GUEST_CODE(last, 64,
           "fldpi; fldz; jmp 1f; nop; 1: nop; jmp 2f; 2: fnstenv 0x20000;"
           "fld1; nop; fnstenv 0x20040; fnstcw 0x20080; fnstenv 0x200c0; hlt");
TEST(fnstenv_tells_the_last_instruction)
{
    struct guest *g = start(GUEST_BYTES(last));

    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(guest_read32(g, 0x2000c), GUEST_CODE_AT + 2);
    CHECK_EQ(guest_read32(g, 0x20010), 0x01ee0000 | SEL_CODE0);
    CHECK_EQ(guest_read32(g, 0x2004c), GUEST_CODE_AT + 17);
    CHECK_EQ(guest_read32(g, 0x20050), 0x01e80000 | SEL_CODE0);
    CHECK_EQ(guest_read32(g, 0x200cc), GUEST_CODE_AT + 17);
    guest_destroy(g);
}

GUEST_CODE(mmx, 64,
           "fldpi; movq %mm3,%mm1; movq %rax,%mm2; paddb %mm2,%mm2;"
           "mov 0x90000,%eax");
TEST(mmx_registers_are_x87_registers)
{
    struct guest *g = start(GUEST_BYTES(mmx));

    g->st->gpr[RAX] = 0x0102030405060708;
    guest_expect(g, EXC_PF);
    CHECK_EQ(top(g), 0);
    CHECK_EQ(g->st->x87.tag, 0xff);
    CHECK_EQ(mantissa(g, 2), 0x020406080a0c0e10);
    CHECK_EQ(g->st->x87.st[2][9], 0xff);
    guest_destroy(g);
}

/* Division by zero is unmasked; the next waiting instruction reports it. */
GUEST_CODE(x87_error, 64,
           "fldcw 0x20100; fld1; fldz; fdivrp; mov $1,%ebx; fnstsw %ax;"
           "mov $2,%ebx; fldpi; hlt");
GUEST_CODE(fwait_error, 64,
           "fldcw 0x20100; fld1; fldz; fdivrp; mov $2,%ebx; fwait; hlt");
GUEST_CODE(emms_error, 64,
           "fldcw 0x20100; fld1; fldz; fdivrp; mov $2,%ebx; emms; hlt");
TEST(an_unmasked_x87_exception_comes_with_the_next_instruction)
{
    struct {
        const uint8_t *code;
        size_t n;
    } rows[] = { { GUEST_BYTES(x87_error) },
                 { GUEST_BYTES(fwait_error) },
                 { GUEST_BYTES(emms_error) } };

    for (unsigned k = 0; k < 3; k++) {
        struct guest *g = start(rows[k].code, rows[k].n);

        guest_write32(g, CW, 0x37b);
        guest_expect(g, EXC_MF);
        CHECK_EQ(g->st->gpr[RBX], 2);
        CHECK_EQ(g->st->x87.sw & 0x8084, 0x8084);
        CHECK_EQ(g->st->x87.tag, 0xc0); /* nothing was popped */
        CHECK_EQ(g->st->x87.ip, GUEST_CODE_AT + 11);
        CHECK_EQ(g->st->x87.opcode, 0x6f9);
        guest_destroy(g);
    }
}

/* FXRSTOR brings another last instruction than the one before it. */
GUEST_CODE(restored, 64,
           "fldpi; fld1; fdivp; fxsave64 0x20200; movq $0x1234,0x20208;"
           "fxrstor64 0x20200; fldcw 0x20100; fldz; hlt");
TEST(a_restored_exception_is_that_of_the_image)
{
    struct guest *g = start(GUEST_BYTES(restored));

    guest_write32(g, CW, 0x35f); /* all but the inexact result */
    guest_expect(g, EXC_MF);
    CHECK_EQ(g->st->x87.ip, 0x1234);
    guest_destroy(g);
}

GUEST_CODE(sse_error, 64,
           "ldmxcsr 0x20100; mov $1,%ebx; addsd %xmm1,%xmm2;"
           "divsd %xmm3,%xmm1; mov $2,%ebx; hlt");
TEST(an_unmasked_sse_exception_is_xm)
{
    struct guest *g = start(GUEST_BYTES(sse_error));
    const double one = 1;

    g->st->cr4 |= CR4_OSXMMEXCPT;
    guest_settle(g);
    memcpy(g->st->ymm[1], &one, 8);
    guest_write32(g, CW, 0x1d80); /* all but division by zero */
    guest_expect(g, EXC_XM);
    CHECK_EQ(g->st->gpr[RBX], 1);
    CHECK_EQ(g->st->mxcsr, 0x1d84);
    CHECK(!memcmp(g->st->ymm[1], &one, 8));
    CHECK(!memcmp(g->st->ymm[2], &one, 8));
    guest_destroy(g);
}

/* Loaded so that the last byte of ADDSD is in the next page. */
GUEST_CODE(crossing, 64,
           "1: addsd %xmm1,%xmm2; fld1; faddp; dec %ecx; jnz 1b; hlt");
TEST(an_instruction_in_two_pages_follows_its_second)
{
    struct guest *g = start(GUEST_BYTES(crossing));
    const uint8_t moved = 0xd3; /* addsd xmm2, xmm3 */
    const double one = 1, two = 2, eight = 8, twelve = 12;
    double sum = 0;

    memcpy(g->st->ymm[1], &one, 8);
    memcpy(g->st->ymm[3], &two, 8);
    guest_load(g, GUEST_CODE_AT + 0x1000 - 3, GUEST_BYTES(crossing));
    g->st->rip = GUEST_CODE_AT + 0x1000 - 3;
    g->st->gpr[RCX] = 8;
    CHECK_EQ(guest_run(g, 1000), ACCEL_HALTED);
    memcpy(&sum, g->st->ymm[2], 8);
    CHECK_EQ(sum, eight);
    /* the byte in the second page, changed by somebody else */
    map_dma_write(g->vm.map, GUEST_CODE_AT + 0x1000, &moved, 1);
    g->st->rip = GUEST_CODE_AT + 0x1000 - 3;
    g->st->gpr[RCX] = 2;
    g->st->activity = X86_RUNNING;
    guest_settle(g);
    CHECK_EQ(guest_run(g, 1000), ACCEL_HALTED);
    memcpy(&sum, g->st->ymm[2], 8);
    CHECK_EQ(sum, twelve);
    guest_destroy(g);
}
