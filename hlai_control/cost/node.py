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
The cost node: owns the terms, weights and goal of the task.

It publishes the cost specification that planners and critics use, reports
each term of what really happens and what became of the constraints, and says
how long the goal has been held.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import sys

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import String
import torch

from hlai_control.configurator.configuration import from_json
from hlai_control.configurator.scheduled import Scheduled
from hlai_control.cost.constraints import task_constraints
from hlai_control.cost.function import TaskCost
from hlai_control.cost.kept import Kept
from hlai_control.cost.kinematics import Named
from hlai_control.cost.published import PublishedCost
from hlai_control.cost.solved import at_goal, SolvedSpec
from hlai_control.cost.task import load_task, TaskSpec
from hlai_control.cost.visits import Visits
from hlai_control.graph import APPLIED, CONFIGURATION, COST, STATE, TERMS
from hlai_control.layout import DISTANCE_SUFFIX
from hlai_control.learning.pairing import Joined, Pairing
from hlai_control.learning.versions import tick_of
from hlai_control.readings import StampGate
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.lifecycle import ManagedNode
from hlai_control.ros.parameters import read, Run
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import FUNCTION, LATCHED, learner
from hlai_control.ros.signals import from_message, Signal, to_message
from hlai_control.settings import ConstraintSettings

# Of the constraints, beside the terms: ``<name>/violation``; of the goal: ``<name>/distance``.
VIOLATION_SUFFIX = '/violation'
# In lockstep the next goal is told so many ticks before it counts, to reach every node.
_AHEAD_TICKS = 20


@dataclass(frozen=True)
class _Scheduled:
    """A task's cost, constraints and goal, and the stamp from which on they count [ns]."""

    from_ns: int
    cost: TaskCost
    kept: Kept
    solved: SolvedSpec


class CostNode(ManagedNode):
    """Computes the objective; nothing in it is learned."""

    def __init__(self) -> None:
        """Declare the parameters."""
        super().__init__('cost', 'Objective', [ConstraintSettings])

    def setup(self, run: Run) -> None:
        """Load robot and task, and join their topics."""
        self._manifest = load_robot(run.robot)
        self._layout = self._manifest.layout
        qos = learner(1.0 / self._layout.period_s)
        self._specification = self.speak(String, COST, LATCHED)
        self._terms = self.speak(JointState, TERMS, qos)
        self._version, self._tolerance = 0, read(self, ConstraintSettings).tolerance
        self._named, self._seed, self._lockstep = Named(self._layout), run.seed, run.lockstep
        self._tasks: Scheduled[_Scheduled] = Scheduled()
        self._load(run.task, 0)
        self._take_due(0)
        self.listen(JointState, STATE, self._on_state, qos)
        self.listen(JointState, APPLIED, self._on_applied, qos)
        self.listen_always(String, CONFIGURATION, self._on_configuration, FUNCTION)

    def start(self) -> None:
        """Begin a new account of the motion."""
        self._gate = StampGate()
        self._pairing = Pairing(self._layout.delay_ticks, self._layout.action_size,
                                patient=self._lockstep)
        self._held_since_ns: int | None = None
        self._accounted_ns = 0
        self._kept.restart()

    def _load(self, task_name: str, from_ns: int) -> None:
        self._task_name = task_name
        self._visits = Visits(self._manifest, load_task(task_name, self._manifest), self._seed)
        # Visits are counted from the first state of the task on.
        self._visit, self._begun_ns = 0, from_ns if self._lockstep or from_ns else None
        self._put(self._visits.task(0), from_ns)

    def _put(self, task: TaskSpec, from_ns: int) -> None:
        self._version += 1
        kept = Kept(task_constraints(self._layout, task.cost), self._tolerance)
        self._tasks.put(_Scheduled(from_ns, TaskCost(self._layout, task.cost), kept, task.solved))
        self._specification.publish(String(data=PublishedCost(
            self._version, from_ns, task.cost).to_json()))

    def _visit_next(self, stamp_ns: int) -> None:
        """Tell the next goal, in lockstep before it counts, else when it does."""
        if not (period_ns := self._visits.period_ns()):
            return
        if self._begun_ns is None:
            self._begun_ns = stamp_ns
        ahead_ns = _AHEAD_TICKS * self._manifest.period_ns if self._lockstep else 0
        due_ns = self._begun_ns + (self._visit + 1) * period_ns
        if stamp_ns >= due_ns - min(ahead_ns, period_ns // 2):
            self._visit = max(self._visit + 1, (stamp_ns - self._begun_ns) // period_ns)
            self._put(self._visits.task(self._visit), self._begun_ns + self._visit * period_ns)

    def _take_due(self, stamp_ns: int) -> None:
        if (task := self._tasks.advance(stamp_ns)) is not None:
            self._cost, self._kept, self._solved = task.cost, task.kept, task.solved
            self._held_since_ns = None

    def _on_configuration(self, message: String) -> None:
        configuration = from_json(message.data)
        if configuration.task != self._task_name:
            self._load(configuration.task, configuration.from_ns)

    def _on_applied(self, message: JointState) -> None:
        signal = from_message(message, self._layout.actions)
        tick = tick_of(signal.stamp_ns, self._manifest.period_ns)
        self._pairing.applied(tick, signal.values)
        self._account()

    def _on_state(self, message: JointState) -> None:
        signal = from_message(message, self._layout.states)
        self._gate.check(signal.stamp_ns)
        tick = tick_of(signal.stamp_ns, self._manifest.period_ns)
        self._pairing.state(tick, signal.stamp_ns, signal.values)
        self._account()

    def _account(self) -> None:
        """Report each completed step: its end state and the command that led there."""
        while (joined := self._pairing.pop()) is not None:
            self._report_cost(joined)

    def _report_cost(self, joined: Joined) -> None:
        self._visit_next(joined.stamp_ns)
        self._take_due(joined.stamp_ns)
        with torch.inference_mode():
            terms = self._cost.terms(torch.from_numpy(joined.next_state).float(),
                                     torch.from_numpy(joined.action).float()).double().numpy()
        kept = self._kept.measure(joined)
        for name in kept.missed:
            self.diagnostics.count(f'violated: {name}')
        state = self._named.of(joined.next_state)
        names = (*self._cost.names, 'total', 'held_s', 'hold_s',
                 *(name + VIOLATION_SUFFIX for name in kept.names),
                 *(item.coordinate + DISTANCE_SUFFIX for item in self._solved.within))
        self._terms.publish(to_message(Signal(joined.stamp_ns, names, np.concatenate([
            terms, [terms.sum(), self._hold(joined, state), self._solved.hold_s], kept.violations,
            [item.distance(state[item.coordinate]) for item in self._solved.within]]))))

    def _hold(self, joined: Joined, state: Mapping[str, float]) -> float:
        """Return for how long the goal has been held [s], -1 outside it."""
        unseen_ns = joined.stamp_ns - self._accounted_ns - self._manifest.period_ns
        self._accounted_ns = joined.stamp_ns
        if unseen_ns > self._manifest.period_ns // 2:
            self._held_since_ns = None  # nobody saw what happened in between
        if not at_goal(self._solved, state):
            self._held_since_ns = None
            return -1.0
        if self._held_since_ns is None:
            self._held_since_ns = joined.stamp_ns
        return (joined.stamp_ns - self._held_since_ns) * 1e-9


def main() -> int:
    """Run the cost node."""
    return run_node(CostNode)


if __name__ == '__main__':
    sys.exit(main())
