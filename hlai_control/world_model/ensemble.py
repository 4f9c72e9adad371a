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


"""The learned world model: a probabilistic ensemble with the structure that physics gives."""

from collections.abc import Callable, Mapping
from math import pi
from typing import TYPE_CHECKING

from jaxtyping import Float
import torch
from torch import nn, Tensor
from torch.nn.functional import silu

from hlai_control.layout import Layout
from hlai_control.learning.networks import MirrorTrunk
from hlai_control.settings import WorldModelSettings
from hlai_control.world_model.features import Features
from hlai_control.world_model.monomials import Monomials

if TYPE_CHECKING:
    from hlai_control.world_model.trajectories import CompiledEnsemble

# Predicted noise lies between these, as logarithms of the units below.
_LOG_STD = (-7.0, 3.0)
# Trajectories, counted over all members, up to which compiled loops are faster on a CPU.
_FEW = 512
# Initial weights this much larger than usual: the first random features of a trunk must
# bend enough within one turn of an angle to fit it by their last layer alone.
_GAIN = 3.0


class EnsembleDynamics(nn.Module):
    """
    E members that predict accelerations as a rigid body has them.

    Each member is a small network of the positions whose outputs are the
    coefficients of the :class:`Monomials` of rates and actions. Positions on
    which the dynamics do not depend are not seen, angles are seen as sine
    and cosine, and the robot's mirror symmetry holds exactly. Integration is
    by a midpoint rule: ``dq' = dq + a dt`` and ``q' = q + dt (dq + dq') / 2``,
    where a holds at ``q + dq dt / 2`` and at the mean of dq and dq'; the
    latter by one fixed-point step, which needs no second look at the trunk.

    Each member also predicts the standard deviation of every state
    coordinate: ``s' = mean + std * z`` with z ~ N(0, I), Z = S and
    R(z) = |z|^2 / 2. Untrained, all accelerations are zero.

    ``step`` uses matrices into which all scales are folded; call
    :meth:`fold` after parameters or scales have changed.

    :param layout: the robot.
    :param settings: members and width.
    :param generator: draws the initial weights.
    """

    signs: Tensor
    coefficients: Tensor
    noise_weight: Tensor
    noise_bias: Tensor
    acceleration: Tensor
    carry: Tensor
    push: Tensor
    turn: Tensor
    quarter: Tensor
    slide: Tensor

    def __init__(self, layout: Layout, settings: WorldModelSettings,
                 generator: torch.Generator) -> None:
        """Draw the trunk; all scales begin at one."""
        super().__init__()
        count, dt = len(layout.positions), layout.period_s
        self._count, self._dt, self._members = count, dt, settings.members
        self.features = Features(
            layout, tuple(i for i in range(count) if not layout.invariant[i]))
        self.monomials = Monomials(layout)
        self.trunk = MirrorTrunk(settings.members, self.features.signs, layout.has_mirror,
                                 settings.hidden, _GAIN, generator)
        signs = [[one * other for other in self.monomials.signs]
                 for one in layout.mirror_positions]
        self.register_buffer('signs', torch.tensor(signs), persistent=False)
        # Coefficients: of coordinate n and monomial M, linear in the trunk's N features.
        self.register_buffer('coefficients', torch.zeros(
            settings.members, count, self.trunk.free, len(self.monomials.signs)))
        self.register_buffer('noise_weight', torch.zeros(
            settings.members, self.trunk.free, 2 * count))
        self.register_buffer('noise_bias', torch.zeros(settings.members, 1, 2 * count))
        # Typical accelerations [SI]; predictions are fitted in units of it.
        self.register_buffer('acceleration', torch.ones(count))
        self._register_motion(count, dt)
        self._folded: dict[str, tuple[Tensor, ...]] = {}
        self.fold()

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

    @property
    def latent_size(self) -> int:
        """Z = S: one component of z per state coordinate."""
        return 2 * self._count

    def noise_unit(self) -> Float[Tensor, ' S']:
        """Units of the predicted standard deviations: a dt^2 and a dt of typical a."""
        return torch.cat([self.acceleration * self._dt, self.acceleration]) * self._dt

    def design(self, hidden: Float[Tensor, 'E B H'], columns: Float[Tensor, '*e B M'],
               coordinate: int) -> Float[Tensor, 'E B NM']:
        """
        Products of features and monomials: one coordinate's regressors.

        :param hidden: output of the trunk.
        :param columns: output of the monomials.
        :param coordinate: index of the position whose acceleration is meant.
        """
        kept = self.trunk.basis(hidden, 1.0).unsqueeze(-1)
        flipped = self.trunk.basis(hidden, -1.0).unsqueeze(-1)
        features = torch.where(self.signs[coordinate] > 0, kept, flipped)
        return (features * columns.unsqueeze(-2)).flatten(-2)

    def predict(self, state: Float[Tensor, 'E B S'],
                action: Float[Tensor, 'E B A']) -> Float[Tensor, 'E B n']:
        """
        Predict what the learner fits, differentiable in the parameters.

        :param state: states, at the middle of a step.
        :returns: accelerations in units of ``acceleration``.
        """
        hidden = self.trunk(self.features(state))
        columns = self.monomials(state[..., self._count:], action)
        return torch.cat([
            self.design(hidden, columns, i) @ self.coefficients[:, i].flatten(-2).unsqueeze(-1)
            for i in range(self._count)], dim=-1)

    def log_std(self, hidden: Float[Tensor, 'E B H']) -> Float[Tensor, 'E B S']:
        """
        Predict the noise.

        :param hidden: output of the trunk.
        :returns: logarithms of the standard deviations in units of ``noise_unit``.
        """
        return torch.baddbmm(self.noise_bias, self.trunk.basis(hidden, 1.0),
                             self.noise_weight).clamp(*_LOG_STD)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'EnsembleDynamics':
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
        self._first = self._lasting('first', *_columns(
            b1 - self.features.mean.unsqueeze(0) @ w1[:, turns:], w1))
        self._second = self._lasting('second', *_columns(b2, w2))
        gain = (self.acceleration * self._dt)[:, None, None]
        unscale = self.monomials.fold().T @ self.monomials.square
        half = (self.coefficients * gain) @ unscale
        image = (self.coefficients * gain * self.signs.unsqueeze(1)) @ unscale
        both = torch.cat([half, image], dim=2) if self.trunk.mirrored else half
        # E n H M -> E (n M) H
        self._third, = self._lasting('third', both.permute(0, 1, 3, 2).flatten(1, 2).contiguous())
        self._compiled: CompiledEnsemble | None = None
        self._noise = self._lasting('noise', *_columns(self.noise_bias.detach(), torch.cat(
            [self.noise_weight.detach()] * (2 if self.trunk.mirrored else 1), dim=1)))

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

    def step(self, state: Float[Tensor, 'E *B S'], action: Float[Tensor, '*B A'],
             z: Float[Tensor, 'E *B Z'] | None = None) -> Float[Tensor, 'E *B S']:
        """
        Predict one control period ahead.

        :param state: each member's own states.
        :param action: the commands, the same for all members.
        :param z: latent, N(0, I) a priori; None is its mode, zero.
        :returns: each member's next states.
        """
        # States are columns inside, candidates along the rows, so that every operation runs
        # over contiguous memory; what is returned is a view that the next step turns back.
        flat = state.reshape(self._members, -1, 2 * self._count).mT
        command = action.reshape(1, -1, action.shape[-1]).mT.expand(self._members, -1, -1)
        hidden, factors = self._factors(flat)
        rates = flat[:, self._count:]
        gained = self._gain(factors, rates, command)
        gained = self._gain(factors, torch.add(rates, gained, alpha=0.5), command)
        ahead = torch.baddbmm(torch.bmm(self.carry, flat), self.push, gained).mT
        if z is not None:
            log_std = torch.baddbmm(self._noise[0], self._noise[1], hidden).clamp(*_LOG_STD)
            ahead = ahead + self.noise_unit() * log_std.exp().mT * z.reshape(ahead.shape)
        return ahead.reshape(state.shape)

    def _factors(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        # The trunk's features (E H B), and the coefficients of the squared-out monomials in
        # SI units (E n M B), half a period on.
        inputs = torch.sin(torch.baddbmm(self.quarter, self.turn, flat))
        if self.slide.shape[1]:
            inputs = torch.cat([inputs, torch.bmm(self.slide, flat)], dim=1)
        hidden = silu(torch.baddbmm(self._first[0], self._first[1], inputs), inplace=True)
        hidden = silu(torch.baddbmm(self._second[0], self._second[1], hidden), inplace=True)
        return hidden, torch.bmm(self._third, hidden).unflatten(1, (self._count, -1))

    def _gain(self, factors: Tensor, rates: Tensor, action: Tensor) -> Tensor:
        # Gain in rate over one period, at the acceleration that holds at these rates.
        columns = self.monomials.squared_out(rates, action)
        return (factors * columns.unsqueeze(1)).sum(dim=2)

    def whole(self, like: Tensor, count: int) -> bool:
        """Tell whether :meth:`follow` and :meth:`linearise` may be called, and pay off."""
        return (like.device.type == 'cpu' and not torch.is_grad_enabled()
                and like.dtype == self.acceleration.dtype and count * self._members <= _FEW)

    def follow(self, start: Float[Tensor, ' S'], base: Float[Tensor, 'K T A'],
               reference: Float[Tensor, 'G T S'], gains: Float[Tensor, 'G T A S'],
               closed: Float[Tensor, ' K'], low: Float[Tensor, ' A'], high: Float[Tensor, ' A']
               ) -> tuple[Float[Tensor, 'K T A'], Float[Tensor, 'G K T1 S']]:
        """Roll out with feedback, see ``protocols.Trajectories``."""
        return self.loops().follow(start, base, reference, gains, closed, low, high)

    def linearise(self, states: Float[Tensor, 'G T S'],
                  actions: Float[Tensor, 'T A']) -> Float[Tensor, 'G T S N']:
        """Differentiate each step, see ``protocols.Trajectories``."""
        return self.loops().linearise(states, actions)

    def loops(self) -> 'CompiledEnsemble':
        """Return the compiled loops with the weights of now."""
        if self._compiled is None:
            # Only who plans needs the compiler: learners start sooner without it.
            from hlai_control.world_model.trajectories import CompiledEnsemble
            self._compiled = CompiledEnsemble(
                self.features.angles, self.features.linear, self._first, self._second,
                self._third, self.monomials.limit(), self.push[0, 0, 0])
        return self._compiled

    def export(self) -> dict[str, Tensor]:
        """Copy parameters and scales, for an artefact."""
        return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take parameters and scales from an artefact whose shapes have been checked."""
        self.load_state_dict(dict(tensors))
        self.fold()


def _columns(bias: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a layer for rows (E 1 O, E I O) into one for columns (E O 1, E O I)."""
    # Copies, even where an axis of size 1 would let them share memory with the parameters.
    return (bias.mT.clone(memory_format=torch.contiguous_format),
            weight.mT.clone(memory_format=torch.contiguous_format))
