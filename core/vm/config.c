/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/config.h"

#include <config.h> /* not that of this folder */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hv/hv.h"
#include "lib/number.h"
#include "net/options.h"
#include "vm/config_own.h"
#include "vm/error.h"

#define MIN_MEMORY  (1ull << 20)
#define MAX_MEMORY  (1ull << 40)
#define MAX_CPUS    64u
#define MAX_SERIALS 4u
#define MAX_NICS    8u

static void drive_free(gpointer opaque)
{
    struct config_drive *d = opaque;

    g_free(d->path);
    g_free(d);
}

static void device_free(gpointer opaque)
{
    struct config_device *d = opaque;

    g_free(d->type);
    g_free(d->name);
    g_ptr_array_free(d->settings, TRUE);
    g_free(d);
}

static void nic_free(gpointer opaque)
{
    net_options_free(opaque);
}

struct vm_config *config_new(void)
{
    struct vm_config *c = g_new0(struct vm_config, 1);

    c->name = g_strdup("vm");
    c->generation = 1;
    c->memory = 512ull << 20;
    c->cpus = 1;
    c->jit = CONFIG_JIT;
    c->hv = true;
    c->hv_features = HV_F_DEFAULT;
    c->firmware = g_strdup("seabios");
    c->drives = g_ptr_array_new_with_free_func(drive_free);
    c->devices = g_ptr_array_new_with_free_func(device_free);
    c->serials = g_ptr_array_new_with_free_func(g_free);
    c->nics = g_ptr_array_new_with_free_func(nic_free);
    c->dynmem = g_ptr_array_new_with_free_func(g_free);
    c->plugins = g_ptr_array_new_with_free_func(g_free);
    return c;
}

void config_free(struct vm_config *c)
{
    if (!c)
        return;
    g_ptr_array_free(c->drives, TRUE);
    g_ptr_array_free(c->devices, TRUE);
    g_ptr_array_free(c->serials, TRUE);
    g_ptr_array_free(c->nics, TRUE);
    g_ptr_array_free(c->dynmem, TRUE);
    g_ptr_array_free(c->plugins, TRUE);
    g_free(c->name);
    g_free(c->cpu);
    g_free(c->kernel);
    g_free(c->initrd);
    g_free(c->append);
    g_free(c->firmware);
    g_free(c->boot);
    g_free(c->debugcon);
    g_free(c->ctl);
    g_free(c->restore);
    g_free(c);
}

/* --- values ---------------------------------------------------------------*/

static bool refuse(GError **error, const char *key, const char *value,
                   const char *what)
{
    return vm_fail(error, VM_ERROR_CONFIG, "%s '%s': %s", key, value, what);
}

static bool set_memory(struct vm_config *c, const char *key, const char *v,
                       GError **error)
{
    uint64_t bytes;

    if (!number_parse_size(v, &bytes))
        return refuse(error, key, v, "this is no size such as 512M or 2G");
    if (bytes < MIN_MEMORY || bytes > MAX_MEMORY || bytes % 4096)
        return refuse(error, key, v,
                      "a machine has 1M to 1T of memory, in multiples of 4K");
    c->memory = bytes;
    return true;
}

static bool set_memory_max(struct vm_config *c, const char *key, const char *v,
                           GError **error)
{
    if (!number_parse_size(v, &c->memory_max) || c->memory_max > MAX_MEMORY)
        return refuse(error, key, v, "this is no size up to 1T");
    return true;
}

/* The device of dynamic memory checks its properties. */
static bool set_dynmem(struct vm_config *c, const char *key, const char *v,
                       GError **error)
{
    g_ptr_array_add(c->dynmem,
                    g_strconcat(key + strlen("memory-"), "=", v, NULL));
    return true;
}

static bool set_cpus(struct vm_config *c, const char *key, const char *v,
                     GError **error)
{
    uint64_t n;

    if (!number_parse(v, &n) || n < 1 || n > MAX_CPUS)
        return refuse(error, key, v, "a machine has 1 to 64 processors");
    c->cpus = (unsigned)n;
    return true;
}

