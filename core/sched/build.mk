# SPDX-License-Identifier: Apache-2.0
core-y += core/sched/clock.o core/sched/timer.o core/sched/lane.o
core-y += core/sched/vcpu.o core/sched/vcpu_state.o
