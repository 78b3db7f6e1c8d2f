/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chance against each device on VMBus: packets of all kinds, some of them
 * what a driver sends, changed a little; what the device sent, sent back; its
 * rings closed and opened again; saving and reset on the way.  The device
 * must live, and its channel must be served again after a contact.
 *
 * BP_FUZZ_DEVICE=ID takes one device.  A device whose drivers speak a
 * protocol of several steps has a row in `known`, so that chance begins
 * behind them.
 */
#include "tests/dev/vmbus_fuzz.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/device.h"
#include "plugin/load.h"
#include "tests/lib/saved_section.h"
#include "tests/lib/test.h"
#include "tests/lib/vmbus_guest.h"
#include "vm/bench.h"
#include "vm/bench_hv.h"
#include "vm/vm.h"

#define STEPS    300
#define CHANNELS 8
#define BUFFERS  3
#define PAGES    16 /* of a buffer */
#define PROGRAMS 4  /* of the host, with sockets */

/* --- what drivers send ---------------------------------------------------*/

struct words { /* an in-band packet that wants a completion */
    uint32_t bytes;
    uint32_t word[12];
};

/* GPADL 1 and 2 are there. */
static const struct words storvsp[] = {
    { 64, { 7, 1 } },
    { 64, { 9, 1, 0, 0x0602 } },
    { 64, { 10, 1 } },
    { 64, { 8, 1 } },
    { 64, { 13, 1, 0, 2 } },
    { 64, { 3, 1, 0, 0x34, 0x00060000, 0x00141201, 36, 0x00000012, 0x24 } },
    { 64, { 3, 1, 0, 0x34, 0x00060000, 0x00140a01, 512, 0x00000028, 0, 0x1 } },
    { 64, { 3, 1, 0, 0x34, 0x00060000, 0x00140a00, 512, 0x0000002a, 0, 0x1 } },
    { 64, { 3, 1, 0, 0x34, 0x00060000, 0x00141001, 64, 0x000000a0, 0, 64 } },
    { 64, { 3, 1, 0, 0x34, 0x00060000, 0x00141000, 24, 0x00000042, 24 << 8 } },
    { 64, { 3, 1, 0, 0x34, 0x00060000, 0x00140601, 64, 0x003f001a, 0x40 } },
    { 0, { 0 } },
};

static const struct words netvsp[] = {
    { 0x28, { 1, 0x60000, 0x60000 } }, { 0x28, { 125, 1514, 0, 8 } },
    { 0x28, { 100, 6, 30 } },          { 0x28, { 101, 1, 0xcafe } },
    { 0x28, { 104, 2, 0 } },           { 0x28, { 107, 1, UINT32_MAX, 0 } },
    { 0x28, { 107, 1, 0, 24 } },       { 0x28, { 107, 0, 0, 100 } },
    { 0x28, { 133, 1, 1 } },           { 0, { 0 } },
};

static const struct words synthvid[] = {
    { 20, { 1, 12, 1, 12, 5 << 16 | 3 } },
    { 28, { 1, 20, 13, 20, 0 } },
    { 36, { 1, 28, 3, 28, 0, 0, 1, 0xf8000000 } },
    { 48, { 1, 40, 5, 40, 0, 0, 0x000101, 0x20000000, 0x00040000, 0x0300 } },
    { 16, { 1, 12, 9, 12, 0x01010101 } },
    { 0, { 0 } },
};

static const struct words synthkbd[] = {
    { 8, { 1, 0x10000 } },
    { 8, { 4, 7 } },
    { 0, { 0 } },
};

static const struct words synthmouse[] = {
    { 20, { 1, 12, 0, 4, 0x20000 } },
    { 20, { 1, 12, 3, 4, 1 } },
    { 0, { 0 } },
};

static const struct words dynmem[] = {
    { 16, { 16 << 16 | 1, 1, 0x20000, 1 } },
    { 32, { 32 << 16 | 3, 2, 3, 0, 0, 0x10000 } },
    { 48, { 48 << 16 | 5, 3, 1000, 2000 } },
    { 0, { 0 } },
};

static const struct known {
    const char *id;
    const struct words *packets;
} known[] = {
    { "storvsp", storvsp },   { "netvsp", netvsp },
    { "synthvid", synthvid }, { "synthkbd", synthkbd },
    { "dynmem", dynmem },     { "synthmouse", synthmouse },
};

