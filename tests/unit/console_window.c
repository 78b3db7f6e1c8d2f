/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console window on a virtual X server: what it shows, by screenshots,
 * and what arrives of what is typed and clicked.  There is no window manager.
 * With KEEP set in the environment the screenshots stay in that folder.
 */
#include "tests/lib/test.h"

#include <dlfcn.h>
#include <glib.h>
#include <png.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "display/console_proto.h"
#include "lib/unix_socket.h"
#include "sched/lane.h"
#include "tests/unit/console_machine.h"
#include "ui/sdl/console.h"

static struct machine m;
static pid_t server, window;
static char window_id[32];

/* Runs a command, returns the first line of its output. */
__attribute__((format(printf, 1, 2))) static char *run(const char *fmt, ...)
{
    static char line[512];
    char command[1024];
    va_list ap;
    FILE *f;

    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    f = popen(command, "r");
    CHECK(f);
    line[0] = '\0';
    if (fgets(line, sizeof line, f))
        line[strcspn(line, "\n")] = '\0';
    pclose(f);
    return line;
}

static void start_server(void)
{
    char number[16] = ":";
    size_t len = 1;
    int fds[2];

    for (unsigned i = 0; i < 3; i++) {
        static const char *const needed[] = { "Xvfb", "xdotool", "import" };

        if (!*run("command -v %s", needed[i]))
            SKIP("no %s", needed[i]);
    }
    CHECK_EQ(pipe(fds), 0);
    server = fork();
    if (server == 0) {
        dup2(fds[1], 9);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        execlp("Xvfb", "Xvfb", "-displayfd", "9", "-screen", "0",
               "1280x1024x24", "-nolisten", "tcp", NULL);
        _exit(1);
    }
    close(fds[1]);
    while (len < sizeof number - 1 && number[len - 1] != '\n')
        if (read(fds[0], number + len++, 1) != 1)
            SKIP("Xvfb does not start");
    number[len - 1] = '\0';
    setenv("DISPLAY", number, 1);
    unsetenv("WAYLAND_DISPLAY");
}

/* Its file is there before somebody listens. */
static void await_socket(const char *path)
{
    int fd = -1;

    for (unsigned i = 0; i < 500 && fd < 0; i++) {
        usleep(10000);
        fd = unix_socket_connect(path, SOCK_SEQPACKET, NULL);
    }
    close(fd);
}

/* Forked before the machine has threads. */
static void start_window(const char *const *options)
{
    char path[300];
    char *argv[8];
    int argc = 0;

    snprintf(path, sizeof path, "%s/console", test_tmp_dir());
    window = fork();
    if (window != 0)
        return;
    argv[argc++] = g_strdup("console");
    while (*options)
        argv[argc++] = g_strdup(*options++);
    argv[argc++] = path;
    argv[argc] = NULL;
    await_socket(path);
    setenv("SDL_VIDEODRIVER", "x11", 1);
    exit(console_main(argc, argv));
}

static void start(const char *const *options)
{
    static const char *const none[] = { NULL };

    start_server();
    start_window(options ? options : none);
    machine_start(&m, "Test PC");
    for (unsigned i = 0; i < 100 && machine_get(&m, &m.refreshes) < 2; i++)
        usleep(50000);
    CHECK_GE(machine_get(&m, &m.refreshes), 2);
    usleep(300000);
    snprintf(window_id, sizeof window_id, "%s",
             run("xdotool search --onlyvisible --name 'Test PC'"));
    CHECK(window_id[0]);
    run("xdotool windowmove --sync %s 0 0 windowfocus --sync %s", window_id,
        window_id);
    usleep(200000);
}

static void end(void)
{
    int status;

    machine_stop(&m);
    for (unsigned i = 0; i < 300; i++) {
        if (waitpid(window, &status, WNOHANG) == window) {
            window = 0;
            break;
        }
        usleep(10000);
    }
    CHECK_EQ(window, 0); /* it goes with the machine */
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
}

