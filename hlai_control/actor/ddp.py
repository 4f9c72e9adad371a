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

"""The second-order planner: control-limited differential dynamic programming."""

from dataclasses import dataclass, replace

from jaxtyping import Float, Float64
import numpy as np
import torch
from torch import Tensor

from hlai_control.actor.feedback import backward, Policy
from hlai_control.actor.given import check, shifted
from hlai_control.actor.objective import array, Curvatures, MeanDynamics, Objective, Slopes
from hlai_control.actor.risk import draw_latents
from hlai_control.actor.rollout import advance
from hlai_control.errors import PlanError
from hlai_control.layout import Layout
from hlai_control.protocols import follows, Problem
from hlai_control.settings import DdpSettings
from hlai_control.types import Budget, Plan

Array = np.ndarray

# Damping after a failure: from none to the first, then by the factor, up to the last.
FIRST, FACTOR, LAST = 1e-2, 10.0, 1e6
# A full step that gains this share of what the quadratic model promised is taken at once.
KEPT = 0.5
# Energies tell apart what differs by so many of their roundings.
RESOLVED = 4.0
# How often in all a step is looked for anew with other weights of the scenarios, not damped.
_ANEW = 20
# A refinement that gains less than this, as a fraction of the energy, was the last one.
SETTLED = 1e-7


@dataclass(frozen=True)
class Course:
    """
    A trajectory of each scenario under one action sequence.

    :param energy: F of it.
    :param gains: feedback on the scenarios' mean state, if there is any.
    """

    actions: Float[Tensor, 'T A']
    states: Float[Tensor, 'E T1 S']
    energy: float
    gains: Float[Tensor, 'T A S'] | None = None


@dataclass(frozen=True)
class Descent:
    """
    A refinement under way.

    :param weights: what each scenario counts.
    :param local: the expansion along the course, if it is known.
    :param anew: how often the weights were changed instead of the damping.
    :param rejected: trajectories that were not finite.
    :param gained: by the last step.
    :param ended: whether nothing is left to gain.
    """

    course: Course
    weights: Float64[Array, ' E']
    local: tuple[Slopes, Curvatures] | None = None
    damping: float = 0.0
    anew: int = 0
    rejected: int = 0
    gained: float = 0.0
    ended: bool = False


@dataclass(frozen=True)
class Refined:
    """
    What refinement came to.

    :param rejected: trajectories that were not finite.
    :param progress: the energy before the first iteration and after each.
    """

    course: Course
    iterations: int
    rejected: int
    progress: tuple[float, ...]


