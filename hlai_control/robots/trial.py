# Copyright 2026 hlai_control contributors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""A trial of one controller on the simulated robot, tick by tick, without a graph."""

from dataclasses import dataclass

import numpy as np

from hlai_control.cost.solved import HoldTimer
from hlai_control.cost.task import TaskSpec
from hlai_control.robots.classical import Aimed, Make
from hlai_control.robots.manifest import RobotManifest


@dataclass(frozen=True)
class Trial:
    """
    Outcome of one run, of whichever controller.

    :param seed: of the run.
    :param solved_at_s: motion seconds at the start of the hold; None: never.
    :param interaction_s: motion seconds that the run took.
    :param wall_s: seconds that it took in reality.
    """

    seed: int
    solved_at_s: float | None
    interaction_s: float
    wall_s: float


def trial(manifest: RobotManifest, task: TaskSpec, make: Make, seed: int,
          timeout_s: float) -> Trial:
    """
    Run one controller from the initial state until solved, or the time is up.

    Same plant, delay, noise and limits as the graph's robot in lockstep.
    """
    # It needs torch, which the command line does not load before it is needed.
    from hlai_control.cost.visits import Visits

    # PyBullet announces itself on stderr: not before it is needed.
    from hlai_control.robots.simulator import Simulator
    visits = Visits(manifest, task, seed)
    simulator = Simulator(manifest, seed, task.obstacles)
    controller, timer = make(manifest, seed), HoldTimer(task.solved)
    ticks = round(timeout_s / manifest.period_s)
    try:
        for tick in range(ticks + 1):
            if (now := visits.begun(tick)) is not None:
                timer.aim(now.solved)
                if isinstance(controller, Aimed):
                    controller.aim(now)
            measured = simulator.measure()
            state = np.concatenate([measured.position, measured.velocity])
            now_s = tick * manifest.period_s
            if timer.update(now_s, visits.named.of(state)):
                return Trial(seed, timer.solved_at_s, now_s, 0.0)
            simulator.step(controller.act(state))
    finally:
        simulator.close()
    return Trial(seed, None, timeout_s, 0.0)
