/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console window of a machine.
 *
 * The main thread waits in SDL; a second one waits for the socket, wakes the
 * first by an event of SDL and then waits until that has read all there was.
 *
 * The window shows the size of the guest's mode until the user gives it
 * another one, which it then keeps.
 */
#include "ui/sdl/console.h"

#include <SDL.h>
#include <getopt.h>
#include <glib.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "ui/sdl/hands.h"
#include "ui/sdl/link.h"
#include "ui/sdl/picture.h"

#define FIRST_WIDTH  720
#define FIRST_HEIGHT 400
/* Within this the second Ctrl+Alt+R resets. */
#define CONFIRM_MS 3000
/* A machine that does not react to this many requests is left alone. */
#define MAX_CLOSES 3

struct window {
    SDL_Window *window;
    struct link link;
    struct picture picture;
    struct hands hands;
    char name[CONSOLE_TITLE];
    uint32_t run, flags;
    uint32_t wake; /* SDL event of the reader thread */
    SDL_sem *was_read;
    bool quit;
    bool redraw;
    bool frame_due; /* answer to this when it is drawn: */
    uint32_t frame;
    unsigned closes;
    bool user_sized;
    int width, height;    /* as we asked for */
    bool reset_asked;     /* once; the second time counts until: */
    uint32_t reset_until; /* SDL ticks */
    bool help;
    bool grab_shown;
};

/* --- title ---------------------------------------------------------------*/

static const char *note(const struct window *w)
{
    if (w->reset_asked)
        return " - press Ctrl+Alt+R again to reset it";
    if (w->help)
        return " - Ctrl+Alt with F full screen, S scaling, 0 size, P pause, "
               "R reset, End sends Ctrl+Alt+Del";
    if (w->flags & CONSOLE_CLOSING)
        return w->run == CONSOLE_PAUSED
                   ? " - paused; close again to turn it off"
                   : " - asked to shut down; close again to turn it off";
    if (w->run == CONSOLE_PAUSED)
        return " - paused";
    if (w->run == CONSOLE_OFF)
        return " - off";
    if (w->hands.grabbed)
        return " - Ctrl+Alt releases the mouse";
    return "";
}

static void set_title(struct window *w)
{
    char title[256];

    snprintf(title, sizeof title, "%s - Backplane%s", w->name, note(w));
    if (strcmp(title, SDL_GetWindowTitle(w->window)) != 0)
        SDL_SetWindowTitle(w->window, title);
}

/* --- size ----------------------------------------------------------------*/

static void fit_to_picture(struct window *w)
{
    int width = (int)w->picture.width, height = (int)w->picture.height;
    uint32_t flags = SDL_GetWindowFlags(w->window);
    SDL_Rect room;

    if (!width || w->user_sized ||
        (flags & (SDL_WINDOW_FULLSCREEN_DESKTOP | SDL_WINDOW_MAXIMIZED)))
        return;
    /* A picture larger than the host's screen is made smaller. */
    if (SDL_GetDisplayUsableBounds(SDL_GetWindowDisplayIndex(w->window),
                                   &room) == 0)
        while (width > room.w || height > room.h) {
            width = width * 3 / 4;
            height = height * 3 / 4;
        }
    w->width = width;
    w->height = height;
    SDL_SetWindowSize(w->window, width, height);
}

static void resized(struct window *w, int width, int height)
{
    if (width == w->width && height == w->height)
        return;
    w->user_sized = true;
    SDL_GetRendererOutputSize(w->picture.renderer, &width, &height);
    link_send_size(&w->link, (uint32_t)width, (uint32_t)height);
}

