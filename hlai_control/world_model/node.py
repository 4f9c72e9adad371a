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
The world model node: learns G from the stream while the robot moves.

It publishes every version as an artefact; how surprised it was by each step,
before it learned the step; and how far ahead it can see, with intervals that
what came later has calibrated.
"""

from dataclasses import replace
import sys
from typing import TYPE_CHECKING

import numpy as np
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_msgs.msg import UInt8MultiArray
import torch

from hlai_control.errors import ArtefactError, SettingsError
from hlai_control.graph import INTERVALS, SURPRISE, WORLD_MODEL
from hlai_control.layout import MEASURED_SUFFIX
from hlai_control.learning.artefact import Artefact
from hlai_control.learning.journal import Journal
from hlai_control.learning.pairing import Joined
from hlai_control.learning.storage import newest_valid
from hlai_control.ros.diagnostics import WARN
from hlai_control.ros.functions import FunctionPublisher, WORLD_MODEL_KIND
from hlai_control.ros.learner import LearnerNode, nowhere, transition
from hlai_control.ros.parameters import read, Run
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import FUNCTION, learner
from hlai_control.ros.signals import from_message, Signal, to_message
from hlai_control.settings import (
    PerceptionSettings,
    ScheduleSettings,
    SurpriseSettings,
    WorldModelSettings,
)
from hlai_control.types import Batch, generator, Transition
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.forecasts import Forecasts, HORIZONS
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.made import make_learner
from hlai_control.world_model.watch import Watch

if TYPE_CHECKING:
    from hlai_control.world_model.hindsight import Hindsight

SURPRISE_NAMES = ('error', 'loss', 'transitions', 'updates', 'version', 'energy', 'evidence',
                  'threshold', 'alarm')
# What calibrates surprise and intervals, kept for a run that is resumed.
CALIBRATION_KIND = 'calibration'
CALIBRATION_PERIOD_S = 10.0
# So much may be lost when power is.
SYNC_PERIOD_S = 1.0


class WorldModelNode(LearnerNode):
    """Predicts future states."""

    def __init__(self) -> None:
        """Declare the parameters."""
        super().__init__('world_model', 'World model', [
            WorldModelSettings, SurpriseSettings, ScheduleSettings, PerceptionSettings])
        self._journal: Journal | None = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(SYNC_PERIOD_S, self._sync, clock=steady)
        self.create_timer(CALIBRATION_PERIOD_S, self._keep_calibration, clock=steady)

    def setup(self, run: Run) -> None:
        """Build the learner; read back what an earlier process of this run knew."""
        super().setup(run)
        torch.set_num_threads(1)
        self._learner = make_learner(self.layout, read(self, WorldModelSettings),
                                     generator(run.seed, WORLD_MODEL_KIND))
        self._learner.replay = self.replay()
        self._hindsight = self._looking_back() if self.layout.is_blind else None
        if run.run_dir:
            self._journal = Journal(self.journal_path, self.layout)
            if self._journal.torn:
                self.diagnostics.count('journal: bytes of a torn end dropped', self._journal.torn)
        self._functions = FunctionPublisher(self.speak(UInt8MultiArray, WORLD_MODEL, FUNCTION),
                                            run.run_dir)
        rate = learner(1.0 / self.layout.period_s)
        self._surprise = self.speak(JointState, SURPRISE, rate)
        self._intervals = self.speak(JointState, INTERVALS, rate)
        self._watch = Watch(self.layout, read(self, SurpriseSettings))
        self._forecasts = Forecasts(self.layout, read(self, WorldModelSettings), run.seed)
        self._interval_names = (
            *(f'{name}/{ahead}' for ahead in HORIZONS for name in self.layout.states),
            *(f'coverage/{ahead}' for ahead in HORIZONS))
        self._loss, self._last_tick = 0.0, -1
        # Learn nothing once: the first backward pass of torch takes seconds.
        scratch = make_learner(self.layout, read(self, WorldModelSettings),
                               generator(0, 'warm-up'))
        scratch.add(nowhere(self.layout))
        scratch.update()

    def _looking_back(self) -> 'Hindsight':
        """Make what finds the newest steps anew, its loops compiled."""
        # Only who smooths needs the compiler.
        from hlai_control.compiled.ahead import compile_smoothing
        from hlai_control.world_model.hindsight import Hindsight
        compile_smoothing()
        rest = nowhere(self.layout)
        self._linearised().linearise(rest.state[None, None], rest.action[None])
        return Hindsight(self.layout, read(self, PerceptionSettings),
                         read(self, WorldModelSettings).revised)

    def _linearised(self) -> EnsembleDynamics:
        dynamics = self._learner.dynamics
        if not isinstance(dynamics, EnsembleDynamics):
            raise SettingsError('world_model.latent = mixture needs a robot whose rates are all '
                                'measured; set it to gaussian')
        return dynamics

    def restore(self) -> None:
        """Go on from the newest file of this run, if there is one, then from its journal."""
        self._version, dynamics = 0, self._learner.dynamics
        if self._functions.folder is None:
            return
        known = newest_valid(self._functions.folder, self.layout, WORLD_MODEL_KIND,
                             dynamics.export())
        if known is not None:
            dynamics.load(known.tensors)
            self.publish_version(known.version)
        kept = newest_valid(self._functions.folder, self.layout, CALIBRATION_KIND,
                            self._calibration())
        if kept is not None:
            self._watch.load(kept.tensors)
            self._forecasts.load(kept.tensors)
        self.remember()

    def stop(self) -> None:
        """Keep the calibration."""
        super().stop()
        self._write_calibration()

    def teardown(self) -> None:
        """Bring the journal to the disk, and close it."""
        super().teardown()
        if self._journal is not None:
            for one in self._hindsight.finish() if self._hindsight is not None else ():
                self._keep(one)
            self._journal.close()
            self._journal = None

    def updates_per_transition(self) -> int:
        """Return U."""
        return self.schedule.updates

    def recall(self, batch: Batch) -> None:
        """Remember transitions of an earlier process."""
        self._learner.extend(batch)

    def absorb(self, joined: Joined) -> None:
        """Report how well the step was predicted, then remember it, on disk too."""
        seen = joined
        if self._hindsight is not None:
            size = self.layout.state_size
            seen = replace(joined, state=joined.state[:size], next_state=joined.next_state[:size])
        step = transition(seen)
        error = self._learner.one_step_error(step).double().numpy()
        if self._hindsight is None:
            self._keep(joined)
            self._watch.notice(self._learner, step)
            self._learner.add(step)
        else:
            # What was learned is found anew at each tick: there is nothing to doubt at once.
            if self._learner.consulted:
                self._watch.observe(self._learner.surprisal(step))
            self._revise(seen, joined, self._hindsight)
        found = self._watch.surprise
        values = [float(np.sqrt(np.mean(error ** 2))), self._loss, self.transitions,
                  self.updates, self._version, self._watch.energy, self._watch.evidence,
                  found.threshold, found.alarm]
        self._surprise.publish(to_message(Signal(
            joined.stamp_ns, SURPRISE_NAMES, np.array(values, np.float64))))
        self._tell()
        self._foresee(joined, step)

    def _tell(self) -> None:
        """Say in diagnostics when an alarm begins or ends."""
        self.diagnostics.fact('surprise: alarms', self._watch.alarms)
        if not self.diagnostics.fact('surprise: alarm', self._watch.surprise.alarm):
            return
        if self._watch.surprise.alarm:
            self.diagnostics.state('surprised: the robot is not what was learned', WARN)
        else:
            self.diagnostics.state('active')

    def _foresee(self, joined: Joined, step: Transition) -> None:
        if joined.tick != self._last_tick + 1:
            self._forecasts.interrupt()
        self._last_tick = joined.tick
        judged = self._forecasts.observe(step)
        if judged is None:
            return
        values = torch.cat([judged.half_width.flatten(), judged.coverage]).double().numpy()
        if np.isfinite(values).all():
            self._intervals.publish(to_message(Signal(
                joined.stamp_ns, self._interval_names, values)))

    def _calibration(self) -> dict[str, torch.Tensor]:
        return self._watch.export() | self._forecasts.export()

    def _keep_calibration(self) -> None:
        if self.active:
            self._write_calibration()

    def _write_calibration(self) -> None:
        try:
            self._functions.keep(Artefact(CALIBRATION_KIND, self._version, self._calibration()),
                                 self.layout)
        except (ArtefactError, OSError) as error:
            self.diagnostics.count(f'calibration: {error}')

    def _revise(self, step: Joined, measured: Joined, hindsight: 'Hindsight') -> None:
        """Learn a step in hindsight, from what was measured behind the S values of its states."""
        size = self.layout.state_size
        revised = hindsight.add(step, measured.state[size:], measured.next_state[size:],
                                self._linearised() if self._version else None)
        for one in revised.lasting:
            self._keep(one)
        if len(revised.settled.state):
            self._learner.extend(revised.settled)
        assert isinstance(self._learner, WorldModelLearner)  # what is blind is no mechanism here
        self._learner.revise(revised.recent, revised.doubt)

    def read_state(self, message: JointState) -> Signal:
        """Read the state; where it is not all measured, also what was, NaN where nothing."""
        found = super().read_state(message)
        if not self.layout.is_blind:
            return found
        names = [name + MEASURED_SUFFIX for name in self.layout.states]
        there = [name in message.name for name in names]
        measured = np.full(len(names), np.nan)
        measured[there] = from_message(
            message, [name for name in names if name in message.name]).values
        return replace(found, values=np.concatenate([found.values, measured]))

    def _keep(self, joined: Joined) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(joined)
        except (ArtefactError, OSError) as error:
            # A full disk is no reason to stop learning.
            self.diagnostics.count(f'journal: {error}')

    def _sync(self) -> None:
        if self._journal is not None:
            self._journal.sync()

    def update(self) -> None:
        """Make one update."""
        self._loss = self._learner.update()

    def publish_version(self, version: int) -> None:
        """Publish the ensemble as it is now."""
        self._version = version
        tensors = self._learner.dynamics.export()
        self._forecasts.put(tensors)
        self._functions.publish(Artefact(WORLD_MODEL_KIND, version, tensors), self.layout)


def main() -> int:
    """Run the world model node."""
    return run_node(WorldModelNode)


if __name__ == '__main__':
    sys.exit(main())
