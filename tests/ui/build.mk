# SPDX-License-Identifier: Apache-2.0
script-tests-y += ui/window