/* --- a round -------------------------------------------------------------*/

struct scene {
    struct fuzz f;
    const struct bp_device_desc *desc;
    struct bench *b;
    struct vmbus_guest *g;
    struct vg_channel *ch[CHANNELS];
    uint32_t channels;
    const struct words *packets;
    uint32_t packet_count;
    uint64_t buffer[BUFFERS]; /* gpa */
    /* What the device sent last */
    uint8_t last[512];
    uint32_t last_bytes;
    uint64_t last_transaction;
    /* Of the device of sockets; its threads are not the seed's */
    char path[100]; /* "": it is another */
    int program[PROGRAMS];
    bool over;      /* the device refused its state */
    char token[32]; /* of one that is kept */
};

static void add_setting(struct scene *s, GPtrArray *settings,
                        const struct bp_property *p, int *disks)
{
    if (p->type == BP_PROP_BLOCK) {
        if (*disks == 3)
            return;
        bench_add_drive(s->b, p->name, (*disks)++ % 2, 1 << 20, NULL);
    } else if (p->type == BP_PROP_CHAR) {
        bench_add_port(s->b, p->name);
    } else if (p->type == BP_PROP_NET) {
        bench_add_net(s->b, p->name, true);
    } else {
        return;
    }
    g_ptr_array_add(settings, g_strdup_printf("%s=%s", p->name, p->name));
}

static void add_device(struct scene *s)
{
    GPtrArray *settings = g_ptr_array_new_with_free_func(g_free);
    GError *error = NULL;
    int disks = 0;

    for (const struct bp_property *p = s->desc->properties; p && p->name; p++)
        add_setting(s, settings, p, &disks);
    s->path[0] = 0;
    if (g_str_equal(s->desc->id, "hvsock")) {
        g_snprintf(s->path, sizeof(s->path), "%s/v", test_tmp_dir());
        g_ptr_array_add(settings, g_strconcat("path=", s->path, NULL));
        bench_vm(s->b)->deterministic = false;
    }
    g_ptr_array_add(settings, NULL);
    if (!bench_try_add(s->b, s->desc, s->desc->id,
                       (const char *const *)settings->pdata, &error))
        FAIL("%s", error->message);
    g_ptr_array_free(settings, TRUE);
}

static void know(struct scene *s)
{
    s->packets = NULL;
    s->packet_count = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        if (!g_str_equal(known[i].id, s->desc->id))
            continue;
        s->packets = known[i].packets;
        while (s->packets[s->packet_count].bytes)
            s->packet_count++;
    }
}

static bool is_ours(const struct scene *s, const struct vg_channel *ch)
{
    for (uint32_t i = 0; i < s->channels; i++) {
        if (s->ch[i] == ch)
            return true;
    }
    return false;
}

/* GPADLs 1.. are some pages of the guest. */
static void make_buffers(struct scene *s, uint32_t relid)
{
    uint64_t words[PAGES + 1] = { PAGES * 4096 };

    for (uint32_t b = 0; b < BUFFERS; b++) {
        for (uint32_t i = 0; i < PAGES; i++)
            words[1 + i] = s->buffer[b] / 4096 + i;
        vg_try_gpadl(s->g, relid, b + 1, words, sizeof(words), 1);
    }
}

static bool is_open(const struct scene *s, uint32_t relid)
{
    for (uint32_t i = 0; i < s->channels; i++) {
        if (s->ch[i]->offer.relid == relid)
            return true;
    }
    return false;
}

/* All that is offered and closed. */
static void open_channels(struct scene *s)
{
    vg_poll(s->g);
    for (uint32_t i = 0; i < s->g->offers && s->channels < CHANNELS; i++) {
        const struct vmbus_offer o = s->g->offer[i];
        uint32_t status;

        if (vg_is_rescinded(s->g, o.relid) || is_open(s, o.relid))
            continue;
        struct vg_channel *ch =
            vg_try_open(s->g, &o, 3 + fuzz_below(&s->f, 6),
                        fuzz_below(&s->f, 2), NULL, &status);
        if (!ch)
            continue;
        s->ch[s->channels++] = ch;
        make_buffers(s, o.relid);
    }
}

