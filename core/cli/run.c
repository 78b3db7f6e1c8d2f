/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backplane run: makes a machine, runs it, and serves its control socket and
 * its requests on this thread.
 */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "char/backends.h"
#include "cli/cli.h"
#include "ctl/socket.h"
#include "display/console.h"
#include "lib/log.h"
#include "plugin/load.h"
#include "vm/config.h"
#include "vm/error.h"
#include "vm/machine.h"
#include "vm/vm.h"

struct run {
    struct vm_config *config;
    struct plugins *plugins;
    struct vm *vm;
    struct ctl *ctl;
    struct console *console;
    char *console_folder; /* of a socket of our own */
    GMainLoop *loop;
};

static void usage(void)
{
    GString *text = g_string_new("usage: backplane run [OPTION].. [VM.CONF]\n\n"
                                 "The options are the keys of vm.conf:\n\n");

    config_print_keys(text);
    g_string_append(text,
                    "\nExit status: 0 after power-off or quit, the "
                    "exit port's value, 1 when\nthe machine failed, 2 when "
                    "it cannot be made.\n");
    fputs(text->str, stdout);
    g_string_free(text, TRUE);
}

/* --- options --------------------------------------------------------------*/

/* One "--key value", "--key=value" or "--switch"; moves *i on. */
static bool parse_option(struct vm_config *c, int argc, char **argv, int *i,
                         GError **error)
{
    char *key = g_strdup(argv[*i] + 2);
    char *value = strchr(key, '=');
    bool known, takes, ok;

    if (value)
        *value++ = 0;
    takes = config_takes_value(key, &known);
    if (!known) {
        ok = vm_fail(error, VM_ERROR_CONFIG,
                     "there is no option '--%s'; try --help", key);
    } else if (takes && !value && *i + 1 >= argc) {
        ok =
            vm_fail(error, VM_ERROR_CONFIG, "option '--%s' needs a value", key);
    } else {
        if (takes && !value)
            value = argv[++*i];
        ok = config_set(c, key, value, error);
    }
    g_free(key);
    return ok;
}

/* A vm.conf, or the folder with it. */
static bool read_config(struct vm_config *c, const char *path, GError **error)
{
    if (!g_file_test(path, G_FILE_TEST_IS_DIR))
        return config_read_file(c, path, error);
    char *file = g_build_filename(path, "vm.conf", NULL);
    bool ok = config_read_file(c, file, error);
    g_free(file);
    return ok;
}

static bool parse(struct vm_config *c, int argc, char **argv, GError **error)
{
    /* The file first: options say more than it, wherever they stand. */
    for (int i = 1; i < argc; i++) {
        bool known = true;
        if (argv[i][0] == '-' && argv[i][1] != '-')
            return vm_fail(error, VM_ERROR_CONFIG,
                           "there is no option '%s'; try --help", argv[i]);
        if (argv[i][0] != '-') {
            if (!read_config(c, argv[i], error))
                return false;
        } else if (!strchr(argv[i], '=')) {
            i += config_takes_value(argv[i] + 2, &known);
            /* What follows an unknown option is no file of ours. */
            if (!known)
                break;
        }
    }
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && !parse_option(c, argc, argv, &i, error))
            return false;
    }
    return true;
}

/* --- the main loop --------------------------------------------------------*/

static gboolean serve(gpointer opaque)
{
    struct run *r = opaque;

    if (vm_serve_requests(r->vm))
        g_main_loop_quit(r->loop);
    return G_SOURCE_REMOVE;
}

/* [any] */
static void wake(void *opaque)
{
    g_idle_add_full(G_PRIORITY_HIGH, serve, opaque, NULL);
}

static void on_event(void *opaque, const char *name, JsonNode *data)
{
    struct run *r = opaque;

    if (r->ctl)
        ctl_event(r->ctl, name, data);
}

static gboolean on_signal(gpointer opaque)
{
    struct run *r = opaque;

    vm_request_exit(r->vm, VM_END_QUIT, 0);
    return G_SOURCE_CONTINUE;
}

/* [any]: the escape key of a serial port on this terminal */
static void on_escape(void *opaque)
{
    kill(getpid(), SIGTERM);
}

