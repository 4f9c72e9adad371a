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

"""One simulated robot as every controller in one process meets it: sensed, guarded, judged."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hlai_control.cost.function import TaskCost
from hlai_control.cost.kinematics import Named
from hlai_control.cost.solved import HoldTimer
from hlai_control.cost.task import TaskSpec
from hlai_control.errors import UsageError
from hlai_control.perception.frozen import FrozenSensors
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.robots.guard import Candidate, Guard, Measured, Situation
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.simulator import Measurement, Simulator
from hlai_control.settings import (
    GuardSettings,
    PerceptionSettings,
    SimulationSettings,
    SurpriseSettings,
)
from hlai_control.types import Estimate


@dataclass(frozen=True)
class BodySettings:
    """What may be changed about a body: perception, guard, and the simulated robot."""

    perception: PerceptionSettings = PerceptionSettings()
    guard: GuardSettings = GuardSettings()
    simulation: SimulationSettings = SimulationSettings()
    surprise: SurpriseSettings = SurpriseSettings()


class Body:
    """
    Robot, perception and guard, tick by tick as in the lockstep graph.

    What is solved is judged by what perception believes, as in the graph; what
    it costs, by the true state. Use as a context manager, or :meth:`close`.

    :param manifest: the robot.
    :param task: what is to be done.
    :param seed: of the sensor noise.
    :param settings: of perception, guard and simulation.
    :raises UsageError: if the robot has a coordinate without a sensor.
    """

    def __init__(self, manifest: RobotManifest, task: TaskSpec, seed: int,
                 settings: BodySettings | None = None) -> None:
        """Rest at the initial position, before tick 0."""
        settings = settings or BodySettings()
        if manifest.layout.is_blind:
            raise UsageError(f'the loop of one process has no estimator for {manifest.name}, of '
                             'which not every coordinate has a sensor; use hlai eval')
        self.manifest, self.task, self.layout = manifest, task, manifest.layout
        self.simulator = Simulator(manifest, seed, task.obstacles)
        simulated = settings.simulation
        self.simulator.noise_scale = simulated.noise_scale
        self.simulator.payload_kg = simulated.payload_kg
        self.simulator.friction_scale = simulated.friction_scale
        if simulated.action_delay_ticks >= 0:
            self.simulator.delay_ticks = simulated.action_delay_ticks
        self._guard = Guard(manifest, settings.guard)
        self._estimator = KalmanEstimator(self.layout, settings.perception)
        self._surprise, self.named = settings.surprise, Named(self.layout)
        self._cost = TaskCost(self.layout, task.cost)
        self._begin()

    def __enter__(self) -> 'Body':
        """Be used in a with statement."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Free the physics client."""
        self.close()

    def close(self) -> None:
        """Free the physics client."""
        self.simulator.close()

    def restart(self, seed: int) -> None:
        """Begin again at tick 0, at rest; what :meth:`close` frees stays."""
        self.simulator.reset(seed)
        self._estimator.reset()
        self._begin()

    def _begin(self) -> None:
        self.tick = 0
        self.sensors = FrozenSensors(
            self.layout, self._surprise.patience_ticks(self.layout.period_s))
        self._timer = HoldTimer(self.task.solved)
        self._sent: tuple[float, ...] | None = None

    @property
    def time_s(self) -> float:
        """Seconds of motion so far."""
        return self.tick * self.layout.period_s

    @property
    def solved_at_s(self) -> float | None:
        """Seconds of motion at the start of the first hold that lasted; None: not yet."""
        found = self._timer.solved_at_s
        return None if found is None else round(found, 6)

    def aim(self, task: TaskSpec) -> None:
        """Judge by another goal from now on, one that differs in nothing else."""
        self.task = task
        self._timer.aim(task.solved)
        self._cost.take(TaskCost(self.layout, task.cost))

    def look(self) -> Estimate:
        """Sense and perceive the tick; once per tick."""
        if self.tick:
            self._estimator.predict()
        sensed = self.simulator.measure()
        estimate = self._estimator.correct(torch.from_numpy(self.sensors.trusted(
            np.concatenate([sensed.position, sensed.velocity]))))
        if self.tick:  # the graph accounts for steps: the first one ends at tick 1
            self._timer.update(self.time_s, self.named.of(estimate.mean.double().numpy()))
        return estimate

    def move(self, command: Tensor) -> Tensor:
        """
        Send a command through the guard, and let one control period pass.

        :param command: A values.
        :returns: what was really sent.
        """
        sensed, stamp_ns = self.simulator.measure(), self.tick * self.manifest.period_ns
        decision = self._guard.decide(Situation(
            candidate=Candidate(stamp_ns, tuple(command.double().tolist())),
            measured=_measured(stamp_ns, sensed), command_age_s=0.0, measurement_age_s=0.0,
            elapsed_s=self.layout.period_s, armed_s=float('inf'), estop=False), self._sent)
        assert decision.values is not None  # a robot that has been measured has a safe command
        self._sent = decision.values
        self.simulator.step(decision.values)
        self.tick += 1
        return torch.tensor(decision.values, dtype=torch.float64).float()

    @torch.no_grad()
    def stage(self, sent: Tensor) -> float:
        """Return the true stage cost of being here under a command."""
        sensed = self.simulator.measure()
        true = np.concatenate([sensed.true_position, sensed.true_velocity])
        return float(self._cost.stage(torch.from_numpy(true).float(), sent))


def _measured(stamp_ns: int, sensed: Measurement) -> Measured:
    return Measured(stamp_ns, sensed.position.tolist(), sensed.velocity.tolist())
