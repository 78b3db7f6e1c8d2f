# SPDX-License-Identifier: Apache-2.0
core-y += core/sched/clock.o core/sched/timer.o core/sched/lane.o
