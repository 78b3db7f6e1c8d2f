/* SPDX-License-Identifier: Apache-2.0 */
/* The console socket as a client sees it, well-behaved or not. */
#include "tests/lib/test.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "display/console_proto.h"
#include "lib/unix_socket.h"
#include "sched/lane.h"
#include "tests/unit/console_machine.h"
#include "ui/sdl/link.h"

static struct machine m;
static union link_message got;
static int got_fd;

static void await_message(struct link *l)
{
    struct pollfd p = { .fd = l->fd, .events = POLLIN };

    CHECK_GT(poll(&p, 1, 5000), 0);
    CHECK_EQ(link_read(l, &got, &got_fd), 1);
}

/* Skips others. */
static void await_type(struct link *l, uint32_t type)
{
    do
        await_message(l);
    while (got.head.type != type);
}

static void connect_link(struct link *l)
{
    char title[CONSOLE_TITLE];
    GError *error = NULL;

    if (!link_open(l, m.path, title, &error))
        FAIL("%s", error->message);
    CHECK_STR_EQ(title, "test");
}

static bool is_closed(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char byte[CONSOLE_MAX_MESSAGE];
    ssize_t n = 1;

    while (n > 0 && poll(&p, 1, 3000) > 0)
        n = recv(fd, byte, sizeof byte, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

TEST(window_gets_state_surface_and_a_frame)
{
    struct link l;
    const uint32_t *pixels;

    machine_start(&m, "test");
    connect_link(&l);
    await_message(&l);
    CHECK_EQ(got.head.type, CONSOLE_STATE);
    CHECK_EQ(got.state.run, CONSOLE_RUNNING);
    CHECK_EQ(got.state.flags, 0);
    do
        await_type(&l, CONSOLE_SURFACE);
    while (!got.surface.width);
    CHECK_EQ(got.surface.width, 640);
    CHECK_EQ(got.surface.height, 480);
    CHECK_GE(got_fd, 0);
    pixels = mmap(NULL, (size_t)got.surface.stride * 480, PROT_READ, MAP_SHARED,
                  got_fd, 0);
    CHECK(pixels != MAP_FAILED);
    await_type(&l, CONSOLE_FRAME);
    CHECK_EQ(got.frame.changed.count, 1);
    CHECK_EQ(got.frame.changed.rects[0].width, 640);
    CHECK_EQ(pixels[0], 0xff8000);
    CHECK_EQ(pixels[641], 0xffffff);
    link_close(&l);
    machine_stop(&m);
}

TEST(next_frame_comes_after_the_answer)
{
    struct link l;
    struct pollfd p;
    uint32_t frame;

    machine_start(&m, "test");
    connect_link(&l);
    await_type(&l, CONSOLE_FRAME);
    frame = got.frame.frame;
    for (uint32_t i = 0; i < 5; i++) {
        machine_paint(&m, i);
        usleep(20000);
    }
    p = (struct pollfd){ .fd = l.fd, .events = POLLIN };
    CHECK_EQ(poll(&p, 1, 200), 0);
    link_send_number(&l, CONSOLE_SHOWN, frame + 7); /* never sent */
    CHECK_EQ(poll(&p, 1, 200), 0);
    link_send_number(&l, CONSOLE_SHOWN, frame);
    await_message(&l);
    CHECK_EQ(got.head.type, CONSOLE_FRAME);
    CHECK_EQ(got.frame.frame, frame + 1);
    link_close(&l);
    machine_stop(&m);
}

TEST(new_mode_is_a_new_surface)
{
    struct link l;
    uint32_t serial;

    machine_start(&m, "test");
    connect_link(&l);
    await_type(&l, CONSOLE_FRAME);
    serial = got.frame.serial;
    link_send_number(&l, CONSOLE_SHOWN, got.frame.frame);
    machine_set_mode(&m, 800, 600);
    await_type(&l, CONSOLE_SURFACE);
    CHECK_EQ(got.surface.width, 800);
    CHECK_GT(got.surface.serial, serial);
    await_type(&l, CONSOLE_FRAME);
    CHECK_EQ(got.frame.changed.rects[0].width, 800);
    link_close(&l);
    machine_stop(&m);
}

/* A card beside the machine's, with another mode. */
static void draw_other(void *ctx, int32_t full)
{
    static struct bp_surface surface;
    struct screen **s = ctx;

    if (!surface.pixels)
        screen_set_mode(*s, 320, 200, &surface);
    screen_dirty(*s, 0, 0, 1, 1);
}

TEST(window_follows_the_screen_that_is_shown)
{
    static const struct bp_screen_ops ops = { .size = sizeof ops,
                                              .refresh = draw_other };
    struct screen *other;
    struct link l;
    uint32_t argb = 0xff00ff00;

    machine_start(&m, "test");
    other = screen_create("other", m.lane, &ops, &other);
    screens_add(m.screens, other);
    connect_link(&l);
    await_type(&l, CONSOLE_FRAME);
    link_send_number(&l, CONSOLE_SHOWN, got.frame.frame);
    lane_enter(m.lane);
    screen_set_pointer(m.screen, &argb, 1, 1, 0, 0, 5, 5);
    screen_show(other, true);
    lane_leave(m.lane);
    await_type(&l, CONSOLE_SURFACE);
    CHECK_EQ(got.surface.width, 320);
    await_type(&l, CONSOLE_FRAME);
    CHECK_EQ(got.frame.changed.rects[0].width, 320);
    link_send_number(&l, CONSOLE_SHOWN, got.frame.frame);
    lane_enter(m.lane);
    screen_show(other, false);
    lane_leave(m.lane);
    /* The pointer of the first screen with it. */
    do
        await_type(&l, CONSOLE_POINTER);
    while (!got.pointer.width);
    link_close(&l);
    machine_stop(&m);
    screen_destroy(other);
}

TEST(nobody_watching_means_no_refresh_and_idle_means_few)
{
    struct link l;
    unsigned before, after;

    machine_start(&m, "test");
    usleep(300000);
    CHECK_EQ(machine_get(&m, &m.refreshes), 0);
    connect_link(&l);
    await_type(&l, CONSOLE_FRAME);
    link_send_number(&l, CONSOLE_SHOWN, got.frame.frame);
    before = machine_get(&m, &m.refreshes);
    usleep(500000);
    after = machine_get(&m, &m.refreshes);
    CHECK_GT(after, before);
    CHECK_LE(after - before, 33); /* 60 a second, and some slack */
    link_send_number(&l, CONSOLE_VISIBLE, 0);
    usleep(100000);
    before = machine_get(&m, &m.refreshes);
    usleep(300000);
    CHECK_EQ(machine_get(&m, &m.refreshes), before);
    link_close(&l);
    machine_stop(&m);
}

TEST(input_arrives_and_a_lost_window_holds_no_key)
{
    struct link l;

    machine_start(&m, "test");
    connect_link(&l);
    await_type(&l, CONSOLE_STATE);
    link_send_key(&l, 4, true);
    machine_expect(&m, "down 04\n");
    link_send_motion(&l, 5, -3, 1, 2);
    machine_expect(&m, "motion +5 -3 1 2\n");
    link_send_size(&l, 1000, 700);
    link_send_key(&l, 0xe0, true);
    link_close(&l);
    machine_expect(&m, "up 04\n");
    machine_expect(&m, "up e0\n");
    CHECK_EQ(machine_get(&m, &m.hint_width), 1000);
    machine_stop(&m);
}

TEST(tablet_is_in_the_state_and_gets_positions)
{
    struct link l;

    machine_start(&m, "test");
    connect_link(&l);
    await_type(&l, CONSOLE_STATE);
    receiver_enable(m.tablet, true);
    await_type(&l, CONSOLE_STATE);
    CHECK_EQ(got.state.flags, CONSOLE_TAKES_POSITION);
    link_send_position(&l, 100, 99999, 0, 1);
    machine_expect(&m, "position 100 32767 0 1\n");
    receiver_set_leds(m.keyboard, BP_LED_NUM);
    await_type(&l, CONSOLE_STATE);
    CHECK_EQ(got.state.leds, BP_LED_NUM);
    link_close(&l);
    machine_stop(&m);
}

TEST(paused_machine_gets_no_keys_but_releases)
{
    struct link l;

    machine_start(&m, "test");
    connect_link(&l);
    await_type(&l, CONSOLE_STATE);
    link_send_key(&l, 4, true);
    machine_expect(&m, "down 04\n");
    machine_set_run(&m, CONSOLE_PAUSED);
    await_type(&l, CONSOLE_STATE);
    CHECK_EQ(got.state.run, CONSOLE_PAUSED);
    link_send_key(&l, 5, true);
    link_send_key(&l, 4, false);
    machine_expect(&m, "up 04\n");
    machine_set_run(&m, CONSOLE_RUNNING);
    await_type(&l, CONSOLE_STATE);
    link_send_key(&l, 6, true);
    machine_expect(&m, "down 06\n");
    g_autofree char *log = machine_log(&m);
    CHECK(!strstr(log, "05"));
    link_close(&l);
    machine_stop(&m);
}

TEST(first_close_presses_the_button_second_turns_off)
{
    struct link l;

    machine_start(&m, "test");
    m.has_button = true;
    connect_link(&l);
    await_type(&l, CONSOLE_STATE);
    link_send_plain(&l, CONSOLE_CLOSE);
    machine_expect(&m, "button\n");
    await_type(&l, CONSOLE_STATE);
    CHECK_EQ(got.state.flags, CONSOLE_CLOSING);
    CHECK_EQ(machine_get(&m, &m.offs), 0);
    link_send_plain(&l, CONSOLE_CLOSE);
    machine_expect(&m, "off\n");
    CHECK_EQ(machine_get(&m, &m.presses), 1);
    link_close(&l);
    machine_stop(&m);
}

TEST(close_turns_off_when_nobody_hears_the_button)
{
    struct link l;

    machine_start(&m, "test");
    connect_link(&l);
    await_type(&l, CONSOLE_STATE);
    link_send_plain(&l, CONSOLE_CLOSE);
    machine_expect(&m, "button\noff\n");
    link_close(&l);
    machine_stop(&m);
}

TEST(paused_machine_is_turned_off_by_the_second_close)
{
    struct link l;

    machine_start(&m, "test");
    m.has_button = true;
    machine_set_run(&m, CONSOLE_PAUSED);
    connect_link(&l);
    await_type(&l, CONSOLE_STATE);
    link_send_plain(&l, CONSOLE_CLOSE);
    await_type(&l, CONSOLE_STATE);
    CHECK_EQ(got.state.flags, CONSOLE_CLOSING);
    CHECK_EQ(machine_get(&m, &m.presses) + machine_get(&m, &m.offs), 0);
    link_send_plain(&l, CONSOLE_CLOSE);
    machine_expect(&m, "off\n");
    link_close(&l);
    machine_stop(&m);
}

TEST(actions_reach_the_machine)
{
    struct link l;

    machine_start(&m, "test");
    connect_link(&l);
    link_send_number(&l, CONSOLE_ACTION, CONSOLE_RESET);
    machine_expect(&m, "reset\n");
    link_send_number(&l, CONSOLE_ACTION, CONSOLE_PAUSE);
    machine_expect(&m, "pause\n");
    link_send_number(&l, CONSOLE_ACTION, CONSOLE_RESUME);
    machine_expect(&m, "resume\n");
    link_send_number(&l, CONSOLE_ACTION, 99);
    link_send_number(&l, CONSOLE_ACTION, CONSOLE_RESET);
    machine_expect(&m, "reset\n");
    link_close(&l);
    machine_stop(&m);
}

/* --- hostile -------------------------------------------------------------*/

static int connect_raw(void)
{
    int fd = unix_socket_connect(m.path, SOCK_SEQPACKET, NULL);

    CHECK_GE(fd, 0);
    return fd;
}

static const struct {
    uint32_t size, type, sent;
} nonsense[] = {
    { 8, CONSOLE_KEY, 8 },   /* too short for its type */
    { 16, CONSOLE_KEY, 16 }, /* before the greeting */
    { 8, CONSOLE_CLOSE, 8 },
    { 12, CONSOLE_UI_HELLO, 12 },
    { 80, CONSOLE_UI_HELLO, 80 }, /* version 0 */
    { 4, CONSOLE_UI_HELLO, 4 },
    { 0, 0, 1 },
    { 16, CONSOLE_FRAME, 16 },
    { UINT32_MAX, CONSOLE_UI_HELLO, 80 },
    { 8, 12345, 8 },
    { 4000, CONSOLE_KEY, 4000 },
};

TEST_P(nonsense_is_hung_up_on_and_others_go_on, nonsense)
{
    uint8_t message[4096] = { 0 };
    struct console_head head = { row->size, row->type };
    struct link l;
    int fd;

    machine_start(&m, "test");
    connect_link(&l);
    fd = connect_raw();
    memcpy(message, &head, sizeof head);
    CHECK_EQ(send(fd, message, row->sent, 0), row->sent);
    CHECK(is_closed(fd));
    link_send_key(&l, 4, true);
    machine_expect(&m, "down 04\n");
    close(fd);
    link_close(&l);
    machine_stop(&m);
}

TEST(random_messages_break_nothing)
{
    uint8_t message[128];
    unsigned seed = 5;
    struct link l;

    machine_start(&m, "test");
    for (unsigned round = 0; round < 300; round++) {
        connect_link(&l);
        for (unsigned i = 0; i < 20; i++) {
            struct console_head head = {
                (uint32_t)rand_r(&seed) % 32,
                128 + (uint32_t)rand_r(&seed) % 12,
            };

            for (unsigned j = 0; j < sizeof message; j++)
                message[j] = (uint8_t)rand_r(&seed);
            memcpy(message, &head, sizeof head);
            send(l.fd, message, head.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        link_close(&l);
    }
    machine_stop(&m);
}

TEST(window_that_does_not_read_costs_nothing)
{
    struct link slow, good;
    int fd;

    machine_start(&m, "test");
    connect_link(&slow);
    fd = connect_raw(); /* does not even greet */
    connect_link(&good);
    for (uint32_t i = 0; i < 100; i++) {
        machine_paint(&m, i);
        if (i % 10 == 0)
            machine_set_mode(&m, 320 + i, 200);
        await_type(&good, CONSOLE_FRAME);
        link_send_number(&good, CONSOLE_SHOWN, got.frame.frame);
        if (got_fd >= 0)
            close(got_fd);
    }
    close(fd);
    link_close(&slow);
    link_close(&good);
    machine_stop(&m);
}

TEST(flood_of_input_leaves_others_served)
{
    struct link l, other;

    machine_start(&m, "test");
    connect_link(&l);
    connect_link(&other);
    for (unsigned i = 0; i < 200000; i++)
        link_send_motion(&l, 1, 1, 0, i & 1);
    link_send_key(&other, 4, true);
    for (unsigned i = 0; i < 500; i++) {
        g_autofree char *log = machine_log(&m);

        if (strstr(log, "down 04"))
            break;
        CHECK_LT(i, 499);
        usleep(1000);
    }
    link_close(&l);
    link_close(&other);
    machine_stop(&m);
}

TEST(too_many_windows_are_refused)
{
    struct link l[8];
    int fd;

    machine_start(&m, "test");
    for (unsigned i = 0; i < 8; i++)
        connect_link(&l[i]);
    fd = connect_raw();
    CHECK(is_closed(fd));
    close(fd);
    link_close(&l[3]);
    usleep(100000);
    connect_link(&l[3]);
    for (unsigned i = 0; i < 8; i++)
        link_close(&l[i]);
    machine_stop(&m);
}

TEST(socket_is_private_and_gone_at_the_end)
{
    struct stat st;
    struct link l;

    machine_start(&m, "test");
    CHECK_EQ(stat(m.path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    connect_link(&l);
    machine_stop(&m);
    CHECK_EQ(stat(m.path, &st), -1);
    CHECK(is_closed(l.fd));
    link_close(&l);
}

static const struct {
    const char *title;
    size_t length;
} titles[] = {
    { "", 0 },
    { "0123456789012345678901234567890123456789012345678901234567890123456",
      63 },
    { "01234567890123456789012345678901234567890123456789012345678901\xc3\xa4",
      62 },
};

TEST_P(title_is_cut_between_characters, titles)
{
    char title[CONSOLE_TITLE];
    struct link l;

    machine_start(&m, row->title);
    CHECK(link_open(&l, m.path, title, NULL));
    CHECK_EQ(strlen(title), row->length);
    link_close(&l);
    machine_stop(&m);
}
