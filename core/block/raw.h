/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BLOCK_RAW_H
#define BLOCK_RAW_H

#include "block/block.h"

/* NULL with one sentence. */
struct block_medium *raw_open(const struct block_options *options,
                              GError **error);

#endif
