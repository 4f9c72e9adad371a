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

"""Curiosity: what a step could teach the world model, as a term of the cost."""

from math import log1p

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.protocols import CostFunction, Dynamics
from hlai_control.settings import CuriositySettings

# Disagreement beyond this multiple of the noise, in variance, teaches hardly any more.
_MOST = 1e4
# Least predicted standard deviation, SI units: a known model has none, nor has a perfect sensor.
_LEAST = 1e-3


class Curious:
    """
    A cost, and beside it the boredom of steps that teach nothing.

    How much the outcome of a step tells about which member is right is, with
    Gaussian predictions, ``g = sum over i of log(1 + u[i] / v[i]) / 2`` nats:
    u is the variance between the members' predictions, v the variance that
    each of them expects of the noise (Lindley 1956, *On a measure of the
    information provided by an experiment*; Chaloner and Verdinelli 1995,
    *Bayesian experimental design*; foreseen by an ensemble within a plan:
    Sekar et al. 2020, *Planning to explore via self-supervised world models*).
    All members judge the same state and action; what the trajectories of a
    plan disagree on is a matter of risk, not of this.

    The term is weight (g at most - g), so that it is at least zero as every
    term. That is a constant more than -weight g, and changes no plan. Each
    coordinate's u / v is bounded smoothly by 10^4, its g by 4.6 nats.

    v is at least the variance of the sensors, through which alone outcomes
    are seen. A world model's noise is read off its latent: the step from
    z = 0 to z = 1 is one standard deviation where z[i] moves coordinate i.

    :param cost: the task's cost.
    :param dynamics: the world model to be improved.
    :param layout: the robot, for its sensors' noise.
    :param weight: cost per nat and control period.
    """

    def __init__(self, cost: CostFunction, dynamics: Dynamics, layout: Layout,
                 weight: float) -> None:
        """Keep the parts."""
        self._cost, self._dynamics, self._weight = cost, dynamics, weight
        noise = torch.tensor(layout.noise_std, dtype=torch.float64)
        self._floor = noise.nan_to_num(nan=0.0).clamp_min(_LEAST).square()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the cost's terms, and ``boredom``."""
        return (*self._cost.names, 'boredom')

    def terms(self, state: Float[Tensor, '*B S'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, '*B C']:
        """Weigh each term, boredom last."""
        return torch.cat([self._cost.terms(state, action),
                          self.boredom(state, action).unsqueeze(-1)], dim=-1)

    def stage(self, state: Float[Tensor, '*B S'],
              action: Float[Tensor, '*B A']) -> Float[Tensor, ' *B']:
        """Sum the terms."""
        return self._cost.stage(state, action) + self.boredom(state, action)

    def boredom(self, state: Float[Tensor, '*B S'],
                action: Float[Tensor, '*B A']) -> Float[Tensor, ' *B']:
        """
        Weigh the information that a step could have brought and does not.

        :returns: at least zero; NaN where a prediction is not finite.
        """
        most = 0.5 * log1p(_MOST) * state.shape[-1]
        return self._weight * (most - self.gain(state, action))

    def gain(self, state: Float[Tensor, '*B S'],
             action: Float[Tensor, '*B A']) -> Float[Tensor, ' *B']:
        """
        Expect the information of a step [nat].

        :returns: at least zero; zero where the members agree.
        """
        members = state.expand(self._dynamics.members, *state.shape)
        ahead = self._dynamics.step(members, action)
        between = ahead.var(dim=0, correction=0)
        self._floor = self._floor.to(state)  # moved once, then at hand
        within = self._noise(members, action, ahead) + self._floor
        ratio = between / within
        return 0.5 * torch.log1p(ratio / (1.0 + ratio / _MOST)).sum(dim=-1)

    def _noise(self, members: Tensor, action: Tensor, ahead: Tensor) -> Tensor:
        # Variance of the noise, the mean over the members.
        size = self._dynamics.latent_size
        if not size:
            return torch.zeros_like(ahead[0])
        one = ahead.new_ones(()).expand(*ahead.shape[:-1], size)
        return (self._dynamics.step(members, action, one) - ahead).square().mean(dim=0)


def curious(cost: CostFunction, dynamics: Dynamics, layout: Layout,
            settings: CuriositySettings) -> CostFunction:
    """
    Make a cost curious, if the settings ask for it.

    :param dynamics: the world model to be improved.
    :returns: the cost itself at weight 0.
    """
    if settings.weight == 0.0:
        return cost
    return Curious(cost, dynamics, layout, settings.weight)
