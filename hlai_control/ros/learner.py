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
What the two learning nodes share: the stream of transitions and its schedule.

Exactly U updates follow each transition, one per turn of the loop, and every
P ticks a version is published, named by the last tick it was trained
through. In real time a learner that falls a second behind keeps the data and
puts the updates off until it has time, and counts them; in lockstep it never does.
"""

from collections.abc import Iterator
from pathlib import Path

from sensor_msgs.msg import JointState
import torch

from hlai_control.errors import HlaiError
from hlai_control.graph import APPLIED, STATE
from hlai_control.layout import Layout
from hlai_control.learning.archive import JournalArchive
from hlai_control.learning.journal import JournalReader
from hlai_control.learning.pairing import Joined, Pairing
from hlai_control.learning.replay import Replay
from hlai_control.learning.versions import is_published, tick_of
from hlai_control.readings import StampGate
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.lifecycle import ManagedNode
from hlai_control.ros.parameters import read, Run
from hlai_control.ros.process import lower_priority
from hlai_control.ros.qos import learner
from hlai_control.ros.signals import from_message, Signal
from hlai_control.settings import ScheduleSettings
from hlai_control.types import Batch, Transition

BEHIND_S = 1.0
# Updates for more of the past than this are not made up for: such a processor never has time.
OWED_S = 30.0


def transition(joined: Joined) -> Transition:
    """Return a joined step as tensors."""
    return Transition(*(torch.from_numpy(part.copy()).float()
                        for part in (joined.state, joined.action, joined.next_state)))


def nowhere(layout: Layout) -> Transition:
    """Return a transition in which nothing happens, for warming up."""
    rest = torch.zeros(layout.state_size)
    return Transition(rest, torch.zeros(layout.action_size), rest)


class LearnerNode(ManagedNode):
    """
    A managed node that learns from transitions.

    Subclasses give :meth:`updates_per_transition`, :meth:`absorb`,
    :meth:`update`, :meth:`publish_version` and, if they depend on another
    function, :meth:`ready`.
    """

    # What a subclass fills in.

    def updates_per_transition(self) -> int:
        """Return U."""
        raise NotImplementedError

    def recall(self, batch: Batch) -> None:
        """Take transitions from the journal, after a restart."""
        raise NotImplementedError

    def recalled(self) -> None:
        """Go on after the last one."""

    def absorb(self, joined: Joined) -> None:
        """Take a new transition."""
        raise NotImplementedError

    def update(self) -> None:
        """Make one update."""
        raise NotImplementedError

    def restore(self) -> None:
        """Read back what an earlier process knew, and ask for :meth:`remember`."""
        raise NotImplementedError

    def publish_version(self, version: int) -> None:
        """Publish the function as it is now."""
        raise NotImplementedError

    def ready(self, _joined: Joined) -> bool:
        """Whether everything that learning from this transition depends on has arrived."""
        return True

    def read_state(self, message: JointState) -> Signal:
        """Read what a step begins and ends with; the S values of the state come first."""
        return from_message(message, self.layout.states)

    # The stream.

    def setup(self, run: Run) -> None:
        """Load the robot, find the journal, and join states and commands."""
        self._reader: JournalReader | None = None
        self._history: Iterator[Batch] | None = None
        self._is_restored = False
        self.transitions = 0
        self.updates = 0
        manifest = load_robot(run.robot)
        self.layout = manifest.layout
        self.run = run
        self.schedule = read(self, ScheduleSettings)
        self._period_ns = manifest.period_ns
        if run.run_dir:
            self._reader = JournalReader(self.journal_path, self.layout)
        qos = learner(1.0 / self.layout.period_s)
        self.listen(JointState, STATE, self._on_state, qos)
        self.listen(JointState, APPLIED, self._on_applied, qos)
        priority = 'lockstep' if run.lockstep else lower_priority()
        self.diagnostics.fact('priority', priority)

    def start(self) -> None:
        """Begin a new stream; what was learned stays."""
        self._gate = StampGate()
        self._pairing = Pairing(self.layout.delay_ticks, self.layout.action_size,
                                patient=self.run.lockstep)
        self._current: Joined | None = None
        self._absorbed = False
        self._debt = 0
        self._owed = 0
        self._newest_tick = 0
        # In lockstep nobody has made a tick yet, so this does not depend on who is faster.
        self._known = len(self._reader) if self._reader is not None else 0
        if not self._is_restored:
            self.restore()
            self._is_restored = True

    @property
    def journal_path(self) -> Path:
        """Name the one journal of the run, which the world model writes and others read."""
        return Path(self.run.run_dir) / 'journals' / 'world_model.journal'

    def replay(self) -> Replay:
        """Make a memory whose older rows lie in the journal, if there is one."""
        return Replay(self.layout, archive=JournalArchive(self._reader) if self._reader else None)

    @property
    def remembering(self) -> bool:
        """Whether the journal is being read; nothing is learned meanwhile."""
        return self._history is not None

    def remember(self) -> None:
        """Have what the journal holds handed to :meth:`recall`, some at a time."""
        if self._reader is not None:
            self._history = JournalArchive(self._reader).chunks(self._known)

    def teardown(self) -> None:
        """Close the journal."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def work(self) -> bool:
        """Learn; what fails is counted, and the last good version stays in use."""
        try:
            return self._learn()
        except (HlaiError, OSError, RuntimeError) as error:  # torch's LinAlgError is the last
            self.diagnostics.count(f'learning: {error}')
            self._current, self._debt, self._owed = None, 0, 0
            return True

    def _learn(self) -> bool:
        """Take the next transition, or do one update for the one at hand."""
        if not self.active:
            return False
        if self._history is not None:
            self._recall_some(self._history)
            return True
        if self._current is None:
            self._current, self._absorbed = self._pairing.pop(), False
            if self._current is None:
                return self._make_up()
        if not self._absorbed:
            if not self.ready(self._current):
                return self._history is not None
            self._take(self._current)
        if self._debt > 0:
            self.update()
            self.updates += 1
            self._debt -= 1
        if self._debt == 0:
            self._finish(self._current.tick)
        return True

    def _make_up(self) -> bool:
        # Nothing new has come: time for what was put off.
        if self._owed == 0:
            return False
        self.update()
        self.updates += 1
        self._owed -= 1
        self.diagnostics.fact('updates', self.updates)
        return True

    def _recall_some(self, history: Iterator[Batch]) -> None:
        batch = next(history, None)
        if batch is None:
            self._history = None
            self.recalled()
        else:
            self.recall(batch)
            self.transitions += len(batch.state)
        self.diagnostics.fact('transitions', self.transitions)

    def _take(self, joined: Joined) -> None:
        self.transitions += 1
        self.absorb(joined)
        self._absorbed = True
        self._debt = self.updates_per_transition()
        behind_s = (self._newest_tick - joined.tick) * self.layout.period_s
        if behind_s > BEHIND_S and not self.run.lockstep:
            self.diagnostics.count('updates put off: too slow', self._debt)
            most = round(OWED_S / self.layout.period_s) * self._debt
            self._owed, self._debt = min(self._owed + self._debt, most), 0

    def _finish(self, tick: int) -> None:
        self._current = None
        # Lockstep's ticks count from 0 in every run, whatever was known before.
        made = tick if self.run.lockstep else self.transitions
        if is_published(made, self.schedule):
            self.publish_version(tick)
        self.diagnostics.fact('transitions', self.transitions)
        self.diagnostics.fact('updates', self.updates)
        self.diagnostics.fact('gaps', self._pairing.gaps)

    def _on_state(self, message: JointState) -> None:
        signal = self.read_state(message)
        self._gate.check(signal.stamp_ns)
        self._newest_tick = tick_of(signal.stamp_ns, self._period_ns)
        self._pairing.state(self._newest_tick, signal.stamp_ns, signal.values)

    def _on_applied(self, message: JointState) -> None:
        signal = from_message(message, self.layout.actions)
        self._pairing.applied(tick_of(signal.stamp_ns, self._period_ns), signal.values)