static void toggle_full_screen(struct window *w)
{
    bool now = SDL_GetWindowFlags(w->window) & SDL_WINDOW_FULLSCREEN_DESKTOP;

    SDL_SetWindowFullscreen(w->window, now ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
    w->redraw = true;
}

/* --- from the machine ----------------------------------------------------*/

static void got_state(struct window *w, const struct console_state *m)
{
    w->run = m->run;
    w->flags = m->flags;
    hands_set_absolute(&w->hands, m->flags & CONSOLE_TAKES_POSITION);
}

/* False: the message is nonsense. */
static bool got_message(struct window *w, const union link_message *m, int fd)
{
    switch (m->head.type) {
    case CONSOLE_SURFACE:
        if (!picture_set_surface(&w->picture, &m->surface, fd))
            return false;
        fit_to_picture(w);
        break;
    case CONSOLE_FRAME:
        picture_update(&w->picture, &m->frame);
        w->frame = m->frame.frame;
        w->frame_due = true;
        break;
    case CONSOLE_POINTER: picture_set_pointer(&w->picture, &m->pointer); break;
    case CONSOLE_POINTER_AT:
        picture_move_pointer(&w->picture, &m->pointer_at);
        break;
    case CONSOLE_STATE: got_state(w, &m->state); return true;
    default: return false;
    }
    w->redraw = true;
    return true;
}

static void read_messages(struct window *w)
{
    static union link_message m;
    int fd, got;

    while ((got = link_read(&w->link, &m, &fd)) > 0) {
        bool takes_fd = m.head.type == CONSOLE_SURFACE;

        if (!got_message(w, &m, takes_fd ? fd : -1)) {
            fprintf(stderr, "backplane: the machine sent a message that "
                            "makes no sense\n");
            got = -1;
            break;
        }
    }
    if (got < 0)
        w->quit = true;
    SDL_SemPost(w->was_read);
}

static int reader_thread(void *opaque)
{
    struct window *w = opaque;
    struct pollfd p = { .fd = w->link.fd, .events = POLLIN };
    SDL_Event e = { .type = w->wake };

    for (;;) {
        if (poll(&p, 1, -1) < 0)
            continue;
        while (SDL_PushEvent(&e) < 0)
            SDL_Delay(10);
        SDL_SemWait(w->was_read);
    }
    return 0;
}

/* --- from the user -------------------------------------------------------*/

static void asked_reset(struct window *w)
{
    if (w->reset_asked) {
        w->reset_asked = false;
        link_send_number(&w->link, CONSOLE_ACTION, CONSOLE_RESET);
        return;
    }
    w->reset_asked = true;
    w->reset_until = SDL_GetTicks() + CONFIRM_MS;
}

static void asked_close(struct window *w)
{
    link_send_plain(&w->link, CONSOLE_CLOSE);
    if (++w->closes == MAX_CLOSES)
        w->quit = true;
}

static void do_chord(struct window *w, enum chord chord)
{
    switch (chord) {
    case CHORD_NONE: return;
    case CHORD_FULL_SCREEN: toggle_full_screen(w); break;
    case CHORD_SCALING:
        w->picture.scaling = (w->picture.scaling + 1) % SCALING_COUNT;
        w->redraw = true;
        break;
    case CHORD_ORIGINAL_SIZE:
        w->user_sized = false;
        fit_to_picture(w);
        break;
    case CHORD_RESET: asked_reset(w); break;
    case CHORD_PAUSE:
        link_send_number(&w->link, CONSOLE_ACTION,
                         w->run == CONSOLE_PAUSED ? CONSOLE_RESUME
                                                  : CONSOLE_PAUSE);
        break;
    case CHORD_CTRL_ALT_DELETE: hands_ctrl_alt_delete(&w->hands); break;
    case CHORD_HELP: w->help = !w->help; break;
    }
}

static void window_event(struct window *w, const SDL_WindowEvent *e)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_FOCUS_LOST: hands_focus_lost(&w->hands); break;
    case SDL_WINDOWEVENT_RESIZED: resized(w, e->data1, e->data2); break;
    case SDL_WINDOWEVENT_HIDDEN:
    case SDL_WINDOWEVENT_MINIMIZED:
        link_send_number(&w->link, CONSOLE_VISIBLE, 0);
        break;
    case SDL_WINDOWEVENT_SHOWN:
    case SDL_WINDOWEVENT_RESTORED:
        link_send_number(&w->link, CONSOLE_VISIBLE, 1);
        break;
    case SDL_WINDOWEVENT_CLOSE: asked_close(w); break;
    }
    w->redraw = true;
}

static void handle(struct window *w, const SDL_Event *e)
{
    if (e->type == w->wake)
        read_messages(w);
    else if (e->type == SDL_WINDOWEVENT)
        window_event(w, &e->window);
    else if (e->type == SDL_RENDER_TARGETS_RESET ||
             e->type == SDL_RENDER_DEVICE_RESET)
        w->redraw = true;
    else
        do_chord(w, hands_event(&w->hands, e));
}

