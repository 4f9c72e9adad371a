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

"""Motion of the cart-pole for ``model_throughput.py``: random pushes and swing-ups, measured."""

import numpy as np
import torch

from hlai_control.robots.classical import EnergySwingUp
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.robots.simulator import Measurement, Simulator
from hlai_control.types import Batch

STRETCH = 100   # ticks from one start to the next
HELD = 4        # ticks at most for which one random push is held
RAIL_M = 1.95   # stretches that come nearer to the rail's ends are left out


def recorded(count: int, seed: int) -> tuple[RobotManifest, Batch]:
    """
    Record transitions, as a robot's sensors and controller would.

    Every second stretch is of random pushes, held for a while; the others are
    of a swing-up by the classical controller with random pushes on top.
    Noise, delay and limits are the manifest's; what a hard end does in one
    tick is no smooth function of the state, so stretches that touch one are
    left out.

    :param count: transitions.
    :param seed: of pushes and sensor noise.
    :returns: the robot; measured states, commands that acted, and next states.
    """
    manifest = load_robot('cartpole')
    simulator, random = Simulator(manifest, seed), np.random.default_rng(seed)
    rows, number = list[tuple[np.ndarray, ...]](), 0
    try:
        while len(rows) < count:
            stretch = _stretch(simulator, manifest, seed * 100_003 + number, random,
                               swings=number % 2 == 1)
            number += 1
            if all(abs(now.true_position[0]) < RAIL_M for now in stretch):
                rows += [(_state(now), ahead.effort[:1], _state(ahead))
                         for now, ahead in zip(stretch[:-1], stretch[1:], strict=True)]
    finally:
        simulator.close()
    return manifest, Batch(*(torch.tensor(np.array(column), dtype=torch.float32)
                             for column in zip(*rows[:count], strict=True)))


def _stretch(simulator: Simulator, manifest: RobotManifest, seed: int,
             random: np.random.Generator, swings: bool) -> list[Measurement]:
    simulator.reset(seed, [random.uniform(-0.5, 0.5), random.uniform(-np.pi, np.pi)])
    controller, limit = EnergySwingUp(manifest, seed), manifest.actuators[0].high
    found, push, left = [simulator.measure()], 0.0, 0
    for _ in range(STRETCH):
        if not left:
            push, left = random.uniform(-limit, limit), int(random.integers(1, HELD + 1))
        command = np.array([push])
        if swings:
            command = controller.act(_state(found[-1])) + 0.3 * command
        simulator.step(command)
        found.append(simulator.measure())
        left -= 1
    return found


def _state(now: Measurement) -> np.ndarray:
    return np.concatenate([now.position, now.velocity])
