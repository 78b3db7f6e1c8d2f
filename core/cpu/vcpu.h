/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual processor: the architectural state, what every engine needs
 * around it, and the software engine's caches.
 *
 * Threads: everything belongs to the vCPU's own thread, except the members
 * marked [any], which are changed by atomic operations.
 */
#ifndef CPU_VCPU_H
#define CPU_VCPU_H

#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/features.h"
#include "cpu/state.h"
#include "mem/map.h"

struct vm;
struct vcpu_group;
struct lapic;
struct block;
struct block_cache;
struct jit;
struct x86_insn;
struct vcpu;

/*
 * Software TLB.  One entry serves one 4 KiB page; `tag` is the linear page
 * address and `host` where the page is.  (linear ^ tag) is the offset inside
 * the page exactly when the entry matches, so one comparison with
 * PAGE_BYTES - size checks the match and that the access stays in the page.
 * An entry that needs care at each access (device, ROM, code, tracked pages)
 * has TLB_SLOW flipped in its tag: a bit of the index, so that no address
 * that leads to this entry can match it inline, while the slow path finds it
 * without a page walk.  Empty entries differ in another bit of the index.
 */
#define TLB_BITS       10
#define TLB_ENTRIES    (1u << TLB_BITS)
#define TLB_SLOW       ((uint64_t)PAGE_BYTES)
#define TLB_EMPTY(n)   ((uint64_t)((n) ^ 2) << PAGE_SHIFT)
#define TLB_INDEX(lin) ((lin) >> PAGE_SHIFT & (TLB_ENTRIES - 1))

struct tlb_entry {
    uint64_t tag;
    uint8_t *host;
};

/* What the slow path knows of an entry. */
struct tlb_info {
    uint64_t phys;      /* guest-physical address of the page */
    struct memory *mem; /* NULL: device or hole */
    uint64_t mem_page;
    uint8_t kind; /* enum tlb_kind */
    bool global;
    uint8_t shift; /* of the page in the guest's tables */
};

enum tlb_kind { TLB_RAM, TLB_ROM, TLB_IO, TLB_APIC };
enum tlb_access { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC, ACCESS_COUNT };
/* Which rights an access has; SUPER_AC: supervisor that may touch user
 * pages (SMAP off, or EFLAGS.AC set). */
enum tlb_mode { TLB_USER, TLB_SUPER, TLB_SUPER_AC, TLB_MODES };

struct tlb {
    struct tlb_entry e[ACCESS_COUNT][TLB_ENTRIES];
    struct tlb_info info[ACCESS_COUNT][TLB_ENTRIES];
    uint64_t live[ACCESS_COUNT][TLB_ENTRIES / 64]; /* entries in use */
};

/*
 * Pages in which code was looked up since a generation began: chains, jump
 * caches and links made in it rely on their translations and no others.  May
 * say yes for more of them.
 */
struct code_pages {
    uint32_t gen;
    uint64_t first, last;             /* page numbers, first > last: none */
    uint64_t large_first, large_last; /* covered by large pages */
    uint64_t bits[64];                /* by the low bits of the number */
};

/* The TLBs of one address space; several are kept while PCIDs are on. */
#define TLB_SPACES 8
struct tlb_space {
    struct tlb *mode[TLB_MODES];
    struct code_pages user; /* code of CPL 3 */
    uint16_t pcid;
    bool valid;
    uint64_t last_used;
    uint64_t large_base, large_mask; /* covers all large pages entered */
};
/* Makes the entry of `lin` in the current space; raises #PF. */
typedef void tlb_fill_fn(struct vcpu *cpu, uint64_t lin, enum tlb_access access,
                         enum tlb_mode mode);

/*
 * A segment as the inline paths need it.  An access of n bytes at `off` is
 * allowed when off + n <= read_end (write_end); everything that needs a
 * closer look has 0 there and goes through the slow path.
 */
struct seg_fast {
    uint64_t base;
    uint64_t read_end, write_end;
    uint64_t unused;
};

/* Recent results of map_find(), by guest-physical page. */
#define PHYS_CACHE 256
struct phys_entry {
    uint64_t page; /* page address | 1, 0: empty */
    struct map_hit hit;
};

/* Stretches of memory that were found so, the pages first to last */
#define PHYS_RANGES 4
struct phys_range {
    uint64_t first, last;
    struct map_hit hit; /* of the first; no mem: empty */
};

