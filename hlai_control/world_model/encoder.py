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

"""Amortised inference: a network that guesses the z of a step, trained on the energy."""

from jaxtyping import Float
import torch
from torch import nn, Tensor

from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics
from hlai_control.types import Batch, Outcomes
from hlai_control.world_model.energy import errors, Inferred, least, outcomes, refine
from hlai_control.world_model.surprise import energy_at

# Errors, in units of their expected size, beyond which all look alike to the network.
_MOST = 10.0


class Encoder(nn.Module):
    """
    (s, a, s') -> e for each mode, by one call.

    It sees each mode's error in units of what was to be expected, and is
    trained to lower the energies of its guesses: no z is ever given
    (amortised as in Kingma and Welling 2014, on the energy itself).

    :param layout: the robot.
    :param tolerance: distance that counts as 1, see ``energy.infer``.
    :param hidden: units of the hidden layer.
    :param generator: draws the initial weights.
    """

    def __init__(self, layout: Layout, tolerance: Float[Tensor, ' S'], hidden: int,
                 generator: torch.Generator) -> None:
        """Guess zero at first."""
        super().__init__()
        size = layout.state_size
        self._layout, self._tolerance = layout, tolerance
        self.first = nn.Parameter(torch.randn(2 * size, hidden, generator=generator)
                                  * (2 * size) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.last = nn.Parameter(torch.zeros(hidden, size))
        self.direct = nn.Parameter(torch.zeros(size))
        self._optimiser = torch.optim.Adam(self.parameters(), lr=3e-3)

    def forward(self, error: Float[Tensor, '*B J S'],
                std: Float[Tensor, '*B J S']) -> Float[Tensor, '*B J S']:
        """Guess the noise e that makes up for each mode's error."""
        size = (std.square() + self._tolerance.square()).sqrt()
        seen = (error / size).clamp(-_MOST, _MOST)
        columns = torch.cat([seen, torch.log(std / self._tolerance).clamp(-_MOST, _MOST)], dim=-1)
        hidden = torch.nn.functional.silu(columns @ self.first + self.bias)
        return self.direct * seen + hidden @ self.last

    def update(self, dynamics: Dynamics, rows: Batch) -> float:
        """
        Make one Adam step on the mean energy of the guesses.

        :returns: that energy before the step, the modes' -log chance apart.
        """
        with torch.no_grad():
            found, error = self._seen(dynamics, rows)
        guess = self(error, found.std)
        loss = energy_at(error, found.std, self._tolerance, guess).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        return loss.item()

    @torch.no_grad()
    def guess(self, dynamics: Dynamics, rows: Batch) -> Inferred:
        """Infer z by one call of the network."""
        found, error = self._seen(dynamics, rows)
        noise = self(error, found.std)
        return least(energy_at(error, found.std, self._tolerance, noise) - found.log_chance, noise)

    @torch.no_grad()
    def refined(self, dynamics: Dynamics, rows: Batch, steps: int = 1) -> Inferred:
        """Infer z by the network, then lower each mode's energy by Gauss-Newton steps."""
        found, error = self._seen(dynamics, rows)
        std, shape = found.std.flatten(0, -2), error.shape
        flat, guess = error.flatten(0, -2), self(error, found.std).flatten(0, -2)
        energy, noise = refine(lambda at: flat - std * at, self._tolerance, guess, steps)
        return least(energy.reshape(shape[:-1]) - found.log_chance, noise.reshape(shape))

    def _seen(self, dynamics: Dynamics, rows: Batch) -> tuple[Outcomes, Tensor]:
        state = rows.state.expand(dynamics.members, *rows.state.shape)
        found = outcomes(dynamics, state, rows.action)
        return found, errors(found, rows.next_state, self._layout)