class DdpPlanner:
    """
    Box-constrained iLQR on the learned model (Tassa, Mansard and Todorov 2014).

    Each refinement differentiates the world model at all steps in one call
    and the costs twice in another (their Hessians projected to be positive
    semi-definite, ``objective.py``), solves the quadratic problem within the
    limits (``feedback.py``), and rolls out the full step. Unless that gains
    half of what was promised, all shorter ones are, too, as one batch. The
    best one is kept if it is better than what there was; if none is, the next
    refinement is damped more (Levenberg-Marquardt).

    The plan carries feedback gains. The previous plan is followed with its
    gains, moved on by one tick, from where the robot really is.

    The worst of several scenarios is an energy with kinks: where two are
    equally bad, the gradient of the worst is no way down for both. So the
    weights of the scenarios move by a part only towards those that hold where
    the last step led, a smaller part the more often that was no way down
    (fictitious play: Brown 1951, *Iterative solution of games by fictitious
    play*), and come to rest where what is bad is shared.

    The backward pass runs in float64 on the CPU.

    :param layout: limits of the commands.
    :param horizon: T.
    :param settings: how members are averaged, and step sizes.
    """

    def __init__(self, layout: Layout, horizon: int,
                 settings: DdpSettings | None = None) -> None:
        """Keep the limits."""
        settings = settings or DdpSettings()
        self.layout, self.horizon, self._merge = layout, horizon, settings.merge
        self._low, self._high = layout.action_low, layout.action_high
        self._sizes = 0.5 ** torch.arange(settings.step_sizes)

    @torch.inference_mode(False)
    @torch.no_grad()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``, refining until the budget is spent or nothing is gained.

        :param start: state at the moment the first command takes effect.
        :param warm: the previous tick's plan, not yet shifted.
        :param generator: draws z, if the problem's risk asks for it.
        :raises PlanError: if neither the previous plan nor doing nothing has
            a finite energy.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self.layout, start, problem, warm, generator)
        objective = self.objective(problem, start, generator)
        courses, rejected = self.proposals(start.clone(), warm, objective)
        if not courses:
            raise PlanError(f'none of {rejected} first trajectories has a finite energy; hold '
                            'the safe command and check state, world model and critic')
        refined = self.refine(courses[0], objective, budget)
        return to_plan(refined, objective, rejected)

    def objective(self, problem: Problem, start: Float[Tensor, ' S'],
                  generator: torch.Generator) -> Objective:
        """
        Say what is minimised: the energy of the mean, or the mean energy.

        Risk lies in what scenarios do not have in common, which a mean of
        states would hide: then each keeps to a trajectory of its own.
        """
        latents = draw_latents(problem, self.horizon, start, generator)
        if self._merge and latents is None and problem.risk.tail == 1.0:
            problem = replace(problem, dynamics=MeanDynamics(problem.dynamics))
        return Objective(problem, latents)

    def limits(self, like: Tensor) -> tuple[Float[Tensor, ' A'], Float[Tensor, ' A']]:
        """Return the command limits in the type and on the device of a tensor."""
        return (torch.tensor(self._low, dtype=like.dtype, device=like.device),
                torch.tensor(self._high, dtype=like.dtype, device=like.device))

    def proposals(self, start: Float[Tensor, ' S'], warm: Plan | None, objective: Objective,
                  noise: Float[Tensor, 'K T A'] | None = None, most: int = 3
                  ) -> tuple[list[Course], int]:
        """
        Roll out where refinement may begin, the best first.

        The previous plan with its gains, the same without, the middle of the
        limits, and the first of these with noise.

        :param start: where the robot is.
        :param noise: added to the commands.
        :param most: how many are wanted.
        :returns: the best of those that are finite, and how many are not.
        """
        low, high = self.limits(start)
        middle = (0.5 * (low + high)).expand(self.horizon, -1)
        still = torch.zeros(self.horizon, len(low), len(start), dtype=start.dtype,
                            device=start.device)
        bases, gains, reference = [middle], still, start.expand(self.horizon, -1)
        if warm is not None:
            bases = [shifted(warm.actions, self.horizon).clone(), *bases]
            if warm.gains is not None:
                bases = [bases[0], *bases]
                gains = shifted(warm.gains.flatten(1), self.horizon).clone().view_as(still)
                reference = shifted(warm.states, self.horizon).clone()
        closed = torch.zeros(len(bases), dtype=start.dtype, device=start.device)
        closed[0] = 1.0
        base = torch.stack(bases)
        if noise is not None:
            base = torch.cat([base, bases[0] + noise])
            closed = torch.cat([closed, closed.new_ones(len(noise))])
        count = objective.scenarios
        split = gains.expand(count, -1, -1, -1) / count
        actions, states = follow(start, base, reference.expand(count, -1, -1), split, closed,
                                 (low, high), objective)
        energies = objective.energies(states, actions)
        finite = int(torch.isfinite(energies).sum())
        order = torch.argsort(energies, stable=True)[:min(finite, most)].tolist()
        return [Course(actions[i], states[:, i], float(energies[i]),
                       gains if bool(closed[i]) and warm is not None and warm.gains is not None
                       else None) for i in order], len(base) - finite

    @torch.inference_mode(False)
    @torch.no_grad()
    def refine(self, course: Course, objective: Objective, budget: Budget) -> Refined:
        """
        Improve a trajectory until the budget is spent or nothing is gained.

        :param course: where to begin; it is returned if nothing is better.
        """
        now, energies = self.begin(course, objective), [course.energy]
        while len(energies) <= budget.iterations and not now.ended and not (
                len(energies) > 1 and budget.expired()):
            now = self.step(now, objective)
            energies.append(now.course.energy)
        return Refined(now.course, len(energies) - 1, now.rejected, tuple(energies))

    def begin(self, course: Course, objective: Objective) -> Descent:
        """Prepare to improve a trajectory by :meth:`step`."""
        return Descent(course, objective.weights(course.states, course.actions))

    @torch.inference_mode(False)
    @torch.no_grad()
    def step(self, now: Descent, objective: Objective) -> Descent:
        """Refine once; the course stays what it is if nothing is better."""
        course, damping = now.course, now.damping
        local = now.local or objective.expansion(course.states, course.actions, now.weights)
        low, high = self.limits(course.actions)
        policy = backward(*local, array(low - course.actions), array(high - course.actions),
                          damping)
        tried, lost = (None, 0) if policy is None else self._search(course, policy, objective)
        ahead = now.weights if tried is None else objective.weights(tried.states, tried.actions)
        shared = now.weights + (ahead - now.weights) / (3 + now.anew)
        now = replace(now, rejected=now.rejected + lost, local=local, gained=0.0)
        if tried is None or not tried.energy <= course.energy:
            if now.anew < _ANEW and (shared != now.weights).any():
                return replace(now, weights=shared, local=None, anew=now.anew + 1)
            damping = max(FACTOR * damping, FIRST)
            return replace(now, damping=damping, ended=damping > LAST)
        gained = course.energy - tried.energy
        return replace(now, course=tried, weights=shared, local=None, damping=_relaxed(damping),
                       gained=gained, ended=not damping and gained <= SETTLED * (
                           abs(tried.energy) + SETTLED))

    def _search(self, course: Course, policy: Policy,
                objective: Objective) -> tuple[Course | None, int]:
        """
        Try the full step; unless it keeps what it promised, all others at once, too.

        A promise smaller than what energies resolve cannot be kept by any step.

        :returns: the best, and how many are not finite.
        """
        full, lost = self._try(course, policy, self._sizes[:1], objective)
        finest = RESOLVED * torch.finfo(course.actions.dtype).eps * abs(course.energy)
        if full is not None and (full.energy - course.energy <= KEPT * policy.promised
                                 or -policy.promised <= finest):
            return full, 0
        other, more = self._try(course, policy, self._sizes[1:], objective)
        found = [one for one in (full, other) if one is not None]
        return min(found, key=lambda one: one.energy, default=None), lost + more

    def _try(self, course: Course, policy: Policy, sizes: Tensor,
             objective: Objective) -> tuple[Course | None, int]:
        """Roll out step sizes as one batch; return the best, and how many are not finite."""
        if not len(sizes):
            return None, 0
        like = course.actions
        forward = torch.from_numpy(policy.feedforward).to(like)
        split = torch.from_numpy(policy.feedback).to(like)
        sizes = sizes.to(like)
        base = course.actions + sizes[:, None, None] * forward
        actions, states = follow(course.states[0, 0], base, course.states[:, :-1], split,
                                 torch.ones_like(sizes), self.limits(like), objective)
        energies = objective.energies(states, actions)
        best = int(energies.argmin())
        lost = int(torch.isinf(energies).sum())
        if lost == len(energies):
            return None, lost
        return Course(actions[best], states[:, best], float(energies[best]),
                      split.sum(dim=0)), lost


