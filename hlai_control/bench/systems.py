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

"""The systems that planners are compared on: robot, task, horizon, and where motion starts."""

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from hlai_control.cost.solved import at_goal
from hlai_control.cost.task import load_task
from hlai_control.errors import UsageError
from hlai_control.robots.manifest import load_robot

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """
    A box of positions, all at rest.

    :param centre: of each position [m or rad].
    :param half: half its width.
    """

    centre: tuple[float, ...]
    half: tuple[float, ...]

    def draw(self, random: np.random.Generator) -> Vector:
        """Draw positions, uniformly."""
        return np.array(self.centre) + np.array(self.half) * random.uniform(
            -1.0, 1.0, len(self.half))


@dataclass(frozen=True)
class System:
    """
    One system.

    :param name: of the system, in results.
    :param robot: the manifest's name.
    :param task: the task's name.
    :param horizon: T of every planner [ticks].
    :param ticks: length of a closed loop.
    :param starts: regions in which motion starts, in turn.
    :param anywhere: region in which random motion starts, beside ``starts``,
        while the world model is trained.
    :param hidden: units of the world model's layers.
    :param ridge: of its coefficients.
    """

    name: str
    robot: str
    task: str
    horizon: int
    ticks: int
    starts: tuple[Region, ...]
    anywhere: Region
    hidden: int = 32
    ridge: float = 0.03


_ARM = (0.0, -0.2, 0.0, -1.6, 0.0, 1.8, 0.0)
SYSTEMS = (
    System('cartpole', 'cartpole', 'swingup', 16, 40,
           (Region((0.0, 0.0), (0.1, 0.1)), Region((0.0, 0.0), (1.0, pi))),
           Region((0.0, 0.0), (1.0, pi))),
    System('pendulum', 'pendulum', 'pendulum_swingup', 30, 40,
           (Region((0.0,), (0.1,)), Region((0.0,), (pi,))), Region((0.0,), (pi,))),
    System('double pendulum', 'double_cartpole', 'double_balance', 20, 40,
           (Region((0.0, pi, 0.0), (0.5, 0.3, 0.3)),),
           Region((0.0, pi, 0.0), (1.0, 1.0, 1.0))),
    System('arm', 'arm7', 'arm_reach', 12, 15,
           (Region(_ARM, (1.0, 0.8, 1.0, 0.8, 1.0, 0.8, 1.0)),),
           Region(_ARM, (1.5, 0.8, 1.5, 0.8, 1.5, 0.8, 1.5)), hidden=4, ridge=1.0))


def chosen(names: str) -> tuple[System, ...]:
    """
    Find systems by name.

    :param names: joined by commas, ``cartpole,arm``; empty: all.
    :raises UsageError: naming the valid ones.
    """
    valid = {system.name: system for system in SYSTEMS}
    wanted = [name.strip() for name in names.split(',')] if names else list(valid)
    for name in wanted:
        if name not in valid:
            raise UsageError(f'systems:={names}: unknown {name!r}; valid: {", ".join(valid)}')
    return tuple(valid[name] for name in dict.fromkeys(wanted))


def starting_positions(system: System, count: int, seed: int) -> list[Vector]:
    """
    Draw where motion starts, but for places where the task would be solved already.

    The first ones are the same for any count.

    :param seed: of the places.
    """
    manifest = load_robot(system.robot)
    solved, found = load_task(system.task, manifest).solved, list[Vector]()
    random = np.random.default_rng(seed)
    while len(found) < count:
        place = system.starts[len(found) % len(system.starts)].draw(random)
        state = dict.fromkeys(manifest.layout.states, 0.0)
        state |= dict(zip(manifest.layout.positions, place.tolist(), strict=True))
        if not at_goal(solved, state):
            found.append(place)
    return found