static bool set_jit(struct vm_config *c, const char *key, const char *v,
                    GError **error)
{
    bool check = !strcmp(v, "check"), on = check || !strcmp(v, "on");

    if (!on && strcmp(v, "off"))
        return refuse(error, key, v, "it is on, off or check");
    c->jit = on;
    c->jit_check = check;
    return true;
}

static bool set_hv(struct vm_config *c, const char *key, const char *v,
                   GError **error)
{
    uint32_t bit;
    bool on;

    if (!number_parse_bool(v, &on))
        return refuse(error, key, v, "it is on or off");
    if (!strcmp(key, "hv")) {
        c->hv = on;
        return true;
    }
    bit = hv_feature(key + strlen("hv."));
    c->hv_features = on ? c->hv_features | bit : c->hv_features & ~bit;
    return true;
}

static bool set_boot(struct vm_config *c, const char *key, const char *v,
                     GError **error)
{
    static const struct {
        const char *word;
        char letter;
    } words[] = {
        { "floppy", 'a' }, { "disk", 'c' },    { "cd", 'd' },
        { "cdrom", 'd' },  { "network", 'n' }, { "a", 'a' },
        { "c", 'c' },      { "d", 'd' },       { "n", 'n' },
    };
    GString *letters = g_string_new(NULL);
    char **list = g_strsplit(v, ",", -1);

    for (char **w = list; *w && letters; w++) {
        unsigned i = 0;
        while (i < G_N_ELEMENTS(words) && strcmp(words[i].word, *w) != 0)
            i++;
        if (i < G_N_ELEMENTS(words)) {
            g_string_append_c(letters, words[i].letter);
        } else if (**w && strspn(*w, "acdn") == strlen(*w)) {
            g_string_append(letters, *w);
        } else {
            g_string_free(letters, TRUE);
            letters = NULL;
        }
    }
    g_strfreev(list);
    if (letters && !letters->len) {
        g_string_free(letters, TRUE);
        letters = NULL;
    }
    if (!letters)
        return refuse(error, key, v,
                      "the order is made of floppy, disk, cd "
                      "and network, or the letters a, c, d, n");
    g_free(c->boot);
    c->boot = g_string_free(letters, FALSE);
    return true;
}

static bool set_pause_at(struct vm_config *c, const char *key, const char *v,
                         GError **error)
{
    uint64_t ms;

    if (!number_parse(v, &ms) || !ms || ms > UINT64_MAX / 1000000)
        return refuse(error, key, v, "it is not a number of milliseconds");
    c->pause_at = ms * 1000000;
    return true;
}

static bool set_rtc_base(struct vm_config *c, const char *key, const char *v,
                         GError **error)
{
    GTimeZone *utc = g_time_zone_new_utc();
    GDateTime *t = g_date_time_new_from_iso8601(v, utc);

    g_time_zone_unref(utc);
    if (!t)
        return refuse(error, key, v,
                      "this is no time such as 2024-02-29T12:00:00");
    c->rtc_base = g_date_time_to_unix(t) * 1000000000;
    c->has_rtc_base = true;
    g_date_time_unref(t);
    return true;
}

/* Splits "a,b=c" at commas; ",," is a comma. */
GPtrArray *config_split_commas(const char *text)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);
    GString *part = g_string_new(NULL);

    for (; *text; text++) {
        if (*text == ',' && text[1] != ',') {
            g_ptr_array_add(parts, g_string_free(part, FALSE));
            part = g_string_new(NULL);
            continue;
        }
        if (*text == ',')
            text++;
        g_string_append_c(part, *text);
    }
    g_ptr_array_add(parts, g_string_free(part, FALSE));
    return parts;
}

static bool set_generation(struct vm_config *c, const char *key, const char *v,
                           GError **error)
{
    if (strcmp(v, "1") != 0 && strcmp(v, "2") != 0)
        return refuse(error, key, v, "there are Generation 1 and 2");
    c->generation = (unsigned)(v[0] - '0');
    return true;
}

static bool set_disk(struct vm_config *c, const char *key, const char *v,
                     GError **error)
{
    return config_add_drive(c, CONFIG_DISK, key, v, error);
}

