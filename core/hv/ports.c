/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/ports.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>

#include "plugin/device.h"
#include "vm/vm.h"

/*
 * A port is held by the table and by each call under way.  `open` changes
 * and is looked at with the device's lane held, so nothing is called after
 * it was closed.
 */
struct port {
    uint32_t connection;
    uint32_t flags; /* 0: a message port */
    struct device *dev;
    bp_hv_message_fn *message;
    bp_hv_event_fn *event;
    void *ctx;
    unsigned refs; /* atomic */
    bool open;     /* [lane] */
};

struct room {
    struct device *dev;
    bp_hv_room_fn *fn;
    void *ctx;
};

struct hv_ports {
    pthread_rwlock_t lock; /* of the table */
    GHashTable *by_connection;
    GArray *rooms; /* struct room; changes during set-up only */
};

static void port_unref(gpointer opaque)
{
    struct port *p = opaque;

    if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
        g_free(p);
}

struct hv_ports *hv_ports_create(void)
{
    struct hv_ports *p = g_new0(struct hv_ports, 1);

    pthread_rwlock_init(&p->lock, NULL);
    p->by_connection = g_hash_table_new_full(NULL, NULL, NULL, port_unref);
    p->rooms = g_array_new(FALSE, FALSE, sizeof(struct room));
    return p;
}

void hv_ports_destroy(struct hv_ports *p)
{
    if (!p)
        return;
    g_hash_table_destroy(p->by_connection);
    g_array_free(p->rooms, TRUE);
    pthread_rwlock_destroy(&p->lock);
    g_free(p);
}

/* --- the devices' side --------------------------------------------------- */

static int32_t add(struct hv_ports *p, const struct port *from)
{
    gpointer key = GUINT_TO_POINTER(from->connection);
    struct port *port;
    bool taken;

    pthread_rwlock_wrlock(&p->lock);
    taken = g_hash_table_contains(p->by_connection, key);
    if (!taken) {
        port = g_memdup2(from, sizeof *from);
        port->refs = 1;
        port->open = true;
        g_hash_table_insert(p->by_connection, key, port);
    }
    pthread_rwlock_unlock(&p->lock);
    return taken ? -EBUSY : 0;
}

int32_t hv_ports_open_message(struct hv_ports *p, struct device *dev,
                              uint32_t connection, bp_hv_message_fn *fn,
                              void *ctx)
{
    const struct port port = {
        .connection = connection, .dev = dev, .message = fn, .ctx = ctx
    };

    return add(p, &port);
}

int32_t hv_ports_open_event(struct hv_ports *p, struct device *dev,
                            uint32_t connection, uint32_t flags,
                            bp_hv_event_fn *fn, void *ctx)
{
    const struct port port = {
        .connection = connection,
        .flags = flags,
        .dev = dev,
        .event = fn,
        .ctx = ctx,
    };

    if (!flags || flags > BP_HV_EVENT_FLAGS)
        return -EINVAL;
    return add(p, &port);
}

void hv_ports_close(struct hv_ports *p, struct device *dev, uint32_t connection)
{
    gpointer key = GUINT_TO_POINTER(connection);
    struct port *port;

    pthread_rwlock_wrlock(&p->lock);
    port = g_hash_table_lookup(p->by_connection, key);
    if (port && port->dev == dev) {
        port->open = false;
        g_hash_table_remove(p->by_connection, key);
    }
    pthread_rwlock_unlock(&p->lock);
}

int32_t hv_ports_on_room(struct hv_ports *p, struct device *dev,
                         bp_hv_room_fn *fn, void *ctx)
{
    const struct room room = { dev, fn, ctx };

    for (guint i = 0; i < p->rooms->len; i++)
        if (g_array_index(p->rooms, struct room, i).dev == dev)
            return -EBUSY;
    g_array_append_val(p->rooms, room);
    return 0;
}

static gboolean is_of(gpointer key, gpointer opaque, gpointer dev)
{
    struct port *port = opaque;

    if (port->dev != dev)
        return FALSE;
    port->open = false;
    return TRUE;
}

void hv_ports_drop(struct hv_ports *p, struct device *dev)
{
    pthread_rwlock_wrlock(&p->lock);
    g_hash_table_foreach_remove(p->by_connection, is_of, dev);
    pthread_rwlock_unlock(&p->lock);
    for (guint i = p->rooms->len; i > 0; i--)
        if (g_array_index(p->rooms, struct room, i - 1).dev == dev)
            g_array_remove_index(p->rooms, i - 1);
}

/* --- the guest's side ---------------------------------------------------- */

static struct port *find(struct hv_ports *p, uint32_t connection)
{
    struct port *port;

    pthread_rwlock_rdlock(&p->lock);
    port = g_hash_table_lookup(p->by_connection, GUINT_TO_POINTER(connection));
    if (port)
        __atomic_add_fetch(&port->refs, 1, __ATOMIC_RELAXED);
    pthread_rwlock_unlock(&p->lock);
    return port;
}

int32_t hv_port_message(struct vm *vm, uint32_t connection, uint32_t type,
                        const void *payload, uint32_t bytes)
{
    struct port *port = find(vm->hv_ports, connection);
    int32_t result = -ENOENT;

    if (!port)
        return -ENOENT;
    if (!port->message) {
        result = -EINVAL;
    } else if (device_enter(port->dev)) {
        if (port->open)
            result = port->message(port->ctx, type, payload, bytes);
        device_leave(port->dev);
    }
    port_unref(port);
    return result;
}

int32_t hv_port_signal(struct vm *vm, uint32_t connection, uint32_t flag)
{
    struct port *port = find(vm->hv_ports, connection);
    int32_t result = -ENOENT;

    if (!port)
        return -ENOENT;
    if (!port->event || flag >= port->flags) {
        result = -EINVAL;
    } else if (device_enter(port->dev)) {
        if (port->open) {
            port->event(port->ctx, flag);
            result = 0;
        }
        device_leave(port->dev);
    }
    port_unref(port);
    return result;
}

void hv_ports_room(struct vm *vm, uint32_t vp, uint32_t sint)
{
    const GArray *rooms = vm->hv_ports->rooms;

    for (guint i = 0; i < rooms->len; i++) {
        const struct room *r = &g_array_index(rooms, struct room, i);

        if (!device_enter(r->dev))
            continue;
        r->fn(r->ctx, vp, sint);
        device_leave(r->dev);
    }
}
