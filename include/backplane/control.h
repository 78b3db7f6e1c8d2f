/* SPDX-License-Identifier: MIT */
/*
 * Commands and events of a device on the control socket: "bp.control/1".
 *
 * A command "heartbeat" of a device is what {"execute": "heartbeat"} and
 * `backplane ctl heartbeat` reach.  Two devices with one command are told
 * apart by the argument "device".
 */
#ifndef BACKPLANE_CONTROL_H
#define BACKPLANE_CONTROL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_CONTROL "bp.control/1"

struct bp_dev;
struct bp_call; /* one execution of a command */

/*
 * Starts the command; it ends with done(), inside fn or later.  [lane]
 */
typedef void bp_command_fn(void *ctx, struct bp_call *call);
/* The client went away, or the machine is reset or ends: the call is gone
 * when this returns and must not be used again.  [lane] */
typedef void bp_cancel_fn(void *ctx, struct bp_call *call);

struct bp_command {
    uint32_t size;
    uint32_t reserved;
    const char *name; /* lower case, '-' */
    /* Arguments in the order in which the command line takes them:
     * "key value? /file force!" means that key must be there and value may,
     * that file is a path on the host, which the command line makes
     * absolute, and that force is a switch, given by its name: "on". */
    const char *arguments;
    const char *help; /* one clause */
    bp_command_fn *run;
    bp_cancel_fn *cancel;
};

struct bp_control {
    uint32_t size;
    /* [setup] */
    int32_t (*add)(struct bp_dev *dev, const struct bp_command *command,
                   void *ctx);
    /* An argument as text (numbers in decimal, "on" "off"); NULL: not given.
     * Valid until done. */
    const char *(*argument)(struct bp_call *call, const char *name);
    /* The answer, member by member; begin and end nest.  In a list names are
     * ignored.  UTF-8; what is not is replaced. */
    void (*put_string)(struct bp_call *call, const char *name,
                       const char *text);
    void (*put_integer)(struct bp_call *call, const char *name, int64_t value);
    void (*put_bool)(struct bp_call *call, const char *name, int32_t value);
    void (*begin_object)(struct bp_call *call, const char *name);
    void (*begin_list)(struct bp_call *call, const char *name);
    void (*end)(struct bp_call *call);
    /* Ends it: with the answer (error NULL), or with an error sentence. */
    void (*done)(struct bp_call *call, const char *error);
    /*
     * An event for all clients.  It is built like an answer and sent by
     * done(); name in upper case.  [lane]
     */
    struct bp_call *(*event)(struct bp_dev *dev, const char *name);
};

#ifdef __cplusplus
}
#endif

#endif
