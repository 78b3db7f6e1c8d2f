/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/pci.h"
#include "bus/wire.h"
#include "input/input.h"
#include "plugin/device.h"
#include "plugin/load.h"
#include "vm/bench_own.h"
#include "vm/error.h"
#include "vm/firmware.h"

void bench_die(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    char *text = g_strdup_vprintf(format, ap);
    va_end(ap);
    fprintf(stderr, "bench: %s\n", text);
    exit(1);
}

/* --- signals --------------------------------------------------------------*/

static const char *const groups[] = {
    "isa", "pirq", "gsi", "intr", "nmi", "smi", "ferr", "a20",
};

static void line_changed(void *opaque, unsigned number, bool level)
{
    struct watch *watch = opaque;

    if (watch->bench->quiet)
        return;
    watch->edges += level;
}

static void watch_lines(struct bench *b)
{
    for (unsigned g = 0; g < G_N_ELEMENTS(groups); g++) {
        unsigned n = wires_in_group(groups[g]);
        for (unsigned i = 0; i < n; i++) {
            struct watch *watch = g_new0(struct watch, 1);
            watch->bench = b;
            watch->group = groups[g];
            watch->number = i;
            g_ptr_array_add(b->watches, watch);
            wire_input_add(b->vm.wires, groups[g], i, NULL, line_changed,
                           watch);
        }
    }
}

static struct watch *watch_of(struct bench *b, const char *group,
                              unsigned number)
{
    for (guint i = 0; i < b->watches->len; i++) {
        struct watch *watch = b->watches->pdata[i];
        if (watch->number == number && !strcmp(watch->group, group))
            return watch;
    }
    bench_die("there is no line '%s' %u", group, number);
}

bool bench_line(struct bench *b, const char *group, unsigned number)
{
    watch_of(b, group, number);
    return wire_level(b->vm.wires, group, number);
}

unsigned bench_edges(struct bench *b, const char *group, unsigned number)
{
    struct watch *watch = watch_of(b, group, number);
    unsigned n = watch->edges;

    watch->edges = 0;
    return n;
}

void bench_drive(struct bench *b, const char *group, unsigned number,
                 bool level)
{
    struct watch *watch = watch_of(b, group, number);

    bench_power_on(b);
    if (!watch->output)
        watch->output = wire_output_add(b->vm.wires, group, number);
    wire_output_set(watch->output, level);
    bench_run(b);
}

int bench_acknowledge(struct bench *b)
{
    bench_power_on(b);
    return b->vm.pic_ack ? b->vm.pic_ack(b->vm.pic_opaque) : -1;
}

void bench_eoi(struct bench *b, uint8_t vector)
{
    bench_power_on(b);
    if (b->vm.ioapic_eoi)
        b->vm.ioapic_eoi(b->vm.ioapic_opaque, vector);
    bench_run(b);
}

#define MAX_MESSAGES 4096u

static void message_sent(void *opaque, uint32_t dest, bool logical,
                         unsigned delivery_mode, uint8_t vector, bool level)
{
    struct bench *b = opaque;
    struct bench_message m = { dest, logical, delivery_mode, vector, level };

    if (b->messages.length < MAX_MESSAGES)
        g_queue_push_tail(&b->messages, g_memdup2(&m, sizeof(m)));
}

bool bench_message(struct bench *b, struct bench_message *out)
{
    struct bench_message *m = g_queue_pop_head(&b->messages);

    if (!m)
        return false;
    *out = *m;
    g_free(m);
    return true;
}

/* --- life -----------------------------------------------------------------*/

/* The build folder's plugins: $B, or above the program. */
static struct plugins *find_plugins(void)
{
    struct plugins *p = plugins_create();
    const char *build = g_getenv("B");
    char *folder =
        build ? g_strdup(build) : g_file_read_link("/proc/self/exe", NULL);

    for (int up = 0; folder && up < 5; up++) {
        char *legacy = g_build_filename(folder, "plugins", "legacy", NULL);
        char *synthetic =
            g_build_filename(folder, "plugins", "synthetic", NULL);
        bool found = g_file_test(legacy, G_FILE_TEST_IS_DIR);
        if (found) {
            plugins_load_folder(p, legacy);
            plugins_load_folder(p, synthetic);
        }
        g_free(legacy);
        g_free(synthetic);
        if (found)
            break;
        char *above = g_path_get_dirname(folder);
        g_free(folder);
        folder = above;
    }
    g_free(folder);
    return p;
}