/* vcpu.requests [any] */
#define REQ_KICK      0x0001 /* leave run() */
#define REQ_TLB       0x0002 /* drop all translations */
#define REQ_BLOCKS    0x0004 /* drop all decoded blocks */
#define REQ_INTR      0x0008 /* the local APIC or PIC may have something */
#define REQ_NMI       0x0010
#define REQ_SMI       0x0020
#define REQ_INIT      0x0040
#define REQ_SIPI      0x0080
#define REQ_A20       0x0100
#define REQ_SLOW      0x0200 /* own: TF, shadows, breakpoints: one step */
#define REQ_LATE_CODE 0x0400 /* own: look again at late_code */
#define REQ_CODE      0x1000 /* code that has been translated was written */
#define REQ_NMI_AGAIN 0x2000 /* with REQ_NMI: two of them */
#define REQ_TIMER     0x0800 /* own: APIC timer changed (deterministic) */

/* vcpu.deny: why a floating-point or vector instruction cannot run now */
#define DENY_X87 0x1
#define DENY_MMX 0x2
#define DENY_SSE 0x4
#define DENY_AVX 0x8
/* The x87 registers are in the host's unit: x87_from_host() first. */
#define DENY_AWAY 0x10

/*
 * Mode bits: everything besides bytes and physical address that a decoded
 * block depends on.  The low three are the mode_bits of x86_decode().
 */
#define MODE_CODE16 0x00
#define MODE_CODE32 0x01 /* CS.D */
#define MODE_CODE64 0x02 /* CS.L in long mode */
#define MODE_CODE   0x03
#define MODE_REAL   0x04 /* real or virtual-8086 mode */
#define MODE_USER   0x08 /* CPL 3; blocks of user and kernel differ */
/* for the translator: */
#define MODE_FLAT  0x10 /* CS DS ES SS: base 0, 4 GiB, all allowed */
#define MODE_SP32  0x20 /* SS.B outside 64-bit code */
#define MODE_NOJIT 0x40 /* alignment checks, data breakpoints */
#define MODE_LIMIT 0x80 /* CS ends before rip would wrap */

/* DR6 */
#define DB_HIT    0x000fu
#define DB_ACCESS 0x2000u /* debug register with DR7.GD set */
#define DB_STEP   0x4000u
#define DB_TASK   0x8000u

struct late_code { /* a store that may hit code is under way */
    struct memory *mem;
    uint64_t page;
    uint64_t lines; /* one bit for each 64 bytes */
};

struct jump_entry {
    uint64_t lin;
    uint64_t key;
    struct block *block;
};
#define JUMP_BITS 12

/* The same for translated code, for one key: host code by the target's low
 * bits.  An empty entry has those of another one. */
struct jit_jump {
    uint64_t lin;
    const uint8_t *code;
};
#define JIT_JUMP_BITS 13

/*
 * Pages that translated code had last, see jit/window.c: the first half is
 * for kernel code, the second for user code; even numbers are for reads, odd
 * ones for writes.  A slot outlives its TLB entry but no flush.
 */
#define SLOTS       16384
#define SLOT_EMPTY  (1ull << 63) /* not canonical */
#define SLOTS_AC    16
#define SLOT_MISSES 1024u

/*
 * vcpu.vec_live: which guest registers are in the host's and may be used by
 * translated code.  The vector registers are there only while it runs; those
 * of the x87 unit stay while C code does, see interp/x87.h.
 */
#define VEC_LIVE_SSE 0x1
#define VEC_LIVE_AVX 0x2
#define VEC_LIVE_XMM (VEC_LIVE_SSE | VEC_LIVE_AVX)
#define VEC_LIVE_X87 0x4 /* and MMX; DENY_AWAY is set */

/*
 * The guest's time-stamp counter, without its offset, is `guest` plus what the
 * host's counted since `host`, times mult / 2^32, if that is not more than
 * `window`.  The rate is measured from `host0`, `guest0` on.
 */
struct tsc_anchor {
    uint64_t host, guest, mult;
    uint64_t window; /* 0: not measured yet */
    uint64_t host0, guest0;
    bool steady; /* the host's counter has one rate; time is real */
};

struct vcpu {
    struct x86_state st; /* first: engines address it from the vcpu */

    /* --- hot part of the software engine -------------------------------- */
    struct seg_fast fast[SEG_COUNT];
    struct tlb *tlb;       /* of the current space and mode */
    struct tlb *tlb_ac[2]; /* the same at CPL 0, by EFLAGS.AC */
    uint64_t rip_mask;     /* of the current code size */
    uint64_t key;          /* generation of the code << 32 | mode bits */
    uint32_t requests;     /* [any] REQ_* */
    uint32_t in_guest;     /* [any] see guest_enter() in sync.h */
    uint32_t flush_asked, flush_done; /* [any] tickets of REQ_TLB */
    uint8_t cpl;
    uint8_t deny;
    uint8_t mode;        /* MODE_* */
    uint8_t sp_size;     /* 2, 4, 8: width of the stack pointer */
    bool long_mode;      /* EFER.LMA */
    bool code64;         /* and CS.L */
    uint64_t insns;      /* executed so far */
    uint64_t insn_limit; /* run() returns when insns reaches it */