static struct vg_channel *any_channel(struct scene *s)
{
    return s->channels ? s->ch[fuzz_below(&s->f, s->channels)] : NULL;
}

static void send_any(struct scene *s, struct vg_channel *ch, const void *data,
                     uint32_t bytes)
{
    uint64_t transaction =
        fuzz_one_in(&s->f, 3) ? s->last_transaction : fuzz_u32(&s->f);
    uint64_t pages[8];
    uint32_t n = 1 + fuzz_below(&s->f, 8);

    switch (fuzz_below(&s->f, 6)) {
    case 0:
    case 1:
        for (uint32_t i = 0; i < n; i++)
            pages[i] =
                fuzz_below(&s->f, fuzz_one_in(&s->f, 9) ? 0x8000 : 0x1000) *
                4096ull;
        vg_send_pages(ch, transaction, data, bytes, pages,
                      fuzz_one_in(&s->f, 2) ? 0 : fuzz_below(&s->f, 4096),
                      fuzz_one_in(&s->f, 2)
                          ? n * 4096 - 4096
                          : fuzz_below(&s->f, n * 4096 - 4095));
        break;
    case 2: vg_send_completion(ch, transaction, data, bytes); break;
    default:
        vg_send(ch, transaction, data, bytes, !fuzz_one_in(&s->f, 4));
        break;
    }
}

static void send_known(struct scene *s, struct vg_channel *ch)
{
    uint8_t data[512] = { 0 };
    const struct words *w;

    if (!s->packet_count)
        return;
    w = &s->packets[fuzz_below(&s->f, s->packet_count)];
    memcpy(data, w->word, sizeof(w->word));
    uint32_t bytes = w->bytes;
    if (!fuzz_one_in(&s->f, 3))
        fuzz_mutate(&s->f, data, bytes);
    if (fuzz_one_in(&s->f, 10))
        bytes = fuzz_below(&s->f, sizeof(data));
    send_any(s, ch, data, bytes);
}

static void send_wild(struct scene *s, struct vg_channel *ch)
{
    uint32_t word[128], n = 1 + fuzz_below(&s->f, 128);

    for (uint32_t i = 0; i < n; i++)
        word[i] = fuzz_value(&s->f);
    send_any(s, ch, word, n * 4 - fuzz_below(&s->f, 4));
}

static void send_back(struct scene *s, struct vg_channel *ch)
{
    uint8_t data[512];

    if (!s->last_bytes)
        return;
    memcpy(data, s->last, s->last_bytes);
    if (fuzz_one_in(&s->f, 2))
        fuzz_mutate(&s->f, data, s->last_bytes);
    send_any(s, ch, data, s->last_bytes);
}

static void receive(struct scene *s, struct vg_channel *ch)
{
    struct vg_packet p;

    for (uint32_t n = fuzz_below(&s->f, 20); n && vg_receive(ch, &p); n--) {
        s->last_bytes = MIN(p.bytes, (uint32_t)sizeof(s->last));
        memcpy(s->last, p.data, s->last_bytes);
        s->last_transaction = p.transaction;
        if (p.flags & BP_VMBUS_WANTS_COMPLETION && !fuzz_one_in(&s->f, 4))
            vg_send_completion(ch, p.transaction, s->last, 8);
    }
}

static void drop_channel(struct scene *s, uint32_t i)
{
    s->ch[i] = s->ch[--s->channels];
}

/* Closes one, by the rules. */
static void close_one(struct scene *s)
{
    uint32_t i = s->channels ? fuzz_below(&s->f, s->channels) : 0;

    if (!s->channels)
        return;
    struct vg_channel *ch = s->ch[i];
    struct vmbus_relid m = { ch->offer.relid };
    CHECK_EQ(vg_post(s->g, VMBUS_CLOSE, &m, sizeof(m)), 0);
    for (uint32_t b = 0; b < BUFFERS; b++) {
        if (!vg_try_teardown(s->g, m.relid, b + 1))
            bench_step(s->b, 1000000000);
        vg_take(s->g, VMBUS_GPADL_TORNDOWN, NULL, 0);
    }
    if (!vg_try_teardown(s->g, m.relid, ch->gpadl)) {
        bench_step(s->b, 1000000000);
        if (!vg_take(s->g, VMBUS_GPADL_TORNDOWN, NULL, 0))
            FAIL("a channel of %s does not close", s->desc->id);
    }
    if (vg_is_rescinded(s->g, m.relid))
        vg_release(s->g, m.relid);
    vg_forget(ch);
    drop_channel(s, i);
}

