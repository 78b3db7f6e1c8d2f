/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backplane devtest: devices on a bench with no processor, driven by a
 * script on standard input.  Each command answers with a line "OK" or "OK
 * VALUE"; an error ends the run with its line number.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/number.h"
#include "plugin/device.h"
#include "plugin/load.h"
#include "state/field.h"
#include "vm/bench.h"
#include "vm/error.h"
#include "vm/vm.h"

#define MAX_WORDS 6
#define MAX_DUMP  4096u

struct script {
    struct bench *bench;
    uint8_t *saved; /* by "save" */
    size_t saved_bytes;
    uint64_t last; /* the value of the last answer */
    char *word[MAX_WORDS];
    uint64_t number[MAX_WORDS]; /* of the words that are numbers */
    GError **error;
};

static bool answer(struct script *s, uint64_t value)
{
    s->last = value;
    printf("OK 0x%" PRIx64 "\n", value);
    return true;
}

static bool done(void)
{
    puts("OK");
    return true;
}

/* The size that a command's last letter stands for. */
static unsigned size_of(const struct script *s)
{
    switch (s->word[0][strlen(s->word[0]) - 1]) {
    case 'b': return 1;
    case 'w': return 2;
    case 'l': return 4;
    default: return 8;
    }
}

static bool do_in(struct script *s)
{
    return answer(s, bench_in(s->bench, (uint16_t)s->number[1], size_of(s)));
}

static bool do_out(struct script *s)
{
    bench_out(s->bench, (uint16_t)s->number[1], size_of(s),
              (uint32_t)s->number[2]);
    return done();
}

static bool do_read(struct script *s)
{
    return answer(s, bench_read(s->bench, s->number[1], size_of(s)));
}

static bool do_write(struct script *s)
{
    bench_write(s->bench, s->number[1], size_of(s), s->number[2]);
    return done();
}

static bool pci_place(struct script *s, bool *ok)
{
    uint64_t size = s->number[4];

    *ok = s->number[1] < 32 && s->number[2] < 8 &&
          (size == 1 || size == 2 || size == 4) && s->number[3] < 256 &&
          s->number[3] % size == 0;
    return *ok || vm_fail(s->error, VM_ERROR_CONFIG,
                          "there is no such configuration register");
}

static bool do_pci_read(struct script *s)
{
    bool ok;

    if (!pci_place(s, &ok))
        return false;
    return answer(s,
                  bench_pci_read(s->bench, (unsigned)s->number[1],
                                 (unsigned)s->number[2], (unsigned)s->number[3],
                                 (unsigned)s->number[4]));
}

static bool do_pci_write(struct script *s)
{
    bool ok;

    if (!pci_place(s, &ok))
        return false;
    bench_pci_write(s->bench, (unsigned)s->number[1], (unsigned)s->number[2],
                    (unsigned)s->number[3], (unsigned)s->number[4],
                    (uint32_t)s->number[5]);
    return done();
}

/* Bytes of main memory, as hexadecimal digits. */
static bool do_memread(struct script *s)
{
    uint64_t at = s->number[1], n = s->number[2];
    const uint8_t *ram = bench_ram(s->bench);

    if (n > MAX_DUMP || at > BENCH_RAM || n > BENCH_RAM - at)
        return vm_fail(s->error, VM_ERROR_CONFIG, "there is no such memory");
    printf("OK 0x");
    for (uint64_t i = 0; i < n; i++)
        printf("%02x", ram[at + i]);
    putchar('\n');
    return true;
}

static bool do_memwrite(struct script *s)
{
    const char *hex = s->word[2];
    uint64_t at = s->number[1], n;
    uint8_t *ram = bench_ram(s->bench);

    hex += g_str_has_prefix(hex, "0x") ? 2 : 0;
    n = strlen(hex) / 2;
    if (strlen(hex) % 2 || strspn(hex, "0123456789abcdefABCDEF") != 2 * n ||
        at > BENCH_RAM || n > BENCH_RAM - at)
        return vm_fail(s->error, VM_ERROR_CONFIG,
                       "'%s' cannot be written there", hex);
    for (uint64_t i = 0; i < n; i++)
        ram[at + i] = (uint8_t)(g_ascii_xdigit_value(hex[2 * i]) << 4 |
                                g_ascii_xdigit_value(hex[2 * i + 1]));
    return done();
}

static bool do_step(struct script *s)
{
    if (s->word[1])
        bench_step(s->bench, s->number[1]);
    else
        bench_step_to_timer(s->bench);
    return answer(s, bench_now(s->bench));
}

static bool do_irq(struct script *s)
{
    return answer(s, bench_line(s->bench, s->word[1], (unsigned)s->number[2]));
}

static bool do_edges(struct script *s)
{
    return answer(s, bench_edges(s->bench, s->word[1], (unsigned)s->number[2]));
}