    struct tsc_anchor tsc; /* [vcpu thread] for RDTSC in translated code */

    struct jit *jit;            /* NULL: no translation */
    bool failed;                /* run() ends with ACCEL_ERROR */
    uint64_t jit_tmp;           /* an emitter's third scratch register */
    uint64_t jit_budget;        /* iterations of a loop without checks ... */
    uint64_t jit_limit;         /* ... and what its counter is then */
    struct jit_jump *jit_jumps; /* of the current key */
    uint64_t jit_base;   /* host RSP at jit_execute(), see runtime.c ... */
    uint64_t jit_floor;  /* ... and how far down calls may bring it */
    uint32_t jit_flags;  /* guest flags, packed (interp/flags.h) */
    uint32_t host_mxcsr; /* of the emulator's own code */
    uint8_t vec_live;    /* VEC_LIVE_* */

    struct block *cur;   /* the block that runs, or NULL */
    uint64_t cur_rip;    /* rip at its start */
    unsigned cur_count;  /* instructions of it that are to run */
    uint64_t stale_rip;  /* where to go on after a voided block */
    uint64_t code_end;   /* limit of CS + 1, or all ones */
    uint64_t insn_start; /* insns when run() was entered */

    sigjmp_buf jump;    /* back to the run loop */
    uint8_t exc_vector; /* what cpu_raise() left */
    bool exc_has_error;
    uint32_t exc_error;
    bool exc_rip_set; /* fault address is exc_rip, not cur's */
    uint64_t exc_rip;
    bool fetching;   /* a fault now is one of the fetch at rip */
    bool delivering; /* nested: an event is being delivered */
    uint8_t deliver_vector;

    struct tlb_space space[TLB_SPACES];
    struct tlb_space *cur_space;
    tlb_fill_fn *fill; /* instead of the page tables, or NULL */
    void *fill_opaque;
    uint32_t gen_counter;
    struct code_pages kernel; /* code of other levels, in every space */
    bool kernel_local;        /* ... and some of it is not global */
    bool upper_local; /* entries of upper addresses that are not, since all
                       * were dropped */
    uint64_t space_clock;
    struct phys_entry (*phys)[PHYS_CACHE]; /* [0] read, [1] write */
    struct phys_range ranges[2][PHYS_RANGES];
    unsigned range_next;
    struct jump_entry *jumps; /* 1 << JUMP_BITS, by linear address */
    struct block_cache *blocks;
    struct memory *cold_mem; /* page that was written, all data, ... */
    uint64_t cold_page;
    unsigned cold_stores; /* ... so many times in a row */
    struct late_code late[2];
    unsigned late_count;
    bool bp_enabled;     /* DR7 enables something */
    bool bp_data;        /* ... that data accesses can hit */
    bool intr_waiting;   /* an interrupt waits for IF or TPR */
    uint32_t db_pending; /* DB_* of a trap after this instruction */
    bool no_step;        /* this instruction is not traced */
    uint8_t bus_locked;

    /* --- identity and surroundings --------------------------------------- */
    struct vm *vm;
    unsigned index;
    const struct x86_model *model;
    struct lapic *lapic;
    void *accel_data;   /* of an engine that is not this one */
    uint64_t phys_mask; /* valid guest-physical address bits */

    /* --- thread (core/sched/vcpu.c) -------------------------------------- */
    struct vcpu_group *group;
    pthread_t thread;
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    uint32_t is_asleep; /* [any] waits for requests */
    uint64_t random;    /* RDRAND in deterministic mode */

    /* --- counters [read by any] ------------------------------------------ */
    uint64_t n_blocks_decoded, n_tlb_fills, n_tlb_flushes, n_exceptions;
    uint64_t n_interrupts, n_mmio, n_pio, n_code_hits, n_halts;
    uint32_t ud_reports;
    uint32_t msr_reports;
    uint32_t msr_reported[32];
    char ud_reported[16][49];

    uint64_t slot_tag[SLOTS];       /* linear page, or SLOT_EMPTY */
    uint64_t slot_addend[SLOTS];    /* host page - linear page */
    uint64_t slot_used[SLOTS / 64]; /* filled since CR3 was written, or ... */
    uint64_t slot_kept[SLOTS / 64]; /* ... before that; others are empty */
    uint32_t slot_misses[SLOTS], slot_since[SLOTS]; /* see jit/slot.c */
    uint32_t slot_tired; /* has missed SLOT_MISSES times; 0: none */
    /* filled with the rights that EFLAGS.AC gives the kernel for a while */
    uint32_t slot_ac[SLOTS_AC];
    uint32_t slots_ac; /* so many, if they are not more than SLOTS_AC */
    bool tlb_is_ac;    /* these are the rights now */
    bool tlb_smap;     /* CR4.SMAP */
    uint64_t n_slot_misses, n_slot_fills;
};

#endif