static bool set_cdrom(struct vm_config *c, const char *key, const char *v,
                      GError **error)
{
    return config_add_drive(c, CONFIG_CDROM, key, v, error);
}

static bool set_floppy(struct vm_config *c, const char *key, const char *v,
                       GError **error)
{
    return config_add_drive(c, CONFIG_FLOPPY, key, v, error);
}

static struct config_device *device_new(struct vm_config *c)
{
    struct config_device *d = g_new0(struct config_device, 1);

    d->settings = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(c->devices, d);
    return d;
}

/* "ID,property=value,.."; the property "name" is the instance's name. */
static bool set_device(struct vm_config *c, const char *key, const char *v,
                       GError **error)
{
    GPtrArray *parts = config_split_commas(v);
    struct config_device *d = device_new(c);

    d->type = g_strdup(parts->pdata[0]);
    for (guint i = 1; i < parts->len; i++) {
        const char *part = parts->pdata[i];
        if (g_str_has_prefix(part, "name=")) {
            g_free(d->name);
            d->name = g_strdup(part + strlen("name="));
        } else {
            g_ptr_array_add(d->settings, g_strdup(part));
        }
    }
    g_ptr_array_free(parts, TRUE);
    return d->type[0] || refuse(error, key, v, "the device is missing");
}

static bool set_serial(struct vm_config *c, const char *key, const char *v,
                       GError **error)
{
    if (c->serials->len >= MAX_SERIALS)
        return refuse(error, key, v, "a machine has at most 4 serial ports");
    g_ptr_array_add(c->serials, g_strdup(v));
    return true;
}

static bool set_nic(struct vm_config *c, const char *key, const char *v,
                    GError **error)
{
    GPtrArray *parts = config_split_commas(v);

    if (c->nics->len >= MAX_NICS) {
        g_ptr_array_free(parts, TRUE);
        return refuse(error, key, v, "a machine has at most 8 of them");
    }
    g_ptr_array_add(parts, NULL);
    struct net_options *o =
        net_options_parse((const char *const *)parts->pdata, error);
    g_ptr_array_free(parts, TRUE);
    if (!o) {
        g_prefix_error(error, "%s '%s': ", key, v);
        return false;
    }
    g_ptr_array_add(c->nics, o);
    return true;
}

static bool set_plugin(struct vm_config *c, const char *key, const char *v,
                       GError **error)
{
    g_ptr_array_add(c->plugins, g_strdup(v));
    return true;
}

/* --- keys -----------------------------------------------------------------*/

enum key_kind { KEY_TEXT, KEY_PATH, KEY_SWITCH, KEY_CALL };

