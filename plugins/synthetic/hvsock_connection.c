/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of hvsock: a descriptor of the host on one side, a channel
 * on the other.
 *
 * Each direction ends by itself: a packet without data says so to the other
 * side of a channel, shutdown() to a program.  When both have ended, or the
 * program has closed its socket and the guest was told, the connection is
 * over and its channel is taken back, which ends it in the guest.  What is in
 * the ring is lost with the channel, and Linux does not hear of the end when
 * it is still busy with the beginning: that waits for two seconds and for the
 * guest to read.  A guest that has closed its socket closes the channel, at
 * once or after eight seconds.
 *
 * Nothing waits without bound: what one side does not take stops the other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hvsock.h"
#include "wire.h"

#define GREETING_NS 10000000000ull
#define OFFERED_NS  10000000000ull
#define ENDING_NS   2000000000ull
/* Of the packet that tells the guest of the end, which Linux leaves there. */
#define END_BYTES 32u
/* Packets to the guest at one call: other devices' lanes wait meanwhile. */
#define ROUNDS 16u

static void update_watch(struct hvsock_connection *c);

static uint64_t now(const struct hvsock *s)
{
    return s->timer->now(s->dev, BP_CLOCK_VIRTUAL);
}

void connection_wait(struct hvsock *s, uint64_t deadline)
{
    if (s->timer->deadline(s->patience) > deadline)
        s->timer->arm(s->patience, deadline);
}

/* --- the end --------------------------------------------------------------*/