static void buffer_bytes(struct scene *s)
{
    uint64_t gpa =
        s->buffer[fuzz_below(&s->f, BUFFERS)] + fuzz_below(&s->f, 16) * 6144ull;
    uint32_t word[16];

    for (unsigned i = 0; i < G_N_ELEMENTS(word); i++)
        word[i] = fuzz_value(&s->f);
    memcpy(vg_ram(s->g, gpa), word, sizeof(word));
}

static void again(struct scene *s)
{
    while (s->channels) {
        vg_forget(s->ch[0]);
        drop_channel(s, 0);
    }
    vg_post(s->g, VMBUS_UNLOAD, NULL, 0);
    bench_step(s->b, 1000000000);
    CHECK(vg_contact(s->g, VG_5_3, 0));
    vg_request_offers(s->g);
    open_channels(s);
}

/* --- programs of the host ------------------------------------------------*/

static int program_new(struct scene *s)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    char line[80];
    size_t n;

    if (s->token[0] && fuzz_one_in(&s->f, 2))
        g_snprintf(line, sizeof(line), "RESUME %s %u\n", s->token,
                   fuzz_below(&s->f, 3));
    else
        g_snprintf(line, sizeof(line), "%s%s\n",
                   fuzz_one_in(&s->f, 3) ? "LISTEN 77" : "CONNECT 77",
                   fuzz_one_in(&s->f, 2) ? " KEEP" : "");
    n = strlen(line);
    g_strlcpy(a.sun_path, s->path, sizeof(a.sun_path));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        send(fd, line, n, MSG_NOSIGNAL) != (ssize_t)n) {
        close(fd);
        return 0;
    }
    return fd;
}

static void program_acts(struct scene *s)
{
    uint32_t i = fuzz_below(&s->f, PROGRAMS);
    uint8_t data[3000];
    int *fd = &s->program[i];

    if (!*fd) {
        *fd = program_new(s);
    } else if (fuzz_one_in(&s->f, 8)) {
        close(*fd);
        *fd = 0;
    } else if (fuzz_one_in(&s->f, 2)) {
        fuzz_bytes(&s->f, data, sizeof(data));
        if (send(*fd, data, fuzz_below(&s->f, sizeof(data)) + 1, MSG_NOSIGNAL) <
            0)
            shutdown(*fd, SHUT_WR);
    } else {
        ssize_t n = read(*fd, data, sizeof(data) - 1);
        data[n > 0 ? n : 0] = 0;
        sscanf((char *)data, "OK 77 %24[0-9a-f]", s->token);
        if (n == 0) {
            close(*fd);
            *fd = 0;
        }
    }
    usleep(100);
    bench_run(s->b);
}

static void programs_end(struct scene *s)
{
    for (unsigned i = 0; i < PROGRAMS; i++) {
        if (s->program[i])
            close(s->program[i]);
        s->program[i] = 0;
    }
}

static void connect_host(struct scene *s)
{
    struct vmbus_tl_connect m = { .service = { { 77, 0, 0, 0, 0xcb, 0xfa, 0xe6,
                                                 0x11, 0xbd, 0x58, 0x64, 0x00,
                                                 0x6a, 0x79, 0x86, 0xd3 } } };

    m.endpoint = m.service;
    fuzz_bytes(&s->f, &m.endpoint, fuzz_one_in(&s->f, 4) ? 16 : 4);
    vg_post(s->g, VMBUS_TL_CONNECT, &m, sizeof(m));
    usleep(100);
}

/* What is saved of the device is changed.  If it takes that, it lives on; else
 * it is a machine that was never started. */
static void strange_state(struct scene *s)
{
    size_t bytes;
    uint8_t *data = bench_save(s->b, &bytes);
    struct saved_section section = saved_section_of(data, bytes, s->desc->id);

    if (section.length)
        fuzz_mutate(&s->f, section.content, section.length);
    saved_section_seal(&section);
    s->over = !bench_try_load_anew(s->b, data, bytes, NULL);
    g_free(data);
}