static const struct key {
    const char *name;
    const char *value; /* for the usage text */
    const char *help;
    enum key_kind kind;
    size_t offset; /* TEXT, PATH, SWITCH */
    bool (*set)(struct vm_config *c, const char *key, const char *value,
                GError **error);
    bool is_path; /* CALL: the value begins with a path */
} keys[] = {
#define AT(member) offsetof(struct vm_config, member)
    { "name", "NAME", "what the machine is called", KEY_TEXT, AT(name) },
    { "gen", "1|2", "the machine: a PC with BIOS, or VMBus only", KEY_CALL, 0,
      set_generation },
    { "memory", "SIZE", "main memory, e.g. 512M", KEY_CALL, 0, set_memory },
    { "memory-max", "SIZE", "up to this, guests get more by demand or order",
      KEY_CALL, 0, set_memory_max },
    { "memory-min", "SIZE", "down to this, guests give memory back by demand",
      KEY_CALL, 0, set_dynmem },
    { "memory-buffer", "PERCENT", "what a guest gets beyond its demand (20)",
      KEY_CALL, 0, set_dynmem },
    { "memory-weight", "0..10000", "how much of that stays on a full host",
      KEY_CALL, 0, set_dynmem },
    { "cpus", "N", "processors", KEY_CALL, 0, set_cpus },
    { "cpu", "MODEL", "486 .. x86-64-v3, features: ,+NAME ,-NAME", KEY_TEXT,
      AT(cpu) },
    { "disk", "FILE[,OPTION]..",
      "a disk: snapshot readonly bus=ide|scsi controller=N lun=N block=4096",
      KEY_CALL, 0, set_disk, true },
    { "cdrom", "FILE[,OPTION]..", "a CD-ROM drive; \"\" is an empty one",
      KEY_CALL, 0, set_cdrom, true },
    { "floppy", "FILE", "a floppy drive", KEY_CALL, 0, set_floppy, true },
    { "kernel", "FILE", "a Linux or Multiboot kernel to start at once",
      KEY_PATH, AT(kernel) },
    { "initrd", "FILE", "its initial RAM disk", KEY_PATH, AT(initrd) },
    { "append", "TEXT", "its command line", KEY_TEXT, AT(append) },
    { "serial", "stdio|socket:PATH|file:PATH|none", "where a serial port goes",
      KEY_CALL, 0, set_serial },
    { "nic", "user|tap|socket|none[,OPTION=VALUE]..",
      "a network adapter: mac= mtu= link=off; user: hostfwd=tcp::2222-:22 "
      "net= restrict= ipv6= tftp= bootfile= hostname=; tap: ifname= fd=; "
      "socket: path=",
      KEY_CALL, 0, set_nic },
    { "debugcon", "stdio|file:PATH", "where the firmware's messages go",
      KEY_TEXT, AT(debugcon) },
    { "ctl", "PATH", "socket for `backplane ctl`", KEY_PATH, AT(ctl) },
    { "headless", NULL, "no window", KEY_SWITCH, AT(headless) },
    { "deterministic", NULL,
      "every run is the same: one host thread, "
      "instruction-counted time",
      KEY_SWITCH, AT(deterministic) },
    { "jit", "on|off|check", "translate guest code to host code", KEY_CALL, 0,
      set_jit },
    { "perf-map", NULL, "tell `perf report` of translated code", KEY_SWITCH,
      AT(perf_map) },
    { "rtc-base", "ISO8601", "the clock's time at the start, UTC", KEY_CALL, 0,
      set_rtc_base },
    { "pause-at", "MS", "stop at this virtual time, in milliseconds", KEY_CALL,
      0, set_pause_at },
    { "restore", "FILE", "go on with a saved machine", KEY_PATH, AT(restore) },
    { "firmware", "FILE|seabios", "the BIOS", KEY_TEXT, AT(firmware) },
    { "boot", "ORDER", "floppy,cd,disk,network or letters a d c n", KEY_CALL, 0,
      set_boot },
    { "isa-debug-exit", NULL, "a port that ends the machine with a status",
      KEY_SWITCH, AT(isa_debug_exit) },
    { "hv", "on|off", "Hyper-V's interface to guests; each part can be off:",
      KEY_CALL, 0, set_hv },
    { "hv.synic", "on|off", "messages and events of devices (VMBus needs it)",
      KEY_CALL, 0, set_hv },
    { "hv.stimer", "on|off", "synthetic timers", KEY_CALL, 0, set_hv },
    { "hv.stimer-direct", "on|off", "... that raise a vector themselves",
      KEY_CALL, 0, set_hv },
    { "hv.apic", "on|off", "registers for EOI, ICR and TPR", KEY_CALL, 0,
      set_hv },
    { "hv.ref-count", "on|off", "the reference time, by register", KEY_CALL, 0,
      set_hv },
    { "hv.ref-tsc", "on|off", "... and by TSC and a page", KEY_CALL, 0,
      set_hv },
    { "hv.frequency", "on|off", "frequencies of TSC and APIC timer", KEY_CALL,
      0, set_hv },
    { "hv.crash", "on|off", "a panicking guest tells the host", KEY_CALL, 0,
      set_hv },
    { "hv.reset", "on|off", "the reset register", KEY_CALL, 0, set_hv },
    { "hv.idle", "on|off", "the idle register", KEY_CALL, 0, set_hv },
    { "hv.runtime", "on|off", "the run time of a processor", KEY_CALL, 0,
      set_hv },
    { "hv.flush", "on|off", "TLB flushes by hypercall", KEY_CALL, 0, set_hv },
    { "hv.ipi", "on|off", "interrupts between processors by hypercall",
      KEY_CALL, 0, set_hv },
    { "hv.xmm-input", "on|off", "hypercall input in XMM registers", KEY_CALL, 0,
      set_hv },
    { "device", "TYPE[,PROPERTY=VALUE].. ", "one more device", KEY_CALL, 0,
      set_device },
    { "plugin", "FILE", "a plugin with more devices", KEY_CALL, 0, set_plugin,
      true },
#undef AT
};