static bool do_set_irq(struct script *s)
{
    bench_drive(s->bench, s->word[1], (unsigned)s->number[2],
                s->number[3] != 0);
    return done();
}

static bool do_acknowledge(struct script *s)
{
    return answer(s, (uint64_t)bench_acknowledge(s->bench) & 0xffffffff);
}

static bool do_requests(struct script *s)
{
    return answer(s, bench_requests(s->bench));
}

static bool do_key(struct script *s)
{
    bench_key(s->bench, (uint32_t)s->number[1], s->number[2] != 0);
    return done();
}

static bool do_reset(struct script *s)
{
    bench_reset(s->bench, 0);
    return done();
}

static bool do_save(struct script *s)
{
    g_free(s->saved);
    s->saved = bench_save(s->bench, &s->saved_bytes);
    return answer(s, s->saved_bytes);
}

static bool do_load(struct script *s)
{
    if (!s->saved)
        return vm_fail(s->error, VM_ERROR_CONFIG, "nothing was saved");
    return bench_try_load(s->bench, s->saved, s->saved_bytes, s->error) &&
           done();
}

static bool do_save_load(struct script *s)
{
    bench_save_load(s->bench);
    return done();
}

static bool do_hash(struct script *s)
{
    char *hash = bench_hash(s->bench);

    printf("OK %s\n", hash);
    g_free(hash);
    return true;
}

static bool do_state(struct script *s)
{
    struct vm *vm = bench_vm(s->bench);

    for (guint i = 0; i < vm->devices->len; i++) {
        const struct device *d = vm->devices->pdata[i];
        GString *text = g_string_new(NULL);
        fields_describe(text, d->desc->fields, d->self, "  ");
        printf("%s\n%s", d->name, text->str);
        g_string_free(text, TRUE);
    }
    return done();
}

static bool do_expect(struct script *s)
{
    if (s->last != s->number[1])
        return vm_fail(s->error, VM_ERROR_RUN,
                       "the last answer was 0x%" PRIx64 ", not 0x%" PRIx64,
                       s->last, s->number[1]);
    return done();
}

/* Words: n a number, t a text, after | they may be missing. */
static const struct command {
    const char *name;
    const char *words;
    bool (*run)(struct script *s);
    const char *help;
} commands[] = {
    { "inb", "n", do_in, "inb inw inl PORT" },
    { "inw", "n", do_in, NULL },
    { "inl", "n", do_in, NULL },
    { "outb", "nn", do_out, "outb outw outl PORT VALUE" },
    { "outw", "nn", do_out, NULL },
    { "outl", "nn", do_out, NULL },
    { "readb", "n", do_read, "readb readw readl readq ADDRESS" },
    { "readw", "n", do_read, NULL },
    { "readl", "n", do_read, NULL },
    { "readq", "n", do_read, NULL },
    { "writeb", "nn", do_write, "writeb writew writel writeq ADDRESS VALUE" },
    { "writew", "nn", do_write, NULL },
    { "writel", "nn", do_write, NULL },
    { "writeq", "nn", do_write, NULL },
    { "read", "nn", do_memread, "read ADDRESS BYTES  of main memory" },
    { "write", "nt", do_memwrite, "write ADDRESS HEX  to main memory" },
    { "pci_read", "nnnn", do_pci_read, "pci_read SLOT FUNCTION OFFSET SIZE" },
    { "pci_write", "nnnnn", do_pci_write,
      "pci_write SLOT FUNCTION OFFSET SIZE VALUE" },
    { "clock_step", "|n", do_step,
      "clock_step [NS]  without: to the next timer" },
    { "irq", "tn", do_irq, "irq GROUP NUMBER  level of a line" },
    { "edges", "tn", do_edges, "edges GROUP NUMBER  since the last time" },
    { "set_irq", "tnn", do_set_irq, "set_irq GROUP NUMBER LEVEL" },
    { "acknowledge", "", do_acknowledge, "acknowledge  an interrupt" },
    { "requests", "", do_requests, "requests  1 reset, 2 end" },
    { "key", "nn", do_key, "key USAGE DOWN" },
    { "reset", "", do_reset, "reset" },
    { "save", "", do_save, "save load  state in memory" },
    { "load", "", do_load, NULL },
    { "save_load", "", do_save_load,
      "save_load  into devices that are made anew" },
    { "hash", "", do_hash, "hash  of the saved form" },
    { "state", "", do_state, "state  shows all fields" },
    { "expect", "n", do_expect, "expect VALUE  of the last answer" },
};

