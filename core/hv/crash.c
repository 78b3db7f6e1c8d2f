/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that panics writes what it has to say into registers and memory:
 * it goes to the log and, as event GUEST_PANICKED, to the control socket.
 *
 * Source: TLFS 3.14 ("guest crash enlightenment").
 */
#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "cpu/sync.h"
#include "cpu/vcpu.h"
#include "hv/hv.h"
#include "mem/map.h"
#include "plugin/control.h"
#include "vm/vm.h"

#define MAX_TEXT PAGE_BYTES

/* Printable ASCII in lines; to be freed.  Empty: no message. */
static char *read_text(struct hv *hv)
{
    uint64_t gpa = hv->st.crash[3], bytes = hv->st.crash[4];
    char *text = g_malloc0(MAX_TEXT + 1);

    if (bytes > MAX_TEXT)
        bytes = MAX_TEXT;
    if (!bytes || !map_dma_read(hv->vm->map, gpa, text, bytes))
        text[0] = 0;
    for (char *p = text; *p; p++)
        if (*p != '\n' && !g_ascii_isprint(*p))
            *p = *p == '\t' ? ' ' : '?';
    return g_strchomp(text);
}

static void log_panic(struct hv *hv, const char *text)
{
    const uint64_t *p = hv->st.crash;
    char **lines;

    if (!log_limit_pass(&hv->crash_limit, &(uint32_t){ 0 }))
        return;
    log_line(NULL, LOG_WARN, "guest",
             "it panicked: %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64
             " %" PRIx64,
             p[0], p[1], p[2], p[3], p[4]);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++)
        if (**line)
            log_line(NULL, LOG_WARN, "guest", "%s", *line);
    g_strfreev(lines);
}

/* Registers are text: JSON numbers of 64 bits are not for all clients. */
static void tell(struct hv *hv, const char *text)
{
    JsonObject *info = json_object_new(), *data = json_object_new();
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_object_set_string_member(info, "type", "hyper-v");
    for (unsigned n = 0; n < HV_CRASH_REGS; n++) {
        char name[8], value[24];

        g_snprintf(name, sizeof name, "arg%u", n + 1);
        g_snprintf(value, sizeof value, "0x%" PRIx64, hv->st.crash[n]);
        json_object_set_string_member(info, name, value);
    }
    json_object_set_string_member(data, "action", "run");
    json_object_set_object_member(data, "info", info);
    json_object_set_string_member(data, "text", text);
    json_node_take_object(node, data);
    control_event(hv->vm, "GUEST_PANICKED", node);
}

void hv_crash_notify(struct vcpu *cpu, uint64_t control)
{
    struct hv *hv = cpu->vm->hv;
    char *text;

    if (!(control & HV_CRASH_NOTIFY))
        return;
    guest_leave(cpu);
    text = control & HV_CRASH_MESSAGE ? read_text(hv) : g_strdup("");
    log_panic(hv, text);
    tell(hv, text);
    g_free(text);
    guest_enter(cpu);
}