static const struct key *find_key(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

bool config_takes_value(const char *name, bool *known)
{
    const struct key *k = find_key(name);

    *known = k != NULL;
    return k && k->kind != KEY_SWITCH;
}

static void store_text(struct vm_config *c, size_t offset, const char *value)
{
    char **at = (char **)(void *)((uint8_t *)c + offset);

    g_free(*at);
    *at = g_strdup(value);
}

bool config_set(struct vm_config *c, const char *name, const char *value,
                GError **error)
{
    const struct key *k = find_key(name);

    if (!k)
        return vm_fail(error, VM_ERROR_CONFIG, "there is no key '%s'", name);
    if (k->kind == KEY_SWITCH) {
        bool *at = (bool *)((uint8_t *)c + k->offset);
        *at = true;
        return !value || number_parse_bool(value, at) ||
               refuse(error, name, value, "it is on or off");
    }
    if (!value)
        return vm_fail(error, VM_ERROR_CONFIG, "'%s' needs a value (%s)", name,
                       k->value);
    if (k->set)
        return k->set(c, name, value, error);
    store_text(c, k->offset, value);
    return true;
}

void config_print_keys(GString *out)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        char *head = g_strdup_printf("--%s %s", keys[i].name,
                                     keys[i].value ? keys[i].value : "");
        g_string_append_printf(out, "  %-30s %s%s\n", head,
                               strlen(head) > 30
                                   ? "\n"
                                     "                                 "
                                   : "",
                               keys[i].help);
        g_free(head);
    }
}

/* --- vm.conf --------------------------------------------------------------*/

struct reader {
    struct vm_config *c;
    const char *path;
    char *folder;
    unsigned line;
    struct config_device *device; /* NULL: not in such a section */
};

static bool syntax(struct reader *r, GError **error, const char *what)
{
    return vm_fail(error, VM_ERROR_CONFIG, "'%s' line %u: %s", r->path, r->line,
                   what);
}

static bool read_section(struct reader *r, char *text, GError **error)
{
    char *end = strchr(text, ']');
    char word[16], name[64];

    if (!end || end[1])
        return syntax(r, error, "a section is [device NAME] or [machine]");
    *end = 0;
    r->device = NULL;
    if (strcmp(text, "machine") == 0)
        return true;
    if (sscanf(text, "%15s %63[^]]", word, name) != 2 ||
        strcmp(word, "device") != 0)
        return syntax(r, error, "a section is [device NAME] or [machine]");
    r->device = device_new(r->c);
    r->device->name = g_strdup(name);
    return true;
}

static bool read_device_key(struct reader *r, const char *key,
                            const char *value)
{
    if (strcmp(key, "type") == 0) {
        g_free(r->device->type);
        r->device->type = g_strdup(value);
    } else {
        g_ptr_array_add(r->device->settings,
                        g_strdup_printf("%s=%s", key, value));
    }
    return true;
}

/* Paths are the file's, not the caller's folder's. */
static char *resolve(struct reader *r, const char *key, const char *value)
{
    const struct key *k = find_key(key);
    bool is_path =
        k && (k->kind == KEY_PATH || k->is_path ||
              (strcmp(key, "firmware") == 0 && strcmp(value, "seabios") != 0));

    if (!is_path || !value[0] || g_path_is_absolute(value))
        return g_strdup(value);
    return g_build_filename(r->folder, value, NULL);
}