static void drop_descriptor(struct hvsock_connection *c)
{
    if (c->watch)
        c->owner->watch->remove(c->watch);
    c->watch = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void drop_channel(struct hvsock_connection *c)
{
    if (c->channel)
        c->owner->bus->destroy(c->channel);
    c->channel = NULL;
}

void connection_free(struct hvsock_connection *c)
{
    struct hvsock *s = c->owner;
    uint32_t i = 0;

    drop_descriptor(c);
    drop_channel(c);
    while (s->connection[i] != c)
        i++;
    s->connection[i] = s->connection[--s->count];
    s->connection[s->count] = NULL;
    free(c);
}

/* A channel is not taken back inside of its own callback.  By number: the
 * connection may have gone with a reset. */
static void reap(void *ctx)
{
    struct hvsock *s = ctx;

    for (uint32_t i = s->count; i > 0; i--) {
        struct hvsock_connection *c = s->connection[i - 1];
        if (c->phase == DYING)
            connection_free(c);
        else if (c->phase == LINGERING)
            drop_channel(c);
    }
}

static void reap_soon(struct hvsock_connection *c)
{
    if (!c->reaping)
        c->owner->lane->post(c->owner->dev, reap, c->owner);
    c->reaping = 1;
}

void connection_end(struct hvsock_connection *c)
{
    if (c->phase == DYING)
        return;
    c->phase = DYING;
    drop_descriptor(c);
    c->reaping = 0;
    reap_soon(c);
}

int connection_is_absent(const struct hvsock_connection *c)
{
    return c->fd < 0 && (c->phase == JOINED || c->phase == LINGERING);
}

/* A guest that does not read stops its own, until the table is full. */
int connection_is_over(const struct hvsock_connection *c, uint64_t time)
{
    int32_t unread = 0;

    if (c->ending)
        unread = c->owner->bus->unread(c->channel);
    return c->deadline <= time && unread != -EAGAIN &&
           unread <= (int32_t)END_BYTES;
}

/* Its program has to hear that nothing is missing before it goes. */
static void look_for_end(struct hvsock_connection *c)
{
    if (connection_is_absent(c))
        return;
    if (c->phase == LINGERING && !c->out_bytes)
        connection_end(c);
    else if (c->phase == JOINED && c->end_sent && !c->out_bytes && !c->ending &&
             (c->guest_end || c->hung_up)) {
        c->ending = 1;
        c->deadline = now(c->owner) + ENDING_NS;
        connection_wait(c->owner, c->deadline);
    }
}

/* --- to the guest ---------------------------------------------------------*/

/* False: the ring has no room now. */
static int send_packet(struct hvsock_connection *c, uint32_t bytes)
{
    pipe_head(c->in, bytes);
    return wire_send(c->owner->bus, c->channel, c->in, 8 + bytes) != -EAGAIN;
}

static void push(struct hvsock_connection *c)
{
    if (c->in_bytes) {
        if (!send_packet(c, c->in_bytes))
            return;
        c->consumed += c->in_bytes;
        c->in_bytes = 0;
    }
    if (c->program_end && !c->end_sent)
        c->end_sent = (uint8_t)send_packet(c, 0);
}

static void read_program(struct hvsock_connection *c)
{
    if (c->fd < 0)
        return;
    for (unsigned i = 0; i < ROUNDS && !c->in_bytes && !c->program_end; i++) {
        ssize_t n = recv(c->fd, c->in + 8, HVSOCK_READ, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0)
            c->in_bytes = (uint32_t)n;
        else
            c->program_end = 1;
        push(c);
    }
}

/* --- to the program -------------------------------------------------------*/

/* What it takes of the data; -1: it is not there any more. */
static int64_t give(struct hvsock_connection *c, const uint8_t *data,
                    uint32_t bytes)
{
    ssize_t n;

    if (c->fd < 0)
        return 0;
    n = send(c->fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
        c->given += (uint64_t)n;
        return n;
    }
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static void end_to_program(const struct hvsock_connection *c)
{
    if (c->fd >= 0)
        shutdown(c->fd, SHUT_WR);
}

/* What the guest says is lost; what the program has said is not. */
static void lose_program(struct hvsock_connection *c)
{
    c->hung_up = 1;
    c->out_bytes = 0;
    look_for_end(c);
}

static void flush_out(struct hvsock_connection *c)
{
    while (c->out_bytes) {
        int64_t n = give(c, c->out + c->out_at, c->out_bytes);
        if (n < 0) {
            lose_program(c);
            break;
        }
        if (!n)
            return;
        c->out_at += (uint32_t)n;
        c->out_bytes -= (uint32_t)n;
    }
    c->out_at = 0;
    if (c->guest_end)
        end_to_program(c);
    if (c->phase == JOINED)
        c->owner->bus->resume(c->channel);
}

/* Behind what waits already; there is room for a packet when none does. */
static void put_out(struct hvsock_connection *c, const uint8_t *data,
                    uint32_t bytes)
{
    memcpy(c->out + c->out_at + c->out_bytes, data, bytes);
    c->out_bytes += bytes;
}

static int32_t guest_data(struct hvsock_connection *c, const uint8_t *data,
                          uint32_t bytes)
{
    int64_t n;

    if (c->out_bytes)
        return -EAGAIN;
    n = give(c, data, bytes);
    if (n < 0) {
        lose_program(c);
    } else if (n < bytes) {
        put_out(c, data + n, bytes - (uint32_t)n);
        c->owner->bus->pause(c->channel);
        update_watch(c);
    }
    return 0;
}

static void guest_ends(struct hvsock_connection *c)
{
    c->guest_end = 1;
    if (!c->out_bytes)
        end_to_program(c);
    look_for_end(c);
}

/* --- the program's side ---------------------------------------------------*/

/* A watch that was hung up tells so at once, each time. */
static void update_watch(struct hvsock_connection *c)
{
    uint32_t events = 0;

    if (c->phase == DYING || !c->watch)
        return;
    if (c->phase == GREETING ||
        (c->phase == JOINED && !c->program_end && !c->in_bytes))
        events |= BP_WATCH_READ;
    if (c->out_bytes)
        events |= BP_WATCH_WRITE;
    if (events || !c->hung_up)
        c->owner->watch->set(c->watch, events);
}

/* "PORT", or "PORT KEEP"; 0: it is neither. */
static uint32_t parse_port(const char *text, uint8_t *kept)
{
    unsigned long port;
    char *end;

    if (*text < '0' || *text > '9')
        return 0;
    port = strtoul(text, &end, 10);
    *kept = strcmp(end, " KEEP") == 0;
    return (*end && !*kept) || port > 0xfffffffeul ? 0 : (uint32_t)port;
}

static void ask_guest(struct hvsock_connection *c, const char *text)
{
    struct hvsock *s = c->owner;

    c->port = parse_port(text, &c->kept);
    c->by_host = c->untold = 1;
    /* A port of the host that no connection of the guest can have. */
    s->st.last_port = (s->st.last_port + 1) & 0x7fffffffu;
    if (!c->port || connection_offer(c, s->st.last_port | 0x80000000u))
        connection_end(c);
}

static void wait_for_guest(struct hvsock_connection *c, const char *text)
{
    char line[32];

    c->port = parse_port(text, &c->kept);
    c->untold = 1;
    c->phase = LISTENING;
    snprintf(line, sizeof(line), "LISTENING %u\n", c->port);
    if (!c->port || !connection_say(c->fd, line))
        connection_end(c);
}

static void greet(struct hvsock_connection *c)
{
    static const struct {
        const char *verb;
        void (*fn)(struct hvsock_connection *c, const char *text);
    } verbs[] = { { "CONNECT ", ask_guest },
                  { "LISTEN ", wait_for_guest },
                  { "RESUME ", hvsock_resume } };

    if (c->line_bytes && c->line[c->line_bytes - 1] == '\r')
        c->line[c->line_bytes - 1] = 0;
    for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        size_t n = strlen(verbs[i].verb);
        if (strncmp(c->line, verbs[i].verb, n) == 0) {
            verbs[i].fn(c, c->line + n);
            return;
        }
    }
    connection_end(c);
}

/* Byte by byte: what follows the line is the guest's. */
static void read_greeting(struct hvsock_connection *c)
{
    for (;;) {
        char letter;
        ssize_t n = recv(c->fd, &letter, 1, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || c->line_bytes == HVSOCK_LINE - 1) {
            connection_end(c);
            return;
        }
        if (letter == '\n') {
            greet(c);
            return;
        }
        c->line[c->line_bytes++] = letter;
    }
}

static void program_ready(void *ctx, uint32_t ready)
{
    struct hvsock_connection *c = ctx;

    if (ready & BP_WATCH_HANGUP)
        c->hung_up = 1;
    if (c->phase == GREETING) {
        read_greeting(c);
    } else if (c->phase <= OFFERED && c->hung_up) {
        connection_end(c);
    } else if (c->phase >= JOINED && c->phase != DYING) {
        if (c->out_bytes)
            flush_out(c);
        if (c->phase == JOINED)
            read_program(c);
        look_for_end(c);
    }
    update_watch(c);
}

/* --- the channel ----------------------------------------------------------*/

/* Only from here on something can be sent. */
static void begin(void *ctx)
{
    struct hvsock *s = ctx;

    for (uint32_t i = s->count; i > 0; i--) {
        struct hvsock_connection *c = s->connection[i - 1];
        if (c->phase != JOINED || !c->untold)
            continue;
        c->untold = 0;
        if (c->out_bytes)
            flush_out(c);
    }
}

/* The line does not count as given. */
static void put_ok(struct hvsock_connection *c)
{
    char token[2 + HVSOCK_TOKEN] = "";

    if (c->kept) {
        c->token = hvsock_new_token(c->owner);
        token[0] = ' ';
        hvsock_print_token(c->token, token + 1);
    }
    c->out_bytes = (uint32_t)snprintf((char *)c->out, sizeof(c->out),
                                      "OK %u%s\n", c->port, token);
    c->given = 0 - (uint64_t)c->out_bytes;
}

static int32_t connection_opened(void *ctx, const struct bp_vmbus_open *open)
{
    struct hvsock_connection *c = ctx;

    (void)open;
    if (c->phase != OFFERED)
        return -EINVAL;
    c->phase = JOINED;
    if (c->untold) {
        put_ok(c);
        c->owner->lane->post(c->owner->dev, begin, c->owner);
    }
    update_watch(c);
    return 0;
}

static void connection_closing(void *ctx)
{
    struct hvsock_connection *c = ctx;

    c->owner->bus->close_done(c->channel);
    if (c->phase == JOINED && (c->out_bytes || connection_is_absent(c))) {
        c->phase = LINGERING;
        c->guest_end = 1;
        c->ending = 0;
        reap_soon(c);
        update_watch(c);
    } else {
        connection_end(c);
    }
}

static int32_t connection_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct hvsock_connection *c = ctx;
    const uint8_t *data;
    uint32_t bytes;

    if (c->phase != JOINED)
        return 0;
    if (pipe_message(p, &data, &bytes) || bytes > HVSOCK_MOST || c->guest_end)
        return -EINVAL;
    if (bytes)
        return guest_data(c, data, bytes);
    guest_ends(c);
    return 0;
}

