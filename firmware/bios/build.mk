# SPDX-License-Identifier: Apache-2.0
firmware-y += linuxboot
firmware-y += multiboot
