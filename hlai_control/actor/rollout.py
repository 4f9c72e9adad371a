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

from hlai_control.protocols import Dynamics, Problem


def roll_out(start: Float[Tensor, ' S'], actions: Float[Tensor, 'K T A'],
             dynamics: Dynamics) -> Float[Tensor, 'E K T1 S']:
    """
    Follow each action sequence with each ensemble member, z at its mode.

    A member keeps to its own trajectory (TS-infinity of Chua et al. 2018,
    *Deep reinforcement learning in a handful of trials*), so that what the
    members disagree on spreads with time.

    :param start: where every trajectory begins.
    :param actions: K sequences of T commands.
    :returns: T + 1 states each, the first one ``start``.
    """
    state = start.expand(dynamics.members, actions.shape[0], -1)
    states = [state]
    for action in actions.unbind(dim=1):
        state = dynamics.step(state, action)
        states.append(state)
    return torch.stack(states, dim=2)


def energy(states: Float[Tensor, 'E K T1 S'], actions: Float[Tensor, 'K T A'],
           problem: Problem) -> Float[Tensor, ' K']:
    """
    F = sum over t < T of discount^t C(s[t], a[t]) + discount^T V(s[T]).

    The mean over the members is taken of the costs, not of the states:
    disagreement is paid for. Without a critic, V is the stage cost of the
    last state under the last command, its lower bound.

    :param states: trajectories as :func:`roll_out` makes them.
    :param actions: the commands along them.
    :param problem: what is minimised.
    :returns: one energy per sequence; NaN or inf where a trajectory is.
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
    return total.mean(dim=0)
