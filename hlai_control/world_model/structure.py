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

"""What all learned world models share: the structure that physics gives."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from math import pi

from jaxtyping import Float
import torch
from torch import nn, Tensor
from torch.nn.functional import silu

from hlai_control.layout import Layout
from hlai_control.learning.networks import MirrorTrunk
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Outcomes
from hlai_control.world_model.features import Features
from hlai_control.world_model.monomials import Monomials

# Predicted noise lies between these, as logarithms of ``noise_unit``.
LOG_STD = (-7.0, 3.0)
# Initial weights this much larger than usual: the first random features of a trunk must
# bend enough within one turn of an angle to fit it by their last layer alone.
_GAIN = 3.0


class StructuredDynamics(nn.Module, ABC):
    """
    E members that predict accelerations as a rigid body has them; its heads are its children's.

    Each member is a small network of the positions whose outputs are the
    coefficients of the :class:`Monomials` of rates and actions. Positions on
    which the dynamics do not depend are not seen, and angles are seen as sine
    and cosine. Integration is by a midpoint rule: ``dq' = dq + a dt`` and
    ``q' = q + dt (dq + dq') / 2``, where a holds at ``q + dq dt / 2`` and at
    the mean of dq and dq'; the latter by one fixed-point step, which needs no
    second look at the trunk. Untrained, all accelerations are zero. Rates of a
    base that drives are those of its own frame (``Layout.heading``): how it
    moves then depends on no position at all, and where that leads is known.

    ``step`` uses matrices into which all scales are folded; call
    :meth:`fold` after parameters or scales have changed.

    :param layout: the robot.
    :param settings: members and width.
    :param generator: draws the initial weights.
    """

    acceleration: Tensor
    carry: Tensor
    push: Tensor
    turn: Tensor
    quarter: Tensor
    slide: Tensor
    _third: Tensor

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Draw the trunk; all scales begin at one."""
        super().__init__()
        count, dt = len(layout.positions), layout.period_s
        self._heading = layout.heading
        self._count, self._dt, self._members = count, dt, settings.members
        self.features = Features(
            layout, tuple(i for i in range(count) if not layout.invariant[i]))
        self.monomials = Monomials(layout)
        self.trunk = MirrorTrunk(settings.members, self.features.signs, layout.has_mirror,
                                 settings.hidden, _GAIN, generator)
        # Typical accelerations [SI]; predictions are fitted in units of it.
        self.register_buffer('acceleration', torch.ones(count))
        self._register_motion(count, dt)
        self._width = self.monomials.square.shape[1]
        self._folded: dict[str, tuple[Tensor, ...]] = {}

    def _register_motion(self, count: int, dt: float) -> None:
        """Lay out the fixed matrices of ``step``, which multiply columns of states."""
        one = torch.eye(count)

        def keep(name: str, matrix: Tensor) -> None:
            # Repeated for each member: a batched product takes them as they lie.
            self.register_buffer(name, matrix.repeat(self._members, 1, 1), persistent=False)

        # s' = carry s + push (a dt): rates move positions for one period.
        carry = torch.eye(2 * count)
        carry[:count, count:] = dt * one
        keep('carry', carry)
        keep('push', torch.cat([0.5 * dt * one, one]))
        # Positions half a period on, midway s; of angles also a quarter turn on, for
        # sin(x + pi / 2) = cos(x) spares the planner's inner loop an operation.
        midway = torch.cat([one, 0.5 * dt * one], dim=1)
        angles = midway[self.features.angles]
        keep('turn', torch.cat([angles, angles]))
        keep('quarter', torch.tensor([0.0, 0.5 * pi]).repeat_interleave(len(angles))[:, None])
        keep('slide', midway[self.features.linear])

    @property
    def members(self) -> int:
        """E, the number of ensemble members."""
        return self._members

    def noise_unit(self) -> Float[Tensor, ' S']:
        """Units of the predicted standard deviations: a dt^2 and a dt of typical a."""
        return torch.cat([self.acceleration * self._dt, self.acceleration]) * self._dt

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'StructuredDynamics':
        # Called by to(), double() and their like: the folded matrices must follow.
        super()._apply(fn, recurse)
        self.fold()
        return self

    @torch.no_grad()
    def fold(self) -> None:
        """Fold scales and mirror images into the matrices that ``step`` uses."""
        w1, b1, w2, b2 = (part.detach() for part in self.trunk.dense())
        turns = 2 * len(self.features.angles)
        self.quarter[:, turns // 2:] = 0.5 * pi  # anew, for float64 has more digits of it
        w1 = w1.clone()
        w1[:, turns:] /= self.features.scale.unsqueeze(-1)
        self._first = self._lasting('first', *as_columns(
            b1 - self.features.mean.unsqueeze(0) @ w1[:, turns:], w1))
        self._second = self._lasting('second', *as_columns(b2, w2))
        self._fold_heads()

    @abstractmethod
    def _fold_heads(self) -> None:
        """Fold what comes after the trunk."""

    @property
    @abstractmethod
    def latent_size(self) -> int:
        """Z, the number of components of z."""

    @abstractmethod
    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """Predict one control period ahead, see ``protocols.Dynamics``."""

    @abstractmethod
    def outcomes(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A']) -> Outcomes:
        """List the modes, see ``protocols.Decoder``."""

    def _lasting(self, name: str, *made: Tensor) -> tuple[Tensor, ...]:
        # Written into what there is, if it fits: a captured CUDA graph reads these addresses.
        held = self._folded.get(name, ())
        if [(one.shape, one.dtype, one.device) for one in held] != [
                (one.shape, one.dtype, one.device) for one in made]:
            self._folded[name] = made
            return made
        for old, new in zip(held, made, strict=True):
            old.copy_(new)
        return held

    def _factors(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        # The trunk's features (E H B), and the coefficients of the squared-out monomials in
        # SI units (E n M B), half a period on; of a mixture, n of each mode one after the other.
        inputs = torch.sin(torch.baddbmm(self.quarter, self.turn, flat))
        if self.slide.shape[1]:
            inputs = torch.cat([inputs, torch.bmm(self.slide, flat)], dim=1)
        hidden = silu(torch.baddbmm(self._first[0], self._first[1], inputs), inplace=True)
        hidden = silu(torch.baddbmm(self._second[0], self._second[1], hidden), inplace=True)
        return hidden, torch.bmm(self._third, hidden).unflatten(1, (-1, self._width))

    def _flat(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        # States are columns inside, candidates along the rows, so that every operation runs
        # over contiguous memory; what is returned is a view that the next step turns back.
        return (state.reshape(self._members, -1, 2 * self._count).mT,
                action.reshape(1, -1, action.shape[-1]).mT.expand(self._members, -1, -1))

    def _ahead(self, flat: Tensor, command: Tensor, factors: Tensor) -> Tensor:
        # One period on (E B S), by the accelerations of these factors (E n M B).
        rates = flat[:, self._count:]
        gained = self._gain(factors, rates, command)
        gained = self._gain(factors, torch.add(rates, gained, alpha=0.5), command)
        ahead = torch.baddbmm(torch.bmm(self.carry, flat), self.push, gained)
        if self._heading:
            ahead = self._driven_on(flat, ahead)
        return ahead.mT

    def _driven_on(self, flat: Tensor, ahead: Tensor) -> Tensor:
        # A base's speeds are those of its own frame, as it is turned half a period on.
        x, y, yaw = self._heading
        speeds = 0.5 * self._dt * (flat[:, self._count:] + ahead[:, self._count:])
        onwards, sideways = speeds[:, x], speeds[:, y]
        half = 0.5 * (flat[:, yaw] + ahead[:, yaw])
        cosine, sine = torch.cos(half), torch.sin(half)
        rows = list(ahead.unbind(dim=1))
        rows[x] = flat[:, x] + cosine * onwards - sine * sideways
        rows[y] = flat[:, y] + sine * onwards + cosine * sideways
        return torch.stack(rows, dim=1)

    def _gain(self, factors: Tensor, rates: Tensor, action: Tensor) -> Tensor:
        # Gain in rate over one period, at the acceleration that holds at these rates.
        columns = self.monomials.squared_out(rates, action)
        return (factors * columns.unsqueeze(1)).sum(dim=2)

    def export(self) -> dict[str, Tensor]:
        """Copy parameters and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take parameters and scales from an artefact whose shapes have been checked."""
        self.load_state_dict(dict(tensors))
        self.fold()


def as_columns(bias: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a layer for rows (E 1 O, E I O) into one for columns (E O 1, E O I)."""
    # Copies, even where an axis of size 1 would let them share memory with the parameters.
    return (bias.mT.clone(memory_format=torch.contiguous_format),
            weight.mT.clone(memory_format=torch.contiguous_format))
