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
nothing.
"""

import sys
import time

import numpy as np
from sensor_msgs.msg import JointState
import torch

from hlai_control.graph import STATE
from hlai_control.layout import STD_SUFFIX
from hlai_control.perception.frozen import FrozenSensors
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.readings import StampGate
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.diagnostics import WARN
from hlai_control.ros.freshness import Freshness
from hlai_control.ros.joint_states import read_joint_states
from hlai_control.ros.lifecycle import ManagedNode
from hlai_control.ros.parameters import read, Run
from hlai_control.ros.process import raise_priority
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import learner, SENSOR
from hlai_control.ros.signals import Signal, stamp_to_ns, to_message
from hlai_control.settings import PerceptionSettings, SurpriseSettings

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
                         [PerceptionSettings, SurpriseSettings])

    def setup(self, run: Run) -> None:
        """Load the robot, and join its joint states."""
        self._manifest = load_robot(run.robot)
        layout = self._manifest.layout
        self._estimator = KalmanEstimator(layout, read(self, PerceptionSettings))
        self._names = (*layout.states, *(name + STD_SUFFIX for name in layout.states), FROZEN)
        self._lockstep = run.lockstep
        self._rate = run.real_time_factor
        self._publisher = self.speak(JointState, STATE, learner(1.0 / layout.period_s))
        # The barrier must not lose a measurement; real sensors may be best effort.
        qos = learner(1.0 / layout.period_s) if run.lockstep else SENSOR
        self.listen(JointState, 'joint_states', self._on_joint_states, qos,
                    self._manifest.topics.joint_states)
        self.diagnostics.fact('priority', 'lockstep' if run.lockstep else raise_priority(RANK))

    def start(self) -> None:
        """Begin with no belief."""
        self._gate = StampGate()
        self._freshness = Freshness(STALE_S, self._rate)
        self._estimator.reset()
        layout = self._manifest.layout
        self._sensors = FrozenSensors(
            layout, read(self, SurpriseSettings).patience_ticks(layout.period_s))

    def _on_joint_states(self, message: JointState) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        measured = read_joint_states(message, self._manifest)
        if not self._lockstep:
            self._freshness.check(stamp_ns, time.monotonic())
        previous_ns = self._gate.last_ns
        self._gate.check(stamp_ns)
        self._advance(previous_ns, stamp_ns)
        estimate = self._estimator.correct(torch.from_numpy(self._sensors.trusted(measured)))
        names = self._sensors.frozen_names
        self._tell(names)
        values = np.array([*estimate.mean.tolist(), *estimate.std.tolist(), len(names)])
        self._publisher.publish(to_message(Signal(stamp_ns, self._names, values)))

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
        for _ in range(ticks):
            self._estimator.predict()


def main() -> int:
    """Run the perception node."""
    return run_node(PerceptionNode)


if __name__ == '__main__':
    sys.exit(main())
