# SPDX-License-Identifier: Apache-2.0
# Devices that guests reach over VMBus, and the bus.