struct bench *bench_try_empty(struct plugins *plugins, uint64_t ram_bytes,
                              GError **error)
{
    struct bench *b = g_new0(struct bench, 1);
    struct board_options o = {
        .ram_bytes = ram_bytes,
        .ram_below_4g = 1ull << 31,
        .deterministic = true,
        .pci = true,
    };

    b->watches = g_ptr_array_new_with_free_func(g_free);
    b->parts = g_ptr_array_new_with_free_func(bench_part_free);
    b->mediums = g_ptr_array_new();
    b->ends = g_ptr_array_new();
    b->vm.plugins = plugins;
    b->vm.message = message_sent;
    b->vm.message_opaque = b;
    b->vm.event = bench_hear;
    b->vm.event_opaque = b;
    if (!board_create(&b->vm, &o, error)) {
        bench_destroy(b);
        return NULL;
    }
    clock_set_wall_offset(b->vm.clocks, 0);
    watch_lines(b);
    return b;
}

struct bench *bench_empty(void)
{
    GError *error = NULL;
    struct plugins *p = find_plugins();
    struct bench *b = bench_try_empty(p, BENCH_RAM, &error);

    if (!b)
        bench_die("%s", error->message);
    b->own_plugins = p;
    return b;
}

bool bench_try_add(struct bench *b, const struct bp_device_desc *desc,
                   const char *name, const char *const *settings,
                   GError **error)
{
    struct bench_part *part = g_new0(struct bench_part, 1);

    part->desc = desc;
    part->name = g_strdup(name);
    part->settings = g_strdupv((char **)(uintptr_t)settings);
    g_ptr_array_add(b->parts, part);
    return device_create(&b->vm, name, desc, settings, error) != NULL;
}

void bench_part_free(gpointer opaque)
{
    struct bench_part *part = opaque;

    g_free(part->name);
    g_strfreev(part->settings);
    g_free(part);
}

/* settings ends with NULL and is freed. */
static void add_device(struct bench *b, const char *id, const char *name,
                       GPtrArray *settings)
{
    const struct bp_device_desc *desc = plugins_find(b->vm.plugins, id);
    GError *error = NULL;

    if (!desc)
        bench_die("there is no device '%s'", id);
    if (!bench_try_add(b, desc, name, (const char *const *)settings->pdata,
                       &error))
        bench_die("%s", error->message);
    g_ptr_array_free(settings, TRUE);
}

void bench_add_device(struct bench *b, const char *id, const char *name, ...)
{
    GPtrArray *settings = g_ptr_array_new();
    char *setting;
    va_list ap;

    va_start(ap, name);
    do {
        setting = va_arg(ap, char *);
        g_ptr_array_add(settings, setting);
    } while (setting);
    va_end(ap);
    add_device(b, id, name, settings);
}

struct bench *bench_create(const char *id, ...)
{
    struct bench *b = bench_empty();
    GPtrArray *settings = g_ptr_array_new();
    char *setting;
    va_list ap;

    va_start(ap, id);
    do {
        setting = va_arg(ap, char *);
        g_ptr_array_add(settings, setting);
    } while (setting);
    va_end(ap);
    add_device(b, id, id, settings);
    bench_power_on(b);
    return b;
}

bool bench_try_power_on(struct bench *b, GError **error)
{
    if (b->powered)
        return true;
    for (guint i = 0; i < b->vm.devices->len; i++) {
        if (!device_realize(b->vm.devices->pdata[i], error))
            return false;
    }
    b->powered = true;
    board_reset_devices(&b->vm);
    clocks_start(b->vm.clocks);
    lanes_run(b->vm.lanes);
    return true;
}

void bench_power_on(struct bench *b)
{
    GError *error = NULL;

    if (!bench_try_power_on(b, &error))
        bench_die("%s", error->message);
}

void bench_destroy(struct bench *b)
{
    if (!b)
        return;
    if (b->vm.clocks)
        clocks_stop(b->vm.clocks);
    board_stop_devices(&b->vm);
    b->quiet = true;
    board_destroy(&b->vm);
    bench_free_ends(b);
    bench_hv_free(b);
    g_queue_clear_full(&b->messages, g_free);
    g_queue_clear_full(&b->events, g_free);
    g_ptr_array_free(b->watches, TRUE);
    g_ptr_array_free(b->parts, TRUE);
    g_ptr_array_free(b->mediums, TRUE);
    g_ptr_array_free(b->ends, TRUE);
    plugins_destroy(b->own_plugins);
    g_free(b);
}

