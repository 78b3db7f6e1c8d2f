/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of hvsock that outlive the process: what is saved of them, and
 * how their programs find them again.  hvsock.c describes the protocol.
 *
 * Only what the guest has in its ring counts as consumed, and only what the
 * program's socket took as given: between save and the end of the process
 * nothing moves, so a program that has read its socket to the end has exactly
 * what was given.  A program whose count differs belongs to another course of
 * events, as when an older state is restored, and is turned away.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hvsock.h"

/* --- tokens ---------------------------------------------------------------*/

struct hvsock_token hvsock_new_token(struct hvsock *s)
{
    struct hvsock_token *last = &s->last_token;

    if (!last->process && getrandom(&last->process, sizeof(last->process), 0) !=
                              (ssize_t)sizeof(last->process))
        last->process = (uint64_t)(uintptr_t)s; /* before the kernel has any */
    last->serial++;
    return *last;
}

void hvsock_print_token(struct hvsock_token token, char *text)
{
    snprintf(text, HVSOCK_TOKEN + 1, "%016llx%08x",
             (unsigned long long)token.process, token.serial);
}

static int parse_hex(const char *text, unsigned digits, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < digits; i++) {
        const char *all = "0123456789abcdef";
        const char *digit = text[i] ? strchr(all, text[i]) : NULL;
        if (!digit)
            return 0;
        *value = *value << 4 | (uint64_t)(digit - all);
    }
    return 1;
}

/* The rest of the line */
static int parse_count(const char *text, uint64_t *value)
{
    size_t n = strspn(text, "0123456789");

    if (!n || n > 19 || text[n])
        return 0;
    *value = strtoull(text, NULL, 10);
    return 1;
}

/* --- a program comes back -------------------------------------------------*/

static struct hvsock_connection *find(const struct hvsock *s,
                                      struct hvsock_token token)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct hvsock_connection *c = s->connection[i];
        if (connection_is_absent(c) && c->token.process == token.process &&
            c->token.serial == token.serial)
            return c;
    }
    return NULL;
}

static void turn_away(struct hvsock_connection *visitor, const char *why)
{
    (void)connection_say(visitor->fd, why);
    connection_end(visitor);
}

void hvsock_resume(struct hvsock_connection *visitor, const char *text)
{
    struct hvsock *s = visitor->owner;
    struct hvsock_connection *c;
    struct hvsock_token token;
    uint64_t serial, received;

    if (!parse_hex(text, 16, &token.process) ||
        !parse_hex(text + 16, 8, &serial) || text[HVSOCK_TOKEN] != ' ' ||
        !parse_count(text + HVSOCK_TOKEN + 1, &received)) {
        connection_end(visitor);
        return;
    }
    token.serial = (uint32_t)serial;
    c = find(s, token);
    if (c && c->given == received)
        connection_come_back(c, visitor);
    else if (!c && token.process == s->last_token.process)
        turn_away(visitor, "ENDED\n");
    else
        turn_away(visitor, "UNKNOWN\n");
}

/* --- save and load --------------------------------------------------------*/

const struct bp_field hvsock_saved_fields[] = {
    BP_FIELD(struct hvsock_saved, process, "process"),
    BP_FIELD(struct hvsock_saved, serial, "serial"),
    BP_FIELD(struct hvsock_saved, given, "given"),
    BP_FIELD(struct hvsock_saved, consumed, "consumed"),
    BP_FIELD(struct hvsock_saved, port, "port"),
    BP_FIELD(struct hvsock_saved, endpoint, "endpoint"),
    BP_FIELD(struct hvsock_saved, out_bytes, "out_bytes"),
    BP_FIELD(struct hvsock_saved, phase, "phase"),
    BP_FIELD(struct hvsock_saved, by_host, "by_host"),
    BP_FIELD(struct hvsock_saved, program_end, "program_end"),
    BP_FIELD(struct hvsock_saved, guest_end, "guest_end"),
    BP_FIELD(struct hvsock_saved, end_sent, "end_sent"),
    BP_FIELD_END,
};

/* untold: the program does not know its token yet. */
static int is_kept(const struct hvsock_connection *c)
{
    return c->kept && !c->untold &&
           (c->phase == JOINED || c->phase == LINGERING);
}

static void clear_tables(struct hvsock *s, size_t out_bytes)
{
    memset(s->st.connection, 0, sizeof(s->st.connection));
    memset(s->st.out, 0, out_bytes);
}

void hvsock_save(void *self)
{
    struct hvsock *s = self;
    struct hvsock_saved *to = s->st.connection;
    size_t at = 0;

    clear_tables(s, sizeof(s->st.out));
    for (uint32_t i = 0; i < s->count; i++) {
        const struct hvsock_connection *c = s->connection[i];
        if (!is_kept(c))
            continue;
        *to++ = (struct hvsock_saved){
            .process = c->token.process,
            .serial = c->token.serial,
            .given = c->given,
            .consumed = c->consumed,
            .port = c->port,
            .endpoint = c->endpoint,
            .out_bytes = c->out_bytes,
            .phase = c->phase,
            .by_host = c->by_host,
            .program_end = c->program_end,
            .guest_end = c->guest_end,
            .end_sent = c->end_sent,
        };
        memcpy(s->st.out + at, c->out + c->out_at, c->out_bytes);
        at += c->out_bytes;
    }
}

static int makes_sense(const struct hvsock_saved *c)
{
    return (c->phase == JOINED || c->phase == LINGERING) && c->port &&
           c->out_bytes <= HVSOCK_MOST && c->by_host <= 1 &&
           c->program_end <= 1 && c->guest_end <= 1 && c->end_sent <= 1 &&
           c->program_end >= c->end_sent;
}

/* An older state has empty tables. */
int32_t hvsock_loaded(void *self, uint32_t version)
{
    struct hvsock *s = self;
    size_t at = 0;

    (void)version;
    while (s->count)
        connection_free(s->connection[s->count - 1]);
    for (uint32_t i = 0; i < HVSOCK_CONNECTIONS && s->st.connection[i].phase;
         i++) {
        const struct hvsock_saved *from = &s->st.connection[i];
        if (!makes_sense(from))
            return s->host->fail(s->dev, -EINVAL,
                                 "its saved connection makes no sense");
        if (!connection_restored(s, from, s->st.out + at))
            return s->host->fail(s->dev, -EINVAL,
                                 "a saved connection finds no channel");
        at += from->out_bytes;
    }
    clear_tables(s, at);
    return 0;
}
