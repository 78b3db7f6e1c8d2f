/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for `ctl info`. */
#ifndef CTL_DESCRIBE_H
#define CTL_DESCRIBE_H

struct vm;

/* NULL when there is no such topic; to be freed. */
char *describe(struct vm *vm, const char *topic);
extern const char describe_topics[];

#endif