static void expect_title(const char *note)
{
    char want[200];

    snprintf(want, sizeof want, "Test PC - Backplane%s", note);
    for (unsigned i = 0; i < 50; i++) {
        if (strcmp(run("xdotool getwindowname %s", window_id), want) == 0)
            return;
        usleep(50000);
    }
    FAIL("the title is '%s', not '%s'; the machine got:\n%s",
         run("xdotool getwindowname %s", window_id), want, m.log);
}

/* --- pictures ------------------------------------------------------------*/

struct shot {
    png_image image;
    uint8_t *rgb;
};

static struct shot take_shot(const char *name)
{
    struct shot s = { .image = { .version = PNG_IMAGE_VERSION } };
    const char *keep = getenv("KEEP");
    char path[400];

    usleep(400000);
    snprintf(path, sizeof path, "%s/%s.png", keep ? keep : test_tmp_dir(),
             name);
    run("import -window %s %s", window_id, path);
    CHECK(png_image_begin_read_from_file(&s.image, path));
    s.image.format = PNG_FORMAT_RGB;
    s.rgb = malloc(PNG_IMAGE_SIZE(s.image));
    CHECK(png_image_finish_read(&s.image, NULL, s.rgb, 0, NULL));
    return s;
}

static uint32_t pixel(const struct shot *s, uint32_t x, uint32_t y)
{
    const uint8_t *p = s->rgb + ((size_t)y * s->image.width + x) * 3;

    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

TEST(picture_is_shown_pixel_by_pixel_and_follows_changes)
{
    struct shot s;

    start(NULL);
    s = take_shot("plain");
    CHECK_EQ(s.image.width, 640);
    CHECK_EQ(s.image.height, 480);
    CHECK_EQ(pixel(&s, 0, 0), 0xff8000);
    CHECK_EQ(pixel(&s, 639, 479), 0xff8000);
    CHECK_EQ(pixel(&s, 40, 40), 0xffffff);
    CHECK_EQ(pixel(&s, 120, 40), 0xffff00);
    CHECK_EQ(pixel(&s, 599, 40), 0x202020);
    CHECK_EQ(pixel(&s, 330, 230), 0);
    machine_paint(&m, 0x8040c0);
    s = take_shot("painted");
    CHECK_EQ(pixel(&s, 330, 230), 0x8040c0);
    machine_set_mode(&m, 800, 600);
    s = take_shot("mode");
    CHECK_EQ(s.image.width, 800);
    CHECK_EQ(s.image.height, 600);
    CHECK_EQ(pixel(&s, 799, 599), 0xff8000);
    end();
}

TEST(picture_keeps_its_shape_in_another_window)
{
    struct shot s;

    start(NULL);
    run("xdotool windowsize --sync %s 1280 600", window_id);
    s = take_shot("wide");
    CHECK_EQ(s.image.width, 1280);
    CHECK_EQ(pixel(&s, 200, 300), 0); /* beside it: 800 are used */
    CHECK_EQ(pixel(&s, 1100, 300), 0);
    CHECK_EQ(pixel(&s, 290, 40), 0xffffff);
    CHECK_EQ(pixel(&s, 990, 40), 0x202020);
    CHECK_EQ(machine_get(&m, &m.hint_width), 1280);
    /* Twice the size is sharp. */
    run("xdotool windowsize --sync %s 1280 960", window_id);
    s = take_shot("double");
    CHECK_EQ(pixel(&s, 1, 1), 0xff8000);
    CHECK_EQ(pixel(&s, 2, 2), 0xffffff);
    /* The user's size stays when the mode changes. */
    machine_set_mode(&m, 320, 240);
    s = take_shot("kept");
    CHECK_EQ(s.image.width, 1280);
    CHECK_EQ(pixel(&s, 3, 3), 0xff8000);
    CHECK_EQ(pixel(&s, 4, 4), 0xffffff);
    end();
}

TEST(pointer_of_the_guest_is_drawn_over_the_picture)
{
    static uint32_t image[16 * 16];
    struct shot s;

    for (unsigned i = 0; i < 16 * 16; i++)
        image[i] = i % 16 < 8 ? 0xff123456 : 0;
    start(NULL);
    lane_enter(m.lane);
    screen_set_pointer(m.screen, image, 16, 16, 0, 0, 32, 32);
    lane_leave(m.lane);
    s = take_shot("pointer");
    CHECK_EQ(pixel(&s, 31, 36), 0xffffff);
    CHECK_EQ(pixel(&s, 33, 36), 0x123456);
    CHECK_EQ(pixel(&s, 42, 36), 0xffffff);
    lane_enter(m.lane);
    screen_set_pointer(m.screen, image, 16, 16, 0, 0, 100, 32);
    lane_leave(m.lane);
    s = take_shot("pointer-moved");
    CHECK_EQ(pixel(&s, 33, 36), 0xffff00 | 0xff);
    CHECK_EQ(pixel(&s, 101, 36), 0x123456);
    end();
}

/* --- keyboard ------------------------------------------------------------*/

static const struct {
    const char *key, *log;
} keys[] = {
    { "a", "down 04\nup 04\n" },
    { "Return", "down 28\nup 28\n" },
    { "Up", "down 52\nup 52\n" },
    { "Delete", "down 4c\nup 4c\n" },
    { "Control_R", "down e4\n" },
    /* and the left one, by xdotool */ { "Super_L", "down e3\nup e3\n" },
    { "KP_Enter", "down 58\nup 58\n" },
    { "Pause", "down 48\nup 48\n" },
    { "F11", "down 44\nup 44\n" },
    { "Print", "down 46\nup 46\n" },
};

TEST(keys_arrive_by_their_place)
{
    start(NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *before = machine_log(&m);

        test_note("key %s", keys[i].key);
        run("xdotool key %s", keys[i].key);
        machine_expect(&m, keys[i].log);
    }
    run("xdotool keydown Shift_L key b keyup Shift_L");
    machine_expect(&m, "down e1\ndown 05\nup 05\nup e1\n");
    end();
}

TEST(held_key_is_released_when_the_focus_goes)
{
    start(NULL);
    run("xdotool keydown Control_L keydown x");
    machine_expect(&m, "down e0\ndown 1b\n");
    run("xdotool windowfocus $(xdotool search --maxdepth 0 '.*' | head -n1)");
    machine_expect(&m, "up 1b\n");
    machine_expect(&m, "up e0\n");
    run("xdotool keyup x keyup Control_L");
    end();
}

TEST(chords_are_for_the_window_and_the_guest_sees_no_part_of_them)
{
    g_autofree char *log = NULL;

    start(NULL);
    run("xdotool keydown Control_L keydown Alt_L key End keyup Alt_L "
        "keyup Control_L");
    machine_expect(&m, "down e0\ndown e2\n");
    machine_expect(&m, "down e0\ndown e2\ndown 4c\nup 4c\nup e2\nup e0\n");
    run("xdotool key ctrl+alt+r");
    expect_title(" - press Ctrl+Alt+R again to reset it");
    CHECK_EQ(machine_get(&m, &m.resets), 0);
    run("xdotool key ctrl+alt+r");
    machine_expect(&m, "reset\n");
    run("xdotool key ctrl+alt+p");
    machine_expect(&m, "pause\n");
    expect_title(" - paused");
    run("xdotool key ctrl+alt+p");
    machine_expect(&m, "resume\n");
    expect_title("");
    log = machine_log(&m);
    CHECK(!strstr(log, "down 15")); /* r */
    /* Others with Ctrl and Alt are the guest's. */
    run("xdotool key ctrl+alt+t");
    machine_expect(&m, "down 17\n");
    end();
}

/* --- mouse ---------------------------------------------------------------*/

TEST(click_takes_the_mouse_and_ctrl_alt_gives_it_back)
{
    g_autofree char *log = NULL;

    start(NULL);
    run("xdotool mousemove --window %s 100 100", window_id);
    usleep(200000);
    log = machine_log(&m);
    CHECK(!strstr(log, "motion"));
    run("xdotool click 1");
    expect_title(" - Ctrl+Alt releases the mouse");
    g_free(log);
    log = machine_log(&m);
    CHECK(!strstr(log, " 1\n")); /* that click was not for the guest */
    run("xdotool mousemove_relative 10 0");
    machine_expect(&m, "motion +");
    run("xdotool click 3");
    machine_expect(&m, "motion +0 +0 0 2\nmotion +0 +0 0 0\n");
    run("xdotool click 4");
    machine_expect(&m, "motion +0 +0 1 0\n");
    run("xdotool key ctrl+alt");
    expect_title("");
    end();
}

TEST(guest_that_takes_positions_needs_no_grab)
{
    start(NULL);
    receiver_enable(m.tablet, true);
    usleep(500000);
    run("xdotool mousemove --window %s 320 240", window_id);
    machine_expect(&m, "position 16409 16417 0 0\n");
    run("xdotool click 1");
    machine_expect(&m, "position 16409 16417 0 1\n");
    run("xdotool mousemove --window %s 639 0", window_id);
    machine_expect(&m, "position 32767 0 0 0\n");
    expect_title("");
    end();
}

/* --- the end -------------------------------------------------------------*/

/* Of <X11/Xlib.h>, whose library comes with SDL's. */
struct client_message {
    int type;
    unsigned long serial;
    int send_event;
    void *display;
    unsigned long window, message_type;
    int format;
    long data[5];
    long rest[24];
};

#define CLIENT_MESSAGE 33

/* What a window manager sends when its close button is clicked. */
static void ask_to_close(void)
{
    void *x = dlopen("libX11.so.6", RTLD_NOW);
    void *(*open_display)(const char *);
    unsigned long (*atom)(void *, const char *, int);
    int (*send_event)(void *, unsigned long, int, long, void *);
    int (*close_display)(void *);
    struct client_message e = { .type = CLIENT_MESSAGE, .format = 32 };

    if (!x)
        SKIP("no libX11.so.6");
    *(void **)&open_display = dlsym(x, "XOpenDisplay");
    *(void **)&atom = dlsym(x, "XInternAtom");
    *(void **)&send_event = dlsym(x, "XSendEvent");
    *(void **)&close_display = dlsym(x, "XCloseDisplay");
    e.display = open_display(NULL);
    CHECK(e.display);
    e.window = strtoul(window_id, NULL, 0);
    e.message_type = atom(e.display, "WM_PROTOCOLS", 0);
    e.data[0] = (long)atom(e.display, "WM_DELETE_WINDOW", 0);
    CHECK(send_event(e.display, e.window, 0, 0, &e));
    close_display(e.display);
}

TEST(closing_is_asked_twice)
{
    start(NULL);
    m.has_button = true;
    ask_to_close();
    machine_expect(&m, "button\n");
    expect_title(" - asked to shut down; close again to turn it off");
    CHECK_EQ(machine_get(&m, &m.offs), 0);
    ask_to_close();
    machine_expect(&m, "off\n");
    end();
}

TEST(bad_command_lines_and_sockets_have_a_sentence)
{
    char *missing[] = { g_strdup("console"), g_strdup("/nonexistent"), NULL };
    char *nothing[] = { g_strdup("console"), NULL };
    char *scaling[] = { g_strdup("console"), g_strdup("--scaling=big"),
                        g_strdup("x"), NULL };

    CHECK_EQ(console_main(2, missing), 1);
    CHECK_EQ(console_main(1, nothing), 2);
    CHECK_EQ(console_main(3, scaling), 2);
}
