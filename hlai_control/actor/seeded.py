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

"""What the policy is for: to answer instead of a planner, or to propose to one."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, isfinite

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.given import last_command, shifted
from hlai_control.actor.rollout import energy
from hlai_control.actor.searching import AtHand
from hlai_control.actor.within import reachable
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import Planner, PolicyFunction, Problem
from hlai_control.types import Budget, Plan


class ReactivePlanner:
    """
    One call of the policy in the place of planning.

    The plan is one step long. The command goes as far towards the policy's as
    constraints on commands allow; what the step then violates, of the command
    or of the state that it leads to, is measured and said.

    :param policy: answers.
    :param tolerance: violation that still counts as none, as a fraction of the limit.
    """

    def __init__(self, policy: PolicyFunction, tolerance: float) -> None:
        """Keep the policy."""
        self._policy, self._tolerance = policy, tolerance

    @torch.inference_mode(False)
    @torch.no_grad()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             _budget: Budget, _generator: torch.Generator) -> Plan:
        """
        Answer one state, see ``protocols.Planner``.

        :raises PlanError: if the answer, or what is to come of it, is not finite.
        """
        here = start.clone()
        wanted = self._policy.action(here)
        last = last_command(here, problem, warm, len(wanted))
        action = reachable(wanted.unsqueeze(0), last, here, problem.constraints)[0]
        wide = here.expand(problem.dynamics.members, -1)
        ahead = problem.dynamics.step(wide, action).mean(dim=0)
        value = 0.0 if problem.critic is None else float(problem.critic.value(ahead))
        found = float(problem.cost.stage(here, action)) + problem.discount * value
        if not (isfinite(found) and bool(torch.isfinite(torch.cat([here, action, ahead])).all())):
            raise PlanError("the policy's command, or what it leads to, is not finite; hold the "
                            'safe command and check state and world model')
        violation, violated = self._violation(here, action, last, ahead, problem)
        return Plan(actions=action.unsqueeze(0), states=torch.stack([here, ahead]),
                    energy=found, anticipated=value, iterations=0, rejected=0,
                    violation=violation, violated=violated)

    def _violation(self, here: Tensor, action: Tensor, last: Tensor, ahead: Tensor,
                   problem: Problem) -> tuple[float, str]:
        constraints = problem.constraints
        if constraints is None:
            return 0.0, ''
        now, then = constraints.values(
            torch.stack([here, ahead]), action.expand(2, -1),
            torch.stack([last, action])).nan_to_num(nan=inf).tolist()
        worst, at = max((ahead_of if of_state else of_command, number)
                        for number, (of_command, ahead_of, of_state) in enumerate(
                            zip(now, then, constraints.of_state, strict=True)))
        if worst <= self._tolerance:
            return 0.0, ''
        return worst * constraints.units[at], constraints.names[at]


class SeededPlanner:
    """
    Any planner, warm-started by whichever is better: its previous plan, or the policy.

    The policy is followed through the mean of the world model; so is the
    previous plan, under its feedback gains, and their energies are compared.
    What wins is handed on in the place of the previous plan. The planner's own
    proposals and its refinement go on from there. Without a previous plan the
    planner begins as it would, from many proposals. Within constraints, which
    the policy does not know, and when time is up, it proposes nothing.

    :param layout: limits of the commands.
    :param planner: makes the plans.
    :param policy: proposes.
    """

    def __init__(self, layout: Layout, planner: Planner, policy: PolicyFunction) -> None:
        """Keep all."""
        self._planner, self._policy = planner, policy
        self._limits = AtHand(torch.tensor(layout.action_low), torch.tensor(layout.action_high))

    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """Plan as the planner does, see ``protocols.Planner``."""
        if problem.constraints is None and not budget.expired():
            warm = self._best(start, problem, warm)
        return self._planner.plan(start, problem, warm, budget, generator)

    @torch.inference_mode(False)
    @torch.no_grad()
    def _best(self, start: Tensor, problem: Problem, warm: Plan | None) -> Plan | None:
        if warm is None:
            return None
        horizon = len(warm.actions)
        proposed = imagined(start.clone(), problem, horizon,
                            lambda _t, state: self._policy.action(state))
        kept = imagined(start.clone(), problem, horizon, _feedback(warm, self._limits.like(start)))
        if not proposed.energy < kept.energy:
            return warm
        # Planners move a previous plan on by one tick: so it begins one tick before.
        return replace(
            warm, actions=torch.cat([proposed.actions[:1], proposed.actions]),
            states=torch.cat([proposed.states[:1], proposed.states]), gains=None)


def _feedback(warm: Plan, limits: tuple[Tensor, ...]) -> Callable[[int, Tensor], Tensor]:
    horizon = len(warm.actions)
    actions, states = shifted(warm.actions, horizon).clone(), shifted(warm.states, horizon).clone()
    if warm.gains is None:
        return lambda t, _state: actions[t]
    gains = shifted(warm.gains.flatten(1), horizon).clone().view_as(warm.gains)
    low, high = limits
    return lambda t, state: (actions[t] + gains[t] @ (state - states[t])).clamp(low, high)


@torch.inference_mode(False)
@torch.no_grad()
def imagined(start: Float[Tensor, ' S'], problem: Problem, horizon: int,
             command: Callable[[int, Tensor], Tensor]) -> Plan:
    """
    Follow a rule through the mean of the world model, as a plan.

    :param start: state at the moment the first command takes effect.
    :param problem: world model, and what the energy is.
    :param horizon: T.
    :param command: of the step's number and the state.
    :returns: its energy may be NaN or inf.
    """
    members = problem.dynamics.members
    state, states, actions = start, [start], []
    for t in range(horizon):
        actions.append(command(t, state))
        state = problem.dynamics.step(state.expand(members, -1), actions[-1]).mean(dim=0)
        states.append(state)
    chosen, path = torch.stack(actions), torch.stack(states)
    found = float(energy(path.expand(members, 1, -1, -1), chosen.unsqueeze(0), problem)[0])
    ahead = 0.0 if problem.critic is None else float(problem.critic.value(state))
    return Plan(actions=chosen, states=path, energy=found, anticipated=ahead, iterations=0,
                rejected=0)