static void step(struct scene *s)
{
    struct vg_channel *ch = any_channel(s);

    if (s->path[0] && fuzz_one_in(&s->f, 3)) {
        program_acts(s);
        return;
    }
    if (fuzz_one_in(&s->f, 50))
        connect_host(s);
    if (!ch) {
        open_channels(s);
        return;
    }
    switch (fuzz_below(&s->f, 32)) {
    case 0: open_channels(s); break;
    case 1: bench_step(s->b, fuzz_below(&s->f, 3000000)); break;
    case 2:
        if (fuzz_one_in(&s->f, 4))
            close_one(s);
        break;
    case 3:
        if (fuzz_one_in(&s->f, 8))
            bench_save_load(s->b);
        else if (fuzz_one_in(&s->f, 8))
            strange_state(s);
        break;
    case 4:
        if (fuzz_one_in(&s->f, 8))
            again(s);
        break;
    case 5:
    case 6: buffer_bytes(s); break;
    case 7:
    case 8:
    case 9:
    case 10: receive(s, ch); break;
    case 11:
    case 12:
    case 13: send_wild(s, ch); break;
    case 14:
    case 15:
    case 16: send_back(s, ch); break;
    default: send_known(s, ch); break;
    }
}

/* The first packets as a driver sends them, and the device's answers. */
static void shake_hands(struct scene *s)
{
    struct vg_packet p;

    if (!s->channels)
        return;
    for (uint32_t i = 0; i < s->packet_count; i++) {
        uint8_t data[64] = { 0 };

        memcpy(data, s->packets[i].word, sizeof(s->packets[i].word));
        vg_send(s->ch[0], i, data, s->packets[i].bytes, true);
        bench_step(s->b, 1000000);
        while (vg_receive(s->ch[0], &p))
            ;
    }
}

/* False: it offers nothing. */
static bool run(struct scene *s)
{
    bool offers;

    test_note("BP_FUZZ_DEVICE=%s BP_FUZZ_SEED=%u", s->desc->id, s->f.seed);
    s->b = vg_bench(2);
    add_device(s);
    s->g = vg_connect(s->b, VG_5_3);
    offers = s->g->offers > 0 || s->path[0];
    for (unsigned i = 0; i < BUFFERS; i++)
        s->buffer[i] = vg_pages(s->g, PAGES + 8, NULL);
    s->channels = s->last_bytes = 0;
    know(s);
    open_channels(s);
    if (!fuzz_one_in(&s->f, 4))
        shake_hands(s);
    s->over = false;
    for (int i = 0; offers && i < STEPS && !s->over; i++) {
        step(s);
        s->g->queued = 0;
        if (s->g->next_page > BENCH_RAM - (1u << 20))
            break;
    }
    programs_end(s);
    if (!s->over) {
        CHECK(!s->channels || is_ours(s, s->ch[0]));
        again(s);
        CHECK(s->channels > 0 || !offers || s->path[0]);
    }
    vg_end(s->g);
    bench_destroy(s->b);
    return offers;
}

/* --- all devices ---------------------------------------------------------*/

static GPtrArray *ids;

static void collect(const struct device_type *type, void *opaque)
{
    const char *only = g_getenv("BP_FUZZ_DEVICE");

    if (type->shadowed || g_str_equal(type->desc.id, "vmbus") ||
        !strstr(type->plugin->path, "/synthetic/"))
        return;
    if (!only || g_str_equal(type->desc.id, only))
        g_ptr_array_add(ids, g_strdup(type->desc.id));
}

static struct plugins *plugins_of_bench(void)
{
    static struct bench *b;

    if (!b)
        b = bench_empty();
    return bench_vm(b)->plugins;
}

TEST(devices)
{
    struct scene s = { .b = NULL };
    double seconds = 0.7;

    ids = g_ptr_array_new();
    plugins_foreach(plugins_of_bench(), collect, NULL);
    CHECK(ids->len > 0);
    for (guint i = 0; i < ids->len; i++) {
        s.desc = plugins_find(plugins_of_bench(), ids->pdata[i]);
        fuzz_begin(&s.f, seconds);
        while (fuzz_round(&s.f) && run(&s))
            ;
    }
}
