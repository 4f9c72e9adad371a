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

"""
Model-free RL: soft actor-critic of stable-baselines3 on the very robot, sensed and guarded alike.

Haarnoja et al. 2018, *Soft actor-critic*. What the library's zoo publishes for
Pendulum-v1 is used as it is: a learning rate of 1e-3, all else its defaults
(256 x 256 units, batches of 256, one gradient step per control period).
Episodes of 10 s begin hanging at rest; putting the robot back costs no motion,
nor do trials of the policy without its noise, one after every 20 s of motion.
"""

import time
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
import torch

from hlai_control.bench.body import Body
from hlai_control.paradigms.playing import Case, Fixed, played, Tell, TELL_TICKS
from hlai_control.paradigms.runs import Run
from hlai_control.types import Estimate

EPISODE_S, TRIAL_EVERY_S = 10.0, 20.0
LEARNING_RATE = 1e-3
Vector = NDArray[np.float32]


class Eyes:
    """
    What SAC sees: perception's estimate, angles as sine and cosine, and commands on their way.

    Without the latter a robot with delay would be no Markov process.
    """

    def __init__(self, given: Case) -> None:
        """Keep sizes and limits."""
        layout = given.manifest.layout
        count = len(layout.positions)
        self._angle = np.array(layout.angle + (False,) * count)
        self._half = np.maximum(np.abs(layout.action_low), np.abs(layout.action_high))
        self._delay = layout.delay_ticks
        size = len(self._angle) + int(self._angle.sum()) + self._delay * len(self._half)
        self.space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.restart()

    def restart(self) -> None:
        """Nothing is on its way."""
        self._coming = [np.zeros_like(self._half)] * self._delay

    def see(self, estimate: Estimate) -> Vector:
        """Return what is seen."""
        mean = estimate.mean.double().numpy()
        turning = mean[self._angle]
        return np.concatenate([mean[~self._angle], np.cos(turning), np.sin(turning),
                               *self._coming]).astype(np.float32)

    def send(self, command: Vector) -> None:
        """Take note of a command."""
        self._coming = [*self._coming, np.asarray(command) / self._half][1:]


class Robot(gymnasium.Env[Vector, Vector]):
    """
    The robot as a Gymnasium environment; its reward is the negative stage cost.

    :param given: robot, task and seed.
    """

    def __init__(self, given: Case) -> None:
        """Load the robot."""
        self._case, self._eyes = given, Eyes(given)
        self._body = Body(given.manifest, given.task, given.seed)
        layout = given.manifest.layout
        self.observation_space = self._eyes.space
        self.action_space = gymnasium.spaces.Box(
            np.array(layout.action_low, np.float32), np.array(layout.action_high, np.float32))
        self.ticks, self.episode, self.used_s = 0, -1, 0.0
        self.solved_at_s: float | None = None

    @property
    def motion_s(self) -> float:
        """Seconds of motion in all episodes so far."""
        return self.ticks * self._case.manifest.period_s

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None
              ) -> tuple[Vector, dict[str, Any]]:
        """Hang anew, at rest, with other noise."""
        super().reset(seed=seed)
        self.episode += 1
        self._body.restart(self._case.seed + 1_000_003 * self.episode)
        self._eyes.restart()
        return self._eyes.see(self._body.look()), {}

    def step(self, action: Vector) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Move for one control period."""
        began_s, body = time.thread_time(), self._body
        command = torch.from_numpy(np.asarray(action)).float()
        reward = -body.stage(command)
        body.move(command)
        self._eyes.send(action)
        self.ticks += 1
        seen = self._eyes.see(body.look())
        if body.solved_at_s is not None and self.solved_at_s is None:
            self.solved_at_s = self.motion_s - body.time_s + body.solved_at_s
        over = body.time_s >= EPISODE_S - 0.5 * body.layout.period_s
        self.used_s += time.thread_time() - began_s
        return seen, reward, False, over, {}

    def close(self) -> None:
        """Free the simulator."""
        self._body.close()


class Acting:
    """A policy of stable-baselines3 as a controller, without its noise."""

    def __init__(self, policy: SAC, given: Case) -> None:
        """Begin with nothing on its way."""
        self._policy, self._eyes = policy, Eyes(given)

    def act(self, state: NDArray[np.float64]) -> NDArray[np.float64]:
        """Answer one state."""
        seen = self._eyes.see(Estimate(torch.from_numpy(state), torch.zeros(len(state))))
        action, _ = self._policy.predict(seen, deterministic=True)
        self._eyes.send(action)
        return np.asarray(action, np.float64)


class Trials(BaseCallback):
    """Ends learning once the task is solved, by the learner itself or in a trial."""

    def __init__(self, robot: Robot, given: Case, tell: Tell) -> None:
        """Keep all."""
        super().__init__()
        self._robot, self._case, self._tell = robot, given, tell
        self._next_s = TRIAL_EVERY_S
        self.solved_at_s: float | None = None

    def _on_step(self) -> bool:
        robot = self._robot
        if robot.ticks % TELL_TICKS == 0:
            self._tell(robot.motion_s)
        if robot.solved_at_s is not None:
            self.solved_at_s = robot.solved_at_s
        elif robot.motion_s >= self._next_s:
            self._next_s += TRIAL_EVERY_S
            began_s = time.thread_time()
            if tried(self.model, self._case).solved_at_s is not None:
                self.solved_at_s = robot.motion_s
            robot.used_s += time.thread_time() - began_s
        return self.solved_at_s is None


def tried(policy: SAC, given: Case) -> Run:
    """Let the policy move the robot for one episode, hanging at first."""
    fresh = Case(given.manifest, given.task, given.system, given.row, given.seed, EPISODE_S)
    return played(fresh, Fixed(Acting(policy, given)), [], lambda _time_s: None)


def learned(given: Case, tell: Tell) -> Run:
    """
    Learn until the task is solved, or the budget is spent; then move once more without noise.

    That last episode gives the final cost and the time per action.
    """
    began_s, used_s = time.monotonic(), time.process_time()
    robot = Robot(given)
    try:
        policy = SAC('MlpPolicy', robot, learning_rate=LEARNING_RATE, seed=given.seed,
                     buffer_size=round(given.budget_s / given.manifest.period_s), device='cpu')
        trials = Trials(robot, given, tell)
        policy.learn(round(given.budget_s / given.manifest.period_s), callback=trials)
        learning_s = time.process_time() - used_s - robot.used_s
        last = tried(policy, given)
        return Run(
            seed=given.seed, solved_at_s=trials.solved_at_s, motion_s=robot.motion_s,
            final_cost=last.final_cost, action_ms=last.action_ms, calls=0.0,
            learning_ms=1e3 * learning_s / max(robot.ticks, 1),
            cpu_s=time.process_time() - used_s, wall_s=time.monotonic() - began_s)
    finally:
        robot.close()
