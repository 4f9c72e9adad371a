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
The perception node: joint states in, s[t] with its uncertainty out.

Rejects what cannot be used, reorders by name, filters, stamps with the
measurement's time. In real time late data is stale; in lockstep age means
nothing. Where a coordinate has no sensor, it is found through the world model
and the commands that were applied; in lockstep each tick waits for both.
"""

from collections import deque
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import UInt8MultiArray
import torch

from hlai_control.actor.inputs import AppliedCommands, FunctionInput
from hlai_control.graph import APPLIED, STATE, WORLD_MODEL
from hlai_control.layout import MEASURED_SUFFIX, STD_SUFFIX
from hlai_control.learning.artefact import decode
from hlai_control.learning.versions import tick_of
from hlai_control.perception.frozen import FrozenSensors
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.readings import StampGate
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.diagnostics import WARN
from hlai_control.ros.freshness import Freshness
from hlai_control.ros.functions import unpack, WORLD_MODEL_KIND
from hlai_control.ros.joint_states import JointReader
from hlai_control.ros.lifecycle import ManagedNode
from hlai_control.ros.odometry import hear_robot
from hlai_control.ros.parameters import read, Run
from hlai_control.ros.process import raise_priority
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import FUNCTION, learner, SENSOR
from hlai_control.ros.signals import from_message, Signal, stamp_to_ns, to_message
from hlai_control.settings import (
    PerceptionSettings,
    ScheduleSettings,
    SurpriseSettings,
    WorldModelSettings,
)
from hlai_control.types import generator
from hlai_control.world_model.ensemble import EnsembleDynamics

if TYPE_CHECKING:
    from hlai_control.perception.modelled import ModelEstimator

STALE_S = 0.15
# In the signal: how many sensors repeat themselves; in diagnostics: which.
FROZEN = 'frozen'
# Among real-time processes: before the actor, which waits for it.
RANK = 20
# After a longer gap the filter begins anew instead of predicting blindly.
RESET_TICKS = 10


class PerceptionNode(ManagedNode):
    """Estimates the state of the robot, once per measurement."""

    def __init__(self) -> None:
        """Declare the parameters."""
        super().__init__('perception', 'State estimator',
                         [PerceptionSettings, SurpriseSettings, WorldModelSettings,
                          ScheduleSettings])

    def setup(self, run: Run) -> None:
        """Load the robot, and join its joint states."""
        self._manifest = load_robot(run.robot)
        layout = self._manifest.layout
        settings, self._lockstep = read(self, PerceptionSettings), run.lockstep
        self._modelled = self._learning(run, settings) if layout.is_blind else None
        self._estimator = self._modelled or KalmanEstimator(layout, settings)
        self._names = (*layout.states, *(name + STD_SUFFIX for name in layout.states), FROZEN)
        self._rate = run.real_time_factor
        self._models = FunctionInput(read(self, ScheduleSettings), run.lockstep)
        rate_hz = 1.0 / layout.period_s
        self._publisher = self.speak(JointState, STATE, learner(rate_hz))
        # The barrier must not lose a measurement; real sensors may be best effort.
        qos = learner(rate_hz) if run.lockstep else SENSOR
        hear_robot(self.listen, self._manifest, self._on_joint_states, qos)
        self.listen(JointState, APPLIED, self._on_applied, learner(rate_hz))
        self.listen_always(UInt8MultiArray, WORLD_MODEL, self._on_world_model, FUNCTION)
        self.diagnostics.fact('priority', 'lockstep' if run.lockstep else raise_priority(RANK))

    def _learning(self, run: Run, settings: PerceptionSettings) -> 'ModelEstimator':
        """Make the estimator that learns from the world model, all its loops compiled."""
        # Only who smooths needs the compiler.
        from hlai_control.compiled.ahead import compile_smoothing
        from hlai_control.perception.modelled import ModelEstimator
        torch.set_num_threads(1)
        compile_smoothing()
        layout = self._manifest.layout
        self._dynamics = EnsembleDynamics(layout, read(self, WorldModelSettings),
                                          generator(run.seed, WORLD_MODEL_KIND))
        self._like = self._dynamics.export()
        scratch = ModelEstimator(layout, settings)
        scratch.use(self._dynamics)
        for _ in range(4):
            scratch.predict()
        return ModelEstimator(layout, settings)

    def start(self) -> None:
        """Begin with no belief."""
        self._gate, self._reader = StampGate(), JointReader(self._manifest)
        self._freshness = Freshness(STALE_S, self._rate)
        self._estimator.reset()
        layout = self._manifest.layout
        self._applied = AppliedCommands(layout.delay_ticks, layout.action_size)
        self._waiting: deque[tuple[int, np.ndarray]] = deque()
        self._last_ns: int | None = None
        self._sensors = FrozenSensors(
            layout, read(self, SurpriseSettings).patience_ticks(layout.period_s))

    def _on_joint_states(self, message: JointState) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        measured = self._reader.read(message)
        if measured is None:
            return
        if not self._lockstep:
            self._freshness.check(stamp_ns, time.monotonic())
        self._gate.check(stamp_ns)
        self._waiting.append((stamp_ns, measured))
        while self._answer():
            pass

    def _on_applied(self, message: JointState) -> None:
        signal = from_message(message, self._manifest.layout.actions)
        self._applied.put(self._tick(signal.stamp_ns), torch.from_numpy(signal.values).float())

    def _on_world_model(self, message: UInt8MultiArray) -> None:
        if self._modelled is not None:
            self._models.put(decode(unpack(message), self._manifest.layout, WORLD_MODEL_KIND,
                                    self._like))

    def work(self) -> bool:
        """Answer a measurement whose world model or command has come since."""
        return self.active and self._answer()

    def _answer(self) -> bool:
        """Estimate the state at the oldest measurement not answered, once all is here."""
        if not self._waiting:
            return False
        stamp_ns, measured = self._waiting[0]
        tick = self._tick(stamp_ns)
        if self._modelled is not None and self._lockstep:
            waits_for = self._waits_for(tick)
            self.diagnostics.fact('waits for', waits_for)
            if waits_for:
                return False
        self._waiting.popleft()
        if self._modelled is not None and (model := self._models.advance(tick)) is not None:
            self._dynamics.load(model.tensors)
            self._modelled.use(self._dynamics)
        self._advance(self._last_ns, stamp_ns)
        self._last_ns = stamp_ns
        self._publish(stamp_ns, measured)
        return True

    def _waits_for(self, tick: int) -> str:
        if self._applied.first_tick is None:
            self._applied.first_tick = tick
        if not self._applied.ready(tick):
            return 'guard: the command of the last tick'
        lacking = self._models.waits_for(tick)
        return f'world_model: {lacking}' if lacking else ''

    def _publish(self, stamp_ns: int, readings: np.ndarray) -> None:
        measured = torch.from_numpy(self._sensors.trusted(readings))
        frozen = self._sensors.frozen_names
        self._tell(frozen)
        estimate, names = self._estimator.correct(measured), self._names
        values = torch.cat([estimate.mean, estimate.std, torch.tensor([float(len(frozen))])]
                           ).double()
        if self._modelled is not None:
            # The world model finds the past anew from what was measured.
            known = torch.isfinite(measured)
            names += tuple(name + MEASURED_SUFFIX for name, there in zip(
                self._manifest.layout.states, known.tolist(), strict=True) if there)
            values = torch.cat([values, measured[known].double()])
        self._publisher.publish(to_message(Signal(stamp_ns, names, values.numpy())))

    def _tick(self, stamp_ns: int) -> int:
        return tick_of(stamp_ns, self._manifest.period_ns)

    def _tell(self, frozen: tuple[str, ...]) -> None:
        """Say in diagnostics which sensors are frozen, when that changes."""
        if not self.diagnostics.fact(FROZEN, ', '.join(frozen) or 'none'):
            return
        if frozen:
            self.diagnostics.state(
                f'frozen: {", ".join(frozen)}; not trusted until it moves', WARN)
        else:
            self.diagnostics.state('active')

    def _advance(self, previous_ns: int | None, stamp_ns: int) -> None:
        if previous_ns is None:
            return
        ticks = round((stamp_ns - previous_ns) / self._manifest.period_ns)
        if ticks > RESET_TICKS:
            self.diagnostics.count('joint_states: gap, estimator reset')
            self._estimator.reset()
            return
        begin = self._tick(previous_ns)
        for tick in range(begin, begin + ticks):
            self._estimator.predict(self._applied.in_effect(tick))


def main() -> int:
    """Run the perception node."""
    return run_node(PerceptionNode)


if __name__ == '__main__':
    sys.exit(main())
