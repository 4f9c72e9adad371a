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

"""What planners are given: checked in one place, and the previous plan, moved on by one tick."""

from itertools import chain

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.errors import ShapeError
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.types import Plan


def check(layout: Layout, start: Tensor, problem: Problem, warm: Plan | None,
          generator: torch.Generator) -> None:
    """
    Refuse what cannot be planned with, before anything is computed.

    Nothing is ever moved to another device in silence.

    :param layout: the robot.
    :raises ShapeError: naming the axes or the device expected.
    """
    size, actuators = layout.state_size, layout.action_size
    if start.shape != (size,) or not start.is_floating_point():
        raise ShapeError(f'start has shape {tuple(start.shape)} and type {start.dtype}; valid: '
                         f'[S] = ({size},) of floats, the state coordinates of {layout.robot}')
    if warm is not None:
        _check_axes('warm.actions', warm.actions, '[T, A]', (None, actuators))
        _check_axes('warm.states', warm.states, '[T + 1, S]', (None, size))
        if warm.gains is not None:
            _check_axes('warm.gains', warm.gains, '[T, A, S]', (None, actuators, size))
        if warm.elites is not None:
            _check_axes('warm.elites', warm.elites, '[N, T, A]', (None, None, actuators))
        _check_device('warm', warm.actions.device, start)
    # Numbers drawn for shapes alone (device meta) have no generator of their own.
    if start.device.type != 'meta':
        _check_device('generator', generator.device, start)
    parts: dict[str, object] = {'dynamics': problem.dynamics, 'cost': problem.cost,
                                'critic': problem.critic}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            held = next(chain(part.parameters(), part.buffers()), None)
            if held is not None:
                _check_device(name, held.device, start)


def _check_axes(name: str, tensor: Tensor, axes: str, valid: tuple[int | None, ...]) -> None:
    fits = tensor.dim() == len(valid) and all(
        size > 0 if want is None else size == want
        for size, want in zip(tensor.shape, valid, strict=True))
    if not fits:
        shown = ', '.join('any' if want is None else str(want) for want in valid)
        raise ShapeError(f'{name} has shape {tuple(tensor.shape)}; valid: {axes} = ({shown}); '
                         'a plan made for another robot is no warm start')


def _check_device(name: str, found: torch.device, start: Tensor) -> None:
    if (found.type, found.index or 0) != (start.device.type, start.device.index or 0):
        raise ShapeError(f'{name} is on device {found}, start [S] on {start.device}; valid: all '
                         'on one device; move it there before planning')


def shifted(actions: Float[Tensor, '*N L A'], horizon: int) -> Float[Tensor, '*N T A']:
    """
    Move a plan on by one tick and repeat its last command to fill the horizon.

    :param actions: the previous tick's commands, or several such sequences.
    :param horizon: T, the length wanted.
    """
    length = actions.shape[-2]
    rest = actions[..., 1:horizon + 1, :] if length > 1 else actions
    missing = horizon - rest.shape[-2]
    return torch.cat([rest, rest[..., -1:, :].expand(*rest.shape[:-2], missing, -1)], dim=-2)


def last_command(start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
                 actions: int) -> Float[Tensor, ' A']:
    """
    Return the command sent last, as :class:`Problem` states.

    :param actions: A.
    """
    if problem.previous is not None:
        return problem.previous.to(start.dtype)
    return start.new_zeros(actions) if warm is None else warm.actions[0]