static void connection_writable(void *ctx)
{
    struct hvsock_connection *c = ctx;

    if (c->phase != JOINED)
        return;
    push(c);
    if (!c->in_bytes)
        read_program(c);
    look_for_end(c);
    update_watch(c);
}

static const struct bp_vmbus_channel_ops connection_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = connection_opened,
    .closing = connection_closing,
    .packet = connection_packet,
    .writable = connection_writable,
};

/* --- the beginning --------------------------------------------------------*/

static int32_t create_channel(struct hvsock_connection *c)
{
    struct hvsock *s = c->owner;
    struct bp_vmbus_offer offer = {
        .size = sizeof offer,
        .flags = BP_VMBUS_ENUMERATE | BP_VMBUS_PIPE | BP_VMBUS_HVSOCK,
        .type = hvsock_guid(c->port),
        .instance = hvsock_guid(c->endpoint),
    };

    /* A pipe of bytes (0), and whose wish it was */
    offer.user[4] = c->by_host;
    c->channel = s->bus->create(s->vmbus, s->dev, &offer, &connection_ops, c);
    return c->channel ? 0 : -EEXIST;
}

int32_t connection_offer(struct hvsock_connection *c, uint32_t endpoint)
{
    int32_t error;

    c->endpoint = endpoint;
    error = create_channel(c);
    if (error)
        return error;
    c->phase = OFFERED;
    c->deadline = now(c->owner) + OFFERED_NS;
    connection_wait(c->owner, c->deadline);
    return 0;
}