/* --- the program ---------------------------------------------------------*/

static void run(struct window *w)
{
    SDL_Event e;

    while (!w->quit) {
        if (!SDL_WaitEventTimeout(&e, w->reset_asked ? 200 : 60000))
            e.type = SDL_FIRSTEVENT;
        do
            handle(w, &e);
        while (!w->quit && SDL_PollEvent(&e));
        hands_flush(&w->hands);
        if (SDL_TICKS_PASSED(SDL_GetTicks(), w->reset_until))
            w->reset_asked = false;
        set_title(w);
        if (w->redraw)
            picture_draw(&w->picture);
        w->redraw = false;
        if (w->frame_due)
            link_send_number(&w->link, CONSOLE_SHOWN, w->frame);
        w->frame_due = false;
    }
}

static void set_hints(void)
{
    SDL_SetHint(SDL_HINT_APP_NAME, "Backplane");
    /* Signals end the window; the machine is another process. */
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    /* Closing the window is a question to the machine, not the end. */
    SDL_SetHint(SDL_HINT_QUIT_ON_LAST_WINDOW_CLOSE, "0");
    SDL_SetHint(SDL_HINT_MOUSE_FOCUS_CLICKTHROUGH, "1");
}

static bool fail(const char *what)
{
    fprintf(stderr, "backplane: the console window has no %s: %s\n", what,
            SDL_GetError());
    return false;
}

static bool open_window(struct window *w, bool full_screen)
{
    SDL_Thread *thread;
    uint32_t flags = SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI;

    /* A machine starts us by another name. */
    prctl(PR_SET_NAME, "bp-console");
    set_hints();
    if (SDL_Init(SDL_INIT_VIDEO) < 0)
        return fail("display");
    SDL_EnableScreenSaver();
    w->width = FIRST_WIDTH;
    w->height = FIRST_HEIGHT;
    if (full_screen)
        flags |= SDL_WINDOW_FULLSCREEN_DESKTOP;
    w->window =
        SDL_CreateWindow(w->name, SDL_WINDOWPOS_CENTERED,
                         SDL_WINDOWPOS_CENTERED, w->width, w->height, flags);
    if (!w->window)
        return fail("window");
    if (!picture_init(&w->picture, w->window))
        return fail("renderer");
    /* Keys are wanted, not what an input method makes of them. */
    SDL_StopTextInput();
    hands_init(&w->hands, w->window, &w->link, &w->picture);
    w->wake = SDL_RegisterEvents(1);
    w->was_read = SDL_CreateSemaphore(0);
    thread = SDL_CreateThread(reader_thread, "console socket", w);
    if (!w->was_read || !thread)
        return fail("thread");
    SDL_DetachThread(thread);
    return true;
}

static int usage(int status)
{
    fprintf(status ? stderr : stdout,
            "usage: backplane console [--full-screen] "
            "[--scaling auto|nearest|linear] SOCKET\n");
    return status;
}

static bool parse_scaling(const char *text, enum scaling *scaling)
{
    static const char *const names[] = { "auto", "nearest", "linear" };

    for (unsigned i = 0; i < SDL_arraysize(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *scaling = (enum scaling)i;
            return true;
        }
    }
    return false;
}

int console_main(int argc, char **argv)
{
    static const struct option options[] = {
        { "full-screen", no_argument, NULL, 'f' },
        { "scaling", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    static struct window w;
    bool full_screen = false;
    GError *error = NULL;
    int c;

    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'f')
            full_screen = true;
        else if (c == 'h')
            return usage(0);
        else if (c != 's' || !parse_scaling(optarg, &w.picture.scaling))
            return usage(2);
    }
    if (optind != argc - 1)
        return usage(2);
    if (!link_open(&w.link, argv[optind], w.name, &error)) {
        fprintf(stderr, "backplane: %s\n", error->message);
        g_error_free(error);
        return 1;
    }
    if (!open_window(&w, full_screen))
        return 1;
    run(&w);
    picture_finish(&w.picture);
    SDL_DestroyWindow(w.window);
    SDL_Quit();
    return 0;
}
