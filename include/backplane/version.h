/* SPDX-License-Identifier: MIT */
/*
 * Version of the Backplane plugin ABI.
 *
 * A host loads a plugin when the majors are equal and the plugin's minor is
 * not larger than its own.  Minors only add.  Major 0 is the draft: minors
 * may break until 1.0, so under major 0 both numbers must be equal.
 */
#ifndef BACKPLANE_VERSION_H
#define BACKPLANE_VERSION_H

#define BP_ABI_MAJOR 0
#define BP_ABI_MINOR 1

#endif
