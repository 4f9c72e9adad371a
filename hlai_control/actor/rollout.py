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


"""Imagination: roll action sequences through the world model and score them."""

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.risk import risk_weights
from hlai_control.protocols import Dynamics, follows, Problem, Trajectories


def roll_out(start: Float[Tensor, ' S'], actions: Float[Tensor, 'K T A'],
             dynamics: Dynamics, latents: Float[Tensor, 'E T Z'] | None = None
             ) -> Float[Tensor, 'E K T1 S']:
    """
    Follow each action sequence in each scenario, the same ones for all sequences.

    A member keeps to its own trajectory (TS-infinity of Chua et al. 2018,
    *Deep reinforcement learning in a handful of trials*), so that what the
    members disagree on spreads with time.

    :param start: where every trajectory begins.
    :param actions: K sequences of T commands.
    :param latents: z of each scenario, see ``risk.draw_latents``; None: the
        members are the scenarios, z at its mode.
    :returns: T + 1 states each, the first one ``start``.
    """
    count = dynamics.members if latents is None else len(latents)
    if (latents is None and follows(dynamics)
            and dynamics.whole(start, len(actions))):
        return _open_loop(start, actions, dynamics, count)
    state = start.expand(count, actions.shape[0], -1)
    states = [state]
    for t, action in enumerate(actions.unbind(dim=1)):
        state = advance(state, action, dynamics, None if latents is None else latents[:, t, None])
        states.append(state)
    return torch.stack(states, dim=2)


def _open_loop(start: Tensor, actions: Tensor, dynamics: Trajectories, count: int) -> Tensor:
    (horizon, size), width = actions.shape[1:], len(start)
    limit = start.new_full((size,), torch.inf)
    return dynamics.follow(
        start, actions, start.new_zeros(count, horizon, width),
        start.new_zeros(count, horizon, size, width), start.new_zeros(len(actions)),
        -limit, limit)[1]


def advance(state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'], dynamics: Dynamics,
            z: Float[Tensor, 'E *#B Z'] | None) -> Float[Tensor, 'E *B S']:
    """
    Predict one control period ahead in each scenario.

    :param state: each scenario's own states.
    :param action: the commands, the same in all scenarios.
    :param z: each scenario's own, of size 1 where it is shared; None: as in
        :func:`roll_out`.
    """
    if z is None:
        return dynamics.step(state, action)
    # The scenarios of one member are a batch to it.
    split = state.unflatten(0, (dynamics.members, -1))
    wide = z.unflatten(0, split.shape[:2]).expand(*split.shape[:-1], -1)
    return dynamics.step(split, action.expand(*split.shape[1:-1], -1), wide).flatten(0, 1)


def energy(states: Float[Tensor, 'E K T1 S'], actions: Float[Tensor, 'K T A'],
           problem: Problem) -> Float[Tensor, ' K']:
    """
    F = sum over t < T of discount^t C(s[t], a[t]) + discount^T V(s[T]).

    The mean over the scenarios, or over the worst of them as the problem's
    risk says, is taken of the costs, not of the states: disagreement is paid
    for.

    :param states: trajectories as :func:`roll_out` makes them.
    :param actions: the commands along them.
    :param problem: what is minimised.
    :returns: one energy per sequence; NaN or inf where a trajectory is.
    """
    total = scenario_energies(states, actions, problem)
    if problem.risk.tail == 1.0:
        return total.mean(dim=0)
    return (risk_weights(total.detach(), problem.risk.tail) * total).sum(dim=0)


def scenario_energies(states: Float[Tensor, 'E K T1 S'], actions: Float[Tensor, 'K T A'],
                      problem: Problem) -> Float[Tensor, 'E K']:
    """
    F of each scenario.

    Without a critic, V is the stage cost of the last state under the last
    command, its lower bound.

    :param states: trajectories as :func:`roll_out` makes them.
    """
    critic, discount, horizon = problem.critic, problem.discount, actions.shape[1]
    if critic is None:
        actions = torch.cat([actions, actions[:, -1:]], dim=1)
    steps = actions.shape[1]
    stage = problem.cost.stage(states[:, :, :steps], actions.expand(states.shape[0], -1, -1, -1))
    powers = discount ** torch.arange(steps, device=states.device, dtype=states.dtype)
    total = stage @ powers
    if critic is not None:
        total = total + discount ** horizon * critic.value(states[:, :, -1])
    return total
