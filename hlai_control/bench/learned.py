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

"""A world model for the benchmark: trained offline on random motion in the simulator, no graph."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hlai_control.bench.systems import System
from hlai_control.robots.manifest import load_robot, RobotManifest
from hlai_control.robots.simulator import Simulator, Vector
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator, Transition
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.structure import StructuredDynamics

EPISODE = 20   # ticks between two starts of random motion
HELD = 4       # ticks at most for which one random command is held
LONG = 16      # ticks of the longer prediction


@dataclass(frozen=True)
class Training:
    """
    How much motion and learning.

    :param episodes: stretches of random motion of ``EPISODE`` ticks each.
    :param updates: Adam updates.
    :param tests: further stretches, only to measure errors on.
    """

    episodes: int = 150
    updates: int = 1500
    tests: int = 20


@dataclass(frozen=True)
class Trained:
    """
    A world model and how well it predicts motion that it has not seen.

    :param dynamics: the ensemble; planners see its members.
    :param one_step: root mean square error of the ensemble's mean, for each
        state coordinate, as a fraction of that coordinate's standard deviation.
    :param long: the same after ``LONG`` ticks.
    """

    dynamics: StructuredDynamics
    one_step: tuple[float, ...]
    long: tuple[float, ...]


@dataclass(frozen=True)
class Episode:
    """
    One stretch of random motion.

    :param measured: S coordinates at T + 1 ticks, as the sensors say.
    :param true: the same without noise.
    :param commands: A commands at T ticks.
    """

    measured: Tensor
    true: Tensor
    commands: Tensor


def trained(system: System, training: Training, seed: int = 0) -> Trained:
    """
    Train a world model; equal arguments give the same one on one machine.

    :param seed: of motion, noise, initial weights and batches.
    """
    manifest = load_robot(system.robot)
    episodes = random_motion(system, manifest, training.episodes + training.tests, seed)
    learner = WorldModelLearner(
        manifest.layout, WorldModelSettings(hidden=system.hidden, window=4096, ridge=system.ridge),
        generator(seed, 'world_model'))
    for episode in episodes[:training.episodes]:
        for t in range(len(episode.commands)):
            learner.add(Transition(episode.measured[t], episode.commands[t],
                                   episode.measured[t + 1]))
    for _ in range(training.updates):
        learner.update()
    return measured(learner.dynamics, manifest, episodes[training.episodes:])


def random_motion(system: System, manifest: RobotManifest, count: int,
                  seed: int) -> list[Episode]:
    """
    Move at random, from rest anywhere and from where tasks start in turn.

    Commands are uniform within the limits, and held for up to ``HELD`` ticks.
    Stretches that touch the end of a joint's range are left out: what a stop
    does in one tick is no smooth function of the state.
    """
    random = np.random.default_rng(seed)
    regions = (system.anywhere, *system.starts)
    simulator, found, number = Simulator(manifest, seed), list[Episode](), 0
    simulator.delay_ticks = 0
    try:
        while len(found) < count and number < 20 * count:
            begin = regions[number % len(regions)].draw(random)
            episode = _episode(simulator, manifest, begin, seed * 100_003 + number, random)
            number += 1
            if _free(episode, manifest):
                found.append(episode)
    finally:
        simulator.close()
    return found


def measured(dynamics: StructuredDynamics, manifest: RobotManifest,
             episodes: list[Episode]) -> Trained:
    """Compare predictions with episodes, after one tick and after ``LONG``."""
    true = torch.stack([episode.true for episode in episodes], dim=1)          # T1 B S
    commands = torch.stack([episode.commands for episode in episodes], dim=1)  # T B A
    scale = true.flatten(0, 1).std(dim=0)
    turns = torch.tensor(manifest.layout.angle + (False,) * len(manifest.layout.angle))

    def fraction(steps: int) -> tuple[float, ...]:
        begin = true[:len(commands) - steps + 1]
        state = begin.expand(dynamics.members, *begin.shape)
        for t in range(steps):
            state = dynamics.step(state, commands[t:t + len(begin)])
        error = state.mean(dim=0) - true[steps:]
        error = torch.where(turns, torch.atan2(error.sin(), error.cos()), error)
        return tuple((error.square().mean(dim=(0, 1)).sqrt() / scale).tolist())

    with torch.inference_mode():
        return Trained(dynamics, fraction(1), fraction(min(LONG, len(commands))))


def _episode(simulator: Simulator, manifest: RobotManifest, begin: Vector, seed: int,
             random: np.random.Generator) -> Episode:
    low = np.array([item.low for item in manifest.actuators])
    high = np.array([item.high for item in manifest.actuators])
    simulator.reset(seed, begin.tolist())
    noisy, true, commands = list[Vector](), list[Vector](), list[Vector]()
    command, left = np.zeros_like(low), 0
    for _ in range(EPISODE):
        _keep(simulator, noisy, true)
        if not left:
            command, left = random.uniform(low, high), int(random.integers(1, HELD + 1))
        simulator.step(command)
        commands.append(command)
        left -= 1
    _keep(simulator, noisy, true)
    return Episode(*(torch.tensor(np.array(rows), dtype=torch.float32)
                     for rows in (noisy, true, commands)))


def _free(episode: Episode, manifest: RobotManifest) -> bool:
    """Whether no joint came within 1 % of the end of its range."""
    position = episode.true[:, :len(manifest.coordinates)].double().numpy()
    return all((np.abs(position[:, i] - 0.5 * (item.low + item.high))
                < 0.49 * (item.high - item.low)).all()
               for i, item in enumerate(manifest.coordinates) if np.isfinite(item.low))


def _keep(simulator: Simulator, noisy: list[Vector], true: list[Vector]) -> None:
    now = simulator.measure()
    noisy.append(np.concatenate([now.position, now.velocity]))
    true.append(np.concatenate([now.true_position, now.true_velocity]))
