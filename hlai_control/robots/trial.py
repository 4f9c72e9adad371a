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

from hlai_control.cost.solved import HoldTimer, SolvedSpec
from hlai_control.robots.classical import Make
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


def trial(manifest: RobotManifest, solved: SolvedSpec, make: Make, seed: int,
          timeout_s: float) -> Trial:
    """
    Run one controller from the initial state until solved, or the time is up.

    Same plant, delay, noise and limits as the graph's robot in lockstep.
    """
    # PyBullet announces itself on stderr: not before it is needed.
    from hlai_control.robots.simulator import Simulator
    simulator = Simulator(manifest, seed)
    controller, timer = make(manifest, seed), HoldTimer(solved)
    states = manifest.layout.states
    ticks = round(timeout_s / manifest.period_s)
    try:
        for tick in range(ticks + 1):
            measured = simulator.measure()
            state = np.concatenate([measured.position, measured.velocity])
            now_s = tick * manifest.period_s
            if timer.update(now_s, dict(zip(states, state, strict=True))):
                return Trial(seed, timer.solved_at_s, now_s, 0.0)
            simulator.step(controller.act(state))
    finally:
        simulator.close()
    return Trial(seed, None, timeout_s, 0.0)
