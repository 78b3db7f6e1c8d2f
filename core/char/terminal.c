/* SPDX-License-Identifier: Apache-2.0 */
#include "char/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios before, raw;
static volatile sig_atomic_t taken;

static void restore(void)
{
    if (!taken)
        return;
    taken = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* The handler is gone by SA_RESETHAND, so the signal now does what it would
 * have done. */
static void on_fatal(int sig)
{
    restore();
    raise(sig);
}

/* Stopped and continued: the shell has set its own modes meanwhile. */
static void on_continue(int sig)
{
    int error = errno;

    (void)sig;
    if (taken)
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    errno = error;
}

/* Signals that somebody handles are left alone: he ends the program in an
 * orderly way, or goes on. */
static void handle(int sig, void (*fn)(int), int flags)
{
    struct sigaction now, then = { .sa_handler = fn, .sa_flags = flags };

    sigemptyset(&then.sa_mask);
    if (sigaction(sig, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == SIG_DFL)
        sigaction(sig, &then, NULL);
}

bool terminal_take(void)
{
    static const int fatal[] = { SIGHUP,  SIGINT, SIGQUIT, SIGTERM, SIGABRT,
                                 SIGSEGV, SIGBUS, SIGILL,  SIGFPE };
    static bool registered;

    if (taken || !isatty(STDIN_FILENO) ||
        tcgetpgrp(STDIN_FILENO) != getpgrp() ||
        tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    raw = before;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR |
                               IGNCR | ICRNL | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    taken = 1;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) {
        taken = 0;
        return false;
    }
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        handle(fatal[i], on_fatal, SA_RESETHAND | SA_NODEFER);
    handle(SIGCONT, on_continue, SA_RESTART);
    if (!registered)
        registered = atexit(restore) == 0;
    return true;
}

void terminal_give_back(void)
{
    restore();
}