static bool read_line(struct reader *r, char *text, GError **error)
{
    g_strstrip(text);
    if (!text[0] || text[0] == '#')
        return true;
    if (text[0] == '[')
        return read_section(r, text + 1, error);
    char *equals = strchr(text, '=');
    if (!equals)
        return syntax(r, error, "a line is key = value");
    *equals = 0;
    char *key = g_strstrip(text), *value = g_strstrip(equals + 1);
    if (r->device)
        return read_device_key(r, key, value);
    char *resolved = resolve(r, key, value);
    bool ok = config_set(r->c, key, resolved, error);
    g_free(resolved);
    if (!ok)
        g_prefix_error(error, "'%s' line %u: ", r->path, r->line);
    return ok;
}

bool config_read_file(struct vm_config *c, const char *path, GError **error)
{
    struct reader r = { .c = c, .path = path };
    GError *why = NULL;
    char *text;

    if (!g_file_get_contents(path, &text, NULL, &why)) {
        vm_fail(error, VM_ERROR_CONFIG, "'%s' cannot be read: %s", path,
                why->message);
        g_error_free(why);
        return false;
    }
    r.folder = g_path_get_dirname(path);
    char **lines = g_strsplit(text, "\n", -1);
    bool ok = true;
    for (char **l = lines; *l && ok; l++) {
        r.line++;
        ok = read_line(&r, *l, error);
    }
    g_strfreev(lines);
    g_free(r.folder);
    g_free(text);
    return ok;
}

/* --- as a whole -----------------------------------------------------------*/

static bool check_gen2(const struct vm_config *c, GError **error)
{
    if (strcmp(c->firmware, "seabios") != 0)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "a Generation 2 machine takes no BIOS");
    if (!c->kernel)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "a Generation 2 machine needs 'kernel': it has no "
                       "firmware to start from a disk");
    return true;
}

bool config_check(const struct vm_config *c, GError **error)
{
    if (!config_check_drives(c, error))
        return false;
    if (c->generation == 2 && !check_gen2(c, error))
        return false;
    if (!c->kernel && (c->initrd || c->append))
        return vm_fail(error, VM_ERROR_CONFIG, "'%s' needs 'kernel'",
                       c->initrd ? "initrd" : "append");
    for (guint i = 0; c->deterministic && i < c->nics->len; i++) {
        const struct net_options *o = c->nics->pdata[i];
        if (o->kind != NET_NONE)
            return vm_fail(error, VM_ERROR_CONFIG,
                           "'nic' %s: a deterministic machine has no network "
                           "but 'none', since what others send is not the "
                           "same each time",
                           net_kind_name(o->kind));
    }
    for (guint i = 0; i < c->devices->len; i++) {
        const struct config_device *d = c->devices->pdata[i];
        if (!d->type)
            return vm_fail(error, VM_ERROR_CONFIG, "device '%s' has no type",
                           d->name);
    }
    return true;
}

char *config_fingerprint(const struct vm_config *c)
{
    GString *s = g_string_new(NULL);

    g_string_printf(s,
                    "gen%u memory=%" PRIu64 " cpus=%u cpu=%s "
                    "deterministic=%d",
                    c->generation, c->memory, c->cpus,
                    c->cpu ? c->cpu : "default", c->deterministic);
    if (c->memory_max > c->memory)
        g_string_append_printf(s, " memory-max=%" PRIu64, c->memory_max);
    if (c->hv)
        g_string_append_printf(s, " hv=%x", c->hv_features);
    for (guint i = 0; i < c->drives->len; i++) {
        const struct config_drive *d = c->drives->pdata[i];
        /* Those on SCSI controllers come and go; state/board.c looks. */
        if (!config_is_scsi(c, d))
            g_string_append_printf(s, " drive%u=%d", i, d->kind);
    }
    g_string_append_printf(s, " serials=%u", c->serials->len);
    if (c->nics->len)
        g_string_append_printf(s, " nics=%u", c->nics->len);
    for (guint i = 0; i < c->devices->len; i++) {
        const struct config_device *d = c->devices->pdata[i];
        g_string_append_printf(s, " device=%s", d->type);
    }
    return g_string_free(s, FALSE);
}
