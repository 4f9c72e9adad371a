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

"""Whole trajectories of world models: tensors in, compiled loops, tensors out."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
import numpy as np
import torch
from torch import Tensor

from hlai_control.compiled import ensemble, mechanism
from hlai_control.errors import ShapeError
from hlai_control.world_model.trigonometry import Trigonometry


@runtime_checkable
class Loops(Protocol):
    """A file of compiled loops."""

    def follow(self, w: Any, start: np.ndarray, base: np.ndarray, reference: np.ndarray,
               gains: np.ndarray, closed: np.ndarray, low: np.ndarray, high: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray]:
        """Roll out with feedback."""

    def linearise(self, w: Any, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Differentiate each step."""


class CompiledTrajectories:
    """
    Follows and differentiates trajectories, as ``protocols.Trajectories`` states.

    :param loops: what does it.
    :param weights: what it does it with, in the loops' own layout.
    :param members: E.
    :param states: S.
    :param actions: A.
    """

    def __init__(self, loops: Loops, weights: Any, members: int, states: int,
                 actions: int) -> None:
        """Hold the weights."""
        self._loops, self._weights = loops, weights
        self._members, self._size, self._actions = members, states, actions

    def follow(self, start: Tensor, base: Tensor, reference: Tensor, gains: Tensor,
               closed: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Roll out with feedback."""
        width, groups, (count, horizon) = self._actions, len(reference), base.shape[:2]
        # A carried state has the last command and the time behind its own.
        size = self._size if len(start) == self._size else self._size + width + 1
        self._check({'start (S)': (start, (size,)), 'base (K T A)': (base, (
            count, horizon, width)), 'reference (G T S)': (reference, (groups, horizon, size)),
            'gains (G T A S)': (gains, (groups, horizon, width, size)),
            'closed (K)': (closed, (count,)), 'low (A)': (low, (width,)),
            'high (A)': (high, (width,))}, groups)
        actions, states = self._loops.follow(
            self._weights, *map(_array, (start, base, reference, gains, closed, low, high)))
        return torch.from_numpy(actions), torch.from_numpy(states)

    def linearise(self, states: Tensor, actions: Tensor) -> Tensor:
        """Differentiate each step."""
        groups, horizon = states.shape[:2]
        self._check({'states (G T S)': (states, (groups, horizon, self._size)),
                     'actions (T A)': (actions, (horizon, self._actions))}, groups)
        return torch.from_numpy(
            self._loops.linearise(self._weights, _array(states), _array(actions)))

    def _check(self, given: dict[str, tuple[Tensor, tuple[int, ...]]], groups: int) -> None:
        # Compiled loops read what lies beyond an array's end.
        for name, (tensor, shape) in given.items():
            if tensor.shape != shape:
                raise ShapeError(f'{name} has shape {tuple(tensor.shape)}; valid: {shape}')
        if groups not in (1, self._members):
            raise ShapeError(f'{groups} scenarios G; valid: 1, the mean of the members, or '
                             f'{self._members}, each member')


def compiled_ensemble(angles: Tensor, linear: Tensor, first: tuple[Tensor, ...],
                      second: tuple[Tensor, ...], third: Tensor, limit: Float[Tensor, ' n'],
                      half: Float[Tensor, ''], heading: tuple[int, ...] = ()
                      ) -> CompiledTrajectories:
    """
    Copy an ensemble's weights, which change with the next version.

    :param angles: indices of the positions seen as sine and cosine.
    :param linear: indices of the positions seen as they are.
    :param first: bias (E H 1) and weight (E H F) of the first layer.
    :param second: of the second layer.
    :param third: coefficients of the monomials (E nM H).
    :param limit: rates beyond which they count as if they were there.
    :param half: half a control period [s].
    :param heading: see ``Layout.heading``.
    """
    weights = ensemble.Weights(
        angles.numpy(), linear.numpy(), _array(first[1].mT), _array(first[0][..., 0]),
        _array(second[1].mT), _array(second[0][..., 0]), _array(third.mT), _array(limit),
        _array(half.reshape(1)), np.array(heading, np.int64))
    count = len(limit)
    return CompiledTrajectories(ensemble, weights, len(third), 2 * count,
                                third.shape[1] // count - 1 - count - count ** 2)


def compiled_mechanism(basis: Trigonometry, inertia: Float[Tensor, 'E F n n'],
                       potential: Float[Tensor, 'E F'], friction: Float[Tensor, 'E n'],
                       drive: Float[Tensor, 'n A'], bounds: tuple[Tensor, Tensor],
                       period_s: float) -> CompiledTrajectories:
    """Copy a mechanism's coefficients, which change with the next version."""
    def exact(tensor: Tensor) -> np.ndarray:
        return _array(tensor.double())
    weights = mechanism.Weights(
        seen=basis.seen.numpy(), angle=basis.angle.numpy(), terms=basis.terms.numpy(),
        inertia=exact(inertia), potential=exact(potential), friction=exact(friction),
        drive=exact(drive), fastest=exact(bounds[0]), sharpest=exact(bounds[1]),
        period=np.array([period_s]))
    return CompiledTrajectories(mechanism, weights, len(inertia), 2 * len(drive),
                                drive.shape[1])


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())