/* The one goes that the guest has had the longest time for. */
static void make_room(struct hvsock *s)
{
    struct hvsock_connection *first = NULL;

    for (uint32_t i = 0; i < s->count; i++) {
        struct hvsock_connection *c = s->connection[i];
        if (c->ending && (!first || c->deadline < first->deadline))
            first = c;
    }
    if (first)
        connection_free(first);
}

static struct hvsock_connection *add_connection(struct hvsock *s)
{
    struct hvsock_connection *c;

    if (s->count == HVSOCK_CONNECTIONS)
        make_room(s);
    c = s->count < HVSOCK_CONNECTIONS ? calloc(1, sizeof(*c)) : NULL;
    if (!c)
        return NULL;
    c->owner = s;
    c->fd = -1;
    s->connection[s->count++] = c;
    return c;
}

struct hvsock_connection *connection_new(struct hvsock *s, int fd,
                                         uint8_t phase)
{
    struct hvsock_connection *c = add_connection(s);

    if (!c) {
        close(fd);
        return NULL;
    }
    c->fd = fd;
    c->phase = phase;
    c->deadline = now(s) + GREETING_NS;
    c->watch = s->watch->add(s->dev, fd, program_ready, c);
    if (!c->watch) {
        connection_free(c);
        return NULL;
    }
    connection_wait(s, c->deadline);
    update_watch(c);
    return c;
}

/* --- a connection of a loaded machine -------------------------------------*/

struct hvsock_connection *connection_restored(struct hvsock *s,
                                              const struct hvsock_saved *from,
                                              const uint8_t *out)
{
    struct hvsock_connection *c = add_connection(s);

    if (!c)
        return NULL;
    c->phase = from->phase;
    c->by_host = from->by_host;
    c->kept = 1;
    c->token.process = from->process;
    c->token.serial = from->serial;
    c->port = from->port;
    c->endpoint = from->endpoint;
    c->given = from->given;
    c->consumed = from->consumed;
    c->program_end = from->program_end;
    c->guest_end = from->guest_end;
    c->end_sent = from->end_sent;
    put_out(c, out, from->out_bytes);
    if (c->phase == JOINED && create_channel(c)) {
        connection_free(c);
        return NULL;
    }
    return c;
}

int connection_say(int fd, const char *line)
{
    size_t bytes = strlen(line);

    return send(fd, line, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes;
}

void connection_come_back(struct hvsock_connection *c,
                          struct hvsock_connection *visitor)
{
    struct hvsock *s = c->owner;
    char token[HVSOCK_TOKEN + 1], line[96];

    s->watch->remove(visitor->watch);
    visitor->watch = NULL;
    c->fd = visitor->fd;
    visitor->fd = -1;
    connection_end(visitor);
    c->watch = s->watch->add(s->dev, c->fd, program_ready, c);
    c->token = hvsock_new_token(s);
    hvsock_print_token(c->token, token);
    snprintf(line, sizeof(line), "OK %u %llu %s\n", c->port,
             (unsigned long long)c->consumed, token);
    if (!c->watch || !connection_say(c->fd, line)) {
        connection_end(c);
        return;
    }
    flush_out(c);
    look_for_end(c);
    update_watch(c);
}
