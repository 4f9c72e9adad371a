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


"""The spine: foresee the moment at which the command takes effect, imagine, score, choose."""

from dataclasses import dataclass

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.rollout import roll_out
from hlai_control.errors import ShapeError
from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics, Planner, Problem
from hlai_control.types import Budget, Estimate, Plan


@dataclass(frozen=True)
class Engine:
    """
    World model, cost, critic and planner of one robot, on one device.

    Replace a part with ``dataclasses.replace`` when a new version is due.

    :param layout: the robot.
    :param dynamics: the world model, by control periods.
    :param problem: what plans minimise: world model, cost, and the critic as terminal value;
        its steps may be longer than a control period.
    :param planner: chooses the commands.
    """

    layout: Layout
    dynamics: Dynamics
    problem: Problem
    planner: Planner

    def decide(self, estimate: Estimate, pending: Float[Tensor, 'D A'], warm: Plan | None,
               budget: Budget, generator: torch.Generator) -> Plan:
        """
        Choose the commands from the next moment on that can still be changed.

        :param estimate: the state at the stamp of the measurement.
        :param pending: commands sent but not yet in effect at that stamp,
            oldest first; D is the layout's ``delay_ticks``.
        :param warm: the previous tick's plan, not yet shifted.
        :param budget: effort of this plan.
        :param generator: the actor's random numbers.
        :returns: a plan whose first command is to be sent now.
        :raises PlanError: if no candidate has a finite energy.
        """
        start = self.foresee(estimate, pending)
        return self.planner.plan(start, self.problem, warm, budget, generator)

    @torch.inference_mode()
    def foresee(self, estimate: Estimate, pending: Float[Tensor, 'D A']) -> Float[Tensor, ' S']:
        """
        Predict the state at which the command sent now takes effect.

        :param estimate: the state at the stamp of the measurement.
        :param pending: see :meth:`decide`.
        :returns: mean over the members.
        :raises ShapeError: if the number of pending commands is not the delay.
        """
        if pending.shape != (self.layout.delay_ticks, self.layout.action_size):
            raise ShapeError(
                f'pending commands have shape {tuple(pending.shape)}; valid: '
                f'({self.layout.delay_ticks}, {self.layout.action_size}), (delay, actuators)')
        return roll_out(estimate.mean, pending.unsqueeze(0), self.dynamics)[:, 0, -1].mean(dim=0)