/* Splits and checks the words after the name. */
static bool check_words(struct script *s, const struct command *c)
{
    const char *w = c->words;
    bool optional = false;
    unsigned i = 1;

    for (; *w; w++) {
        if (*w == '|') {
            optional = true;
            continue;
        }
        if (!s->word[i])
            break;
        if (*w == 'n' && !number_parse(s->word[i], &s->number[i]))
            return vm_fail(s->error, VM_ERROR_CONFIG, "'%s' is no number",
                           s->word[i]);
        i++;
    }
    if (*w && !optional)
        return vm_fail(s->error, VM_ERROR_CONFIG, "'%s' needs more words",
                       c->name);
    return (i >= MAX_WORDS || !s->word[i]) ||
           vm_fail(s->error, VM_ERROR_CONFIG, "'%s' does not take '%s'",
                   c->name, s->word[i]);
}

static bool execute(struct script *s, char *line)
{
    char *save = NULL, *end = strchr(line, '#');
    unsigned n = 0;

    if (end)
        *end = 0;
    memset(s->word, 0, sizeof(s->word));
    for (char *w = strtok_r(line, " \t\r\n", &save); w && n < MAX_WORDS;
         w = strtok_r(NULL, " \t\r\n", &save))
        s->word[n++] = w;
    if (!n)
        return true;
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, s->word[0]) == 0)
            return check_words(s, &commands[i]) && commands[i].run(s);
    }
    return vm_fail(s->error, VM_ERROR_CONFIG, "there is no command '%s'",
                   s->word[0]);
}

static int run_script(struct bench *b, FILE *from)
{
    GError *error = NULL;
    struct script s = { .bench = b, .error = &error };
    char *line = NULL;
    size_t room = 0;
    unsigned number = 0;
    bool ok = true;

    while (ok && getline(&line, &room, from) >= 0) {
        number++;
        ok = execute(&s, line);
        fflush(stdout);
    }
    free(line);
    g_free(s.saved);
    if (ok)
        return STATUS_OK;
    printf("FAIL line %u: %s\n", number, error->message);
    g_error_free(error);
    return STATUS_FAILED;
}

static void usage(void)
{
    puts("usage: backplane devtest [--plugin FILE].. [--drive NAME=BYTES].. "
         "[--port NAME]..\n"
         "           DEVICE[,PROPERTY=VALUE].. <script\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (commands[i].help)
            printf("  %s\n", commands[i].help);
    }
}

static bool add_device(struct bench *b, struct plugins *p, const char *text,
                       GError **error)
{
    char **parts = g_strsplit(text, ",", -1);
    const struct bp_device_desc *desc = plugins_find(p, parts[0]);
    bool ok = desc ? bench_try_add(b, desc, parts[0],
                                   (const char *const *)(parts + 1), error)
                   : vm_fail(error, VM_ERROR_CONFIG,
                             "there is no device type '%s'", parts[0]);

    g_strfreev(parts);
    return ok;
}

static bool add_drive(struct bench *b, const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    uint64_t bytes;

    if (!equals || !number_parse_size(equals + 1, &bytes) || bytes % 2048 ||
        bytes > 1u << 30)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "'%s' is not of the form NAME=BYTES", text);
    char *name = g_strndup(text, (gsize)(equals - text));
    bench_add_drive(b, name, 0, bytes, NULL);
    g_free(name);
    return true;
}

static bool build(struct bench *b, struct plugins *p, int argc, char **argv,
                  GError **error)
{
    bool ok = true;

    for (int i = 1; ok && i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--plugin") == 0)
            i++;
        else if (strcmp(argv[i], "--drive") == 0 && ++i)
            ok = add_drive(b, value, error);
        else if (strcmp(argv[i], "--port") == 0 && ++i)
            bench_add_port(b, value);
        else if (argv[i][0] == '-')
            ok = vm_fail(error, VM_ERROR_CONFIG,
                         "devtest: there is no option '%s'", argv[i]);
        else
            ok = add_device(b, p, argv[i], error);
    }
    if (ok && !bench_vm(b)->devices->len)
        ok = vm_fail(error, VM_ERROR_CONFIG, "devtest: which device?");
    return ok && bench_try_power_on(b, error);
}

static bool load_plugins(struct plugins *p, int argc, char **argv,
                         GError **error)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--plugin") == 0 &&
            !plugins_load_file(p, argv[i + 1], error))
            return false;
    }
    plugins_load_standard(p);
    return true;
}

int cli_devtest(int argc, char **argv)
{
    struct plugins *p = plugins_create();
    struct bench *b = NULL;
    GError *error = NULL;
    int status = STATUS_USAGE;

    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        usage();
        plugins_destroy(p);
        return STATUS_OK;
    }
    if (load_plugins(p, argc, argv, &error) &&
        (b = bench_try_empty(p, BENCH_RAM, &error)) &&
        build(b, p, argc, argv, &error))
        status = run_script(b, stdin);
    if (error)
        cli_complain("%s", error->message);
    g_clear_error(&error);
    bench_destroy(b);
    plugins_destroy(p);
    return status;
}