/* Beside the control socket, or else in a folder of its own. */
static char *console_path(struct run *r, GError **error)
{
    GError *why = NULL;

    if (r->config->ctl)
        return g_strconcat(r->config->ctl, "-console", NULL);
    r->console_folder = g_dir_make_tmp("backplane-XXXXXX", &why);
    if (r->console_folder)
        return g_build_filename(r->console_folder, "console", NULL);
    vm_fail(error, VM_ERROR_RUN, "no place for the console's socket: %s",
            why->message);
    g_error_free(why);
    return NULL;
}

static bool open_console(struct run *r, GError **error)
{
    bool window = !r->config->headless && console_display_available();

    if (!window && !r->config->ctl)
        return true;
    char *path = console_path(r, error);
    if (path)
        r->console = console_open_vm(r->vm, path, error);
    g_free(path);
    return r->console && (!window || console_spawn(r->console, error));
}

static void close_console(struct run *r)
{
    if (r->console)
        console_close(r->console);
    if (r->console_folder)
        rmdir(r->console_folder);
    g_free(r->console_folder);
}

/* Nobody would see anything: the serial port is for the user then. */
static void default_serial(struct vm_config *c)
{
    if (c->serials->len == 0 && !c->headless && !console_display_available())
        g_ptr_array_add(c->serials, g_strdup("stdio"));
}

static bool take_socket(struct run *r, GError **error)
{
    if (r->config->ctl)
        r->ctl = ctl_open(r->config->ctl, error);
    return !r->config->ctl || r->ctl;
}

static bool prepare(struct run *r, GError **error)
{
    struct vm_config *c = r->config;

    for (guint i = 0; i < c->plugins->len; i++) {
        if (!plugins_load_file(r->plugins, c->plugins->pdata[i], error))
            return false;
    }
    plugins_load_standard(r->plugins);
    default_serial(c);
    stdio_on_quit(on_escape, NULL);
    r->vm = machine_create(c, r->plugins, error);
    return r->vm != NULL;
}

static bool start(struct run *r, GError **error)
{
    struct vm *vm = r->vm;

    if (r->config->restore && !machine_restore(vm, r->config->restore, error))
        return false;
    vm->wake = wake;
    vm->wake_opaque = r;
    vm->event = on_event;
    vm->event_opaque = r;
    if (r->ctl)
        ctl_serve(r->ctl, vm);
    if (!open_console(r, error))
        return false;
    vm_start(vm);
    return true;
}

static int end_status(const struct vm *vm)
{
    switch (vm->end) {
    case VM_END_EXIT_PORT: return vm->end_status & 0xff;
    case VM_END_ERROR: return STATUS_FAILED;
    default: return STATUS_OK;
    }
}

static int run(struct run *r)
{
    GError *error = NULL;
    int status = STATUS_FAILED;

    /* Served by the main loop: the machine is whole then. */
    g_unix_signal_add(SIGINT, on_signal, r);
    g_unix_signal_add(SIGTERM, on_signal, r);
    if (!take_socket(r, &error)) {
        /* another machine's, or no place for one */
    } else if (!prepare(r, &error)) {
        status = STATUS_USAGE;
    } else if (start(r, &error)) {
        g_main_loop_run(r->loop);
        status = end_status(r->vm);
    }
    if (error) {
        cli_complain("%s", error->message);
        g_error_free(error);
    }
    return status;
}

int cli_run(int argc, char **argv)
{
    struct run r = { .config = config_new(), .plugins = plugins_create() };
    GError *error = NULL;
    int status;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            usage();
            config_free(r.config);
            plugins_destroy(r.plugins);
            return STATUS_OK;
        }
    }
    /* A client that went away is an error of its write, no signal. */
    signal(SIGPIPE, SIG_IGN);
    r.loop = g_main_loop_new(NULL, FALSE);
    if (parse(r.config, argc, argv, &error)) {
        status = run(&r);
    } else {
        cli_complain("%s", error->message);
        g_error_free(error);
        status = STATUS_USAGE;
    }
    ctl_close(r.ctl);
    close_console(&r);
    machine_destroy(r.vm);
    g_main_loop_unref(r.loop);
    plugins_destroy(r.plugins);
    config_free(r.config);
    return status;
}