struct vm *bench_vm(struct bench *b)
{
    return &b->vm;
}

/* --- accesses -------------------------------------------------------------*/

uint32_t bench_in(struct bench *b, uint16_t port, unsigned size)
{
    bench_power_on(b);
    uint32_t value = pio_read(b->vm.pio, port, size);
    bench_run(b);
    return size == 4 ? value : value & ((1u << (8 * size)) - 1);
}

void bench_out(struct bench *b, uint16_t port, unsigned size, uint32_t value)
{
    bench_power_on(b);
    pio_write(b->vm.pio, port, value, size);
    bench_run(b);
}

uint64_t bench_read(struct bench *b, uint64_t gpa, unsigned size)
{
    bench_power_on(b);
    uint64_t value = map_io_read(b->vm.map, gpa, size);
    bench_run(b);
    return size == 8 ? value : value & ((1ull << (8 * size)) - 1);
}

void bench_write(struct bench *b, uint64_t gpa, unsigned size, uint64_t value)
{
    bench_power_on(b);
    map_io_write(b->vm.map, gpa, value, size);
    bench_run(b);
}

uint32_t bench_pci_read(struct bench *b, unsigned slot, unsigned function,
                        unsigned offset, unsigned size)
{
    bench_power_on(b);
    uint32_t value =
        pci_config_read(b->vm.pci, slot << 3 | function, offset, size);
    bench_run(b);
    return size == 4 ? value : value & ((1u << (8 * size)) - 1);
}

void bench_pci_write(struct bench *b, unsigned slot, unsigned function,
                     unsigned offset, unsigned size, uint32_t value)
{
    bench_power_on(b);
    pci_config_write(b->vm.pci, slot << 3 | function, offset, value, size);
    bench_run(b);
}

uint8_t *bench_ram(struct bench *b)
{
    return b->vm.ram->host;
}

/* --- time -----------------------------------------------------------------*/

uint64_t bench_now(struct bench *b)
{
    return clock_now(b->vm.clocks, CLOCK_VIRTUAL);
}

void bench_step(struct bench *b, uint64_t ns)
{
    bench_power_on(b);
    clock_advance(b->vm.clocks, bench_now(b) + ns);
    bench_run(b);
}

bool bench_step_to_timer(struct bench *b)
{
    bench_power_on(b);
    uint64_t next = clock_next_deadline(b->vm.clocks);
    uint64_t now = bench_now(b);

    if (next == UINT64_MAX)
        return false;
    bench_step(b, next > now ? next - now : 0);
    return true;
}

void bench_run(struct bench *b)
{
    lanes_run(b->vm.lanes);
}

void bench_set_wall(struct bench *b, uint64_t ns)
{
    clock_set_wall_offset(b->vm.clocks, (int64_t)ns);
}

/* --- power ----------------------------------------------------------------*/

void bench_reset(struct bench *b, uint32_t kind)
{
    bench_power_on(b);
    if (b->vm.pci)
        pci_bus_reset(b->vm.pci);
    for (guint i = 0; i < b->vm.devices->len; i++)
        device_reset(b->vm.devices->pdata[i], kind);
    bench_run(b);
}

void bench_start(struct bench *b)
{
    bench_power_on(b);
    board_start_devices(&b->vm);
}

bool bench_press_button(struct bench *b)
{
    bool heard = vm_press_power_button(&b->vm);

    bench_run(b);
    return heard;
}

unsigned bench_requests(struct bench *b)
{
    return __atomic_exchange_n(&b->vm.requests, 0, __ATOMIC_SEQ_CST);
}

int bench_exit_status(struct bench *b)
{
    return b->vm.end_status;
}

void bench_key(struct bench *b, uint32_t usage, bool down)
{
    bench_power_on(b);
    inputs_key(b->vm.inputs, usage, down);
    bench_run(b);
}

void bench_motion(struct bench *b, int dx, int dy, int wheel, uint32_t buttons)
{
    bench_power_on(b);
    inputs_motion(b->vm.inputs, dx, dy, wheel, buttons);
    bench_run(b);
}

void bench_position(struct bench *b, uint32_t x, uint32_t y, int wheel,
                    uint32_t buttons)
{
    bench_power_on(b);
    inputs_position(b->vm.inputs, x, y, wheel, buttons);
    bench_run(b);
}

void bench_add_firmware(struct bench *b, uint32_t key, const char *name,
                        const void *data, size_t bytes)
{
    firmware_add_item(&b->vm, key, name, data, bytes);
}