def follow(start: Float[Tensor, ' S'], base: Float[Tensor, 'K T A'],
           reference: Float[Tensor, 'E T S'], gains: Float[Tensor, 'E T A S'],
           closed: Float[Tensor, ' K'], limits: tuple[Tensor, Tensor], objective: Objective
           ) -> tuple[Float[Tensor, 'K T A'], Float[Tensor, 'E K T1 S']]:
    """
    Roll out action sequences with feedback, within the limits.

    :param start: where every trajectory begins.
    :param base: commands on the reference.
    :param reference: states at which the feedback is zero.
    :param gains: feedback on each scenario's deviation; they add up.
    :param closed: factor on the feedback of each candidate.
    :param limits: least and greatest commands.
    :param objective: says in which scenarios.
    :returns: the commands given, and the states that follow.
    """
    low, high = limits
    dynamics, latents = objective.problem.dynamics, objective.latents
    if latents is None and follows(dynamics) and dynamics.whole(start, len(base)):
        return dynamics.follow(start, base, reference, gains, closed, low, high)
    state = start.expand(objective.scenarios, base.shape[0], -1)
    states, actions = [state], []
    weighed = gains.mT.unbind(dim=1)
    for t, (centre, command) in enumerate(zip(reference.unsqueeze(2).unbind(dim=1),
                                              base.unbind(dim=1), strict=True)):
        answer = torch.bmm(state - centre, weighed[t]).sum(dim=0)
        action = torch.clamp(torch.addcmul(command, answer, closed.unsqueeze(-1)), low, high)
        state = advance(state, action, dynamics, None if latents is None else latents[:, t, None])
        actions.append(action)
        states.append(state)
    return torch.stack(actions, dim=1), torch.stack(states, dim=2)


def to_plan(refined: Refined, objective: Objective, rejected: int) -> Plan:
    """
    Hand a refined trajectory over.

    :param rejected: trajectories that were not finite before refinement.
    """
    course = refined.course
    return Plan(actions=course.actions.clone(), states=course.states.mean(dim=0),
                energy=course.energy, anticipated=objective.anticipated(course.states),
                iterations=refined.iterations, rejected=rejected + refined.rejected,
                gains=course.gains, progress=refined.progress)


def _relaxed(damping: float) -> float:
    return damping / FACTOR if damping > FIRST else 0.0
