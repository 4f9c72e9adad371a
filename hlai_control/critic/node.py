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
The critic node: learns V from real and imagined steps while the robot moves.

It imagines with the world model's versions as they come (in lockstep: with
the one that is due), publishes its own, and the anticipated cost of every
state: the robot's expectation of how well things will go.
"""

from dataclasses import replace
from pathlib import Path
import sys

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import String, UInt8MultiArray
import torch

from hlai_control.configurator.scheduled import Scheduled
from hlai_control.cost.function import TaskCost
from hlai_control.cost.published import from_json, PublishedCost
from hlai_control.cost.spec import CostSpec
from hlai_control.cost.task import load_task
from hlai_control.critic.studies import Studies
from hlai_control.graph import ANTICIPATED, COST, CRITIC, POLICY, WORLD_MODEL
from hlai_control.learning.artefact import Artefact, decode
from hlai_control.learning.pairing import Joined
from hlai_control.learning.storage import newest_valid
from hlai_control.learning.versions import due_version, VersionShelf
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.functions import (
    CRITIC_KIND,
    FunctionPublisher,
    POLICY_KIND,
    unpack,
    WORLD_MODEL_KIND,
)
from hlai_control.ros.learner import LearnerNode, nowhere, transition
from hlai_control.ros.parameters import read, Run
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import FUNCTION, learner
from hlai_control.ros.signals import Signal, to_message
from hlai_control.settings import (
    CriticSettings,
    DdpSettings,
    HybridSettings,
    PlannerSettings,
    PolicySettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Batch, generator
from hlai_control.world_model.made import make_dynamics

ANTICIPATED_NAMES = ('anticipated', 'spread', 'loss', 'updates', 'version', 'world_model')


class CriticNode(LearnerNode):
    """Anticipates the objective."""

    def __init__(self) -> None:
        """Declare the parameters."""
        super().__init__('critic', 'Critic',
                         [CriticSettings, PolicySettings, WorldModelSettings, ScheduleSettings,
                          PlannerSettings, HybridSettings, DdpSettings])

    def setup(self, run: Run) -> None:
        """Join the functions that learning depends on."""
        super().setup(run)
        torch.set_num_threads(1)
        self._dynamics = make_dynamics(self.layout, read(self, WorldModelSettings),
                                       generator(run.seed, WORLD_MODEL_KIND))
        self._like = self._dynamics.export()
        self._models: VersionShelf[Artefact] = VersionShelf()
        self._costs: Scheduled[PublishedCost] = Scheduled()
        self._learner: Studies | None = None
        self._warm_up(run)
        self._model_version, self._version, self._loss, self._studied = 0, 0, 0.0, False
        self._functions = FunctionPublisher(self.speak(UInt8MultiArray, CRITIC, FUNCTION),
                                            run.run_dir)
        self._policies = FunctionPublisher(self.speak(UInt8MultiArray, POLICY, FUNCTION),
                                           run.run_dir)
        self._anticipated = self.speak(JointState, ANTICIPATED,
                                       learner(1.0 / self.layout.period_s))
        self.listen_always(UInt8MultiArray, WORLD_MODEL, self._on_world_model, FUNCTION)
        self.listen_always(String, COST, self._on_cost, FUNCTION)

    def _warm_up(self, run: Run) -> None:
        """Learn nothing once: the first backward pass of torch takes seconds."""
        spec = load_task(run.task, load_robot(run.robot)).cost
        scratch = self._made(spec, 0)
        scratch.add(nowhere(self.layout))
        scratch.update(self._dynamics)
        scratch.study(self._dynamics)

    def _made(self, spec: CostSpec, seed: int) -> Studies:
        """Make what learns to anticipate a cost."""
        planner = read(self, PlannerSettings)
        teacher = None
        if self.schedule.plans:
            # Only who plans needs the compiler.
            from hlai_control.actor.hybrid import HybridPlanner
            teacher = HybridPlanner(
                self.layout, replace(planner, horizon=read(self, CriticSettings).horizon),
                read(self, HybridSettings), read(self, DdpSettings))
        return Studies(self.layout, TaskCost(self.layout, spec), spec.discount,
                       (read(self, CriticSettings), read(self, PolicySettings), self.schedule),
                       seed, teacher, planner.iterations)

    def _on_world_model(self, message: UInt8MultiArray) -> None:
        artefact = decode(unpack(message), self.layout, WORLD_MODEL_KIND, self._like)
        self._models.put(artefact.version, artefact)

    def _on_cost(self, message: String) -> None:
        published = from_json(message.data)
        TaskCost(self.layout, published.spec)  # refuse now what could not be used later
        self._costs.put(published)

    def restore(self) -> None:
        """Do nothing yet: what to anticipate is known once there is a cost."""

    def updates_per_transition(self) -> int:
        """Return U; studying plans and the policy's updates, once per step, count as one."""
        if self._model_version == 0:
            return 0
        return self.schedule.critic_updates + self.schedule.acting

    def recall(self, batch: Batch) -> None:
        """Remember transitions of an earlier process."""
        assert self._learner is not None
        self._learner.extend(batch)

    def recalled(self) -> None:
        """Go on from the newest files of this run, if there are any."""
        if self._learner is not None and self._functions.folder is not None:
            self._restore_functions(self._learner, self._functions.folder)

    def ready(self, joined: Joined) -> bool:
        """Wait for a cost, and in lockstep for the world model that is due."""
        if (published := self._costs.advance(joined.stamp_ns)) is not None:
            self._begin(published.spec)
        if self._learner is None or self.remembering:
            return False
        newest = None
        if not self.run.lockstep:
            newest = self._models.newest()
        elif (due := due_version(joined.tick, self.schedule)) > 0:
            self.diagnostics.fact('waits for', '' if self._models.has(due)
                                  else f'world_model: version {due}')
            if not self._models.has(due):
                return False
            newest = (due, self._models.take(due))
        if newest is not None and newest[0] != self._model_version:
            self._model_version = newest[0]
            self._dynamics.load(newest[1].tensors)
        return True

    def _begin(self, spec: CostSpec) -> None:
        """Begin a value function for a cost, from all motion so far."""
        before = self._learner
        self._learner = self._made(spec, self.run.seed)
        if before is not None:
            self._learner.inherit(before)
            return
        self._learner.critic.replay = self.replay()
        self.remember()

    def _restore_functions(self, learner: Studies, folder: Path) -> None:
        value, policy = learner.critic.value, learner.policy.policy
        known = newest_valid(folder, self.layout, CRITIC_KIND, value.export())
        acting = newest_valid(folder, self.layout, POLICY_KIND, policy.export())
        if known is not None:
            learner.critic.restore(known.tensors)
        if acting is not None:
            policy.load(acting.tensors)
        if known is not None:
            self.publish_version(known.version)

    def absorb(self, joined: Joined) -> None:
        """Remember the step, and say what is anticipated from its end on."""
        assert self._learner is not None
        step = transition(joined)
        self._learner.add(step)
        with torch.inference_mode():
            value = self._learner.critic.value
            anticipated = float(value.value(step.next_state))
            spread = float(value.trust * value.spread(step.next_state))
        self._studied = False
        values = [anticipated, spread, self._loss, self.updates, self._version,
                  self._model_version]
        self._anticipated.publish(to_message(Signal(
            joined.stamp_ns, ANTICIPATED_NAMES, np.array(values, np.float64))))

    def update(self) -> None:
        """Make one update, imagining with the world model in use; once a step, study plans."""
        assert self._learner is not None
        if self.schedule.acting and not self._studied:
            self._learner.study(self._dynamics)
            self._studied = True
        else:
            self._loss = self._learner.update(self._dynamics)

    def publish_version(self, version: int) -> None:
        """Publish the value function and the policy as they are now."""
        assert self._learner is not None
        self._version = version
        self._functions.publish(
            Artefact(CRITIC_KIND, version, self._learner.critic.value.export()), self.layout)
        if self.schedule.acting:
            self._policies.publish(
                Artefact(POLICY_KIND, version, self._learner.policy.policy.export()), self.layout)


def main() -> int:
    """Run the critic node."""
    return run_node(CriticNode)


if __name__ == '__main__':
    sys.exit(main())
