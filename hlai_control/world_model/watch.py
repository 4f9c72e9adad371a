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

"""Whether the robot is still the one that was learned: energies in, alarms out."""

from collections.abc import Mapping
from math import isfinite

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.settings import SurpriseSettings
from hlai_control.types import Transition
from hlai_control.world_model.made import Learner
from hlai_control.world_model.surprise import Surprise

# Energies of normal operation that are compared with, and how many are needed first.
_WINDOW, _LEAST = 512, 50
# Told of an energy that is not finite, for signals are.
_ENORMOUS = 1e9


class Watch:
    """
    Watches the energies of a world model in use.

    :param layout: the robot.
    :param settings: how patient it is.
    """

    def __init__(self, layout: Layout, settings: SurpriseSettings) -> None:
        """Begin without having seen anything."""
        self._patience, self._freedom = settings.patience_ticks(layout.period_s), layout.state_size
        self.old = settings.old
        self.surprise = self._fresh()
        self.energy, self.alarms = 0.0, 0

    def _fresh(self) -> Surprise:
        return Surprise(self._patience, _WINDOW, _LEAST, self._freedom)

    @property
    def evidence(self) -> float:
        """Return the evidence, log R, 0 where there is none."""
        return max(self.surprise.value, 0.0)

    def notice(self, learner: Learner, step: Transition) -> None:
        """
        Look at a step before it is learned; where an alarm begins, let the learner doubt.

        :param learner: with the world model as it was last handed out.
        """
        if learner.consulted and self.observe(learner.surprisal(step)) and self.old < 1.0:
            learner.doubt(self.surprise.growing, self.old)

    def observe(self, energy: float) -> bool:
        """
        Take the energy of one step, predicted by a model that had been trained before.

        :returns: whether an alarm begins.
        """
        before = self.surprise.alarm
        self.energy = min(energy, _ENORMOUS) if isfinite(energy) else _ENORMOUS
        self.surprise.observe(energy)
        begins = self.surprise.alarm and not before
        self.alarms += begins
        return begins

    def export(self) -> dict[str, Float[Tensor, ' N']]:
        """Copy what counts as normal, for a run that goes on later."""
        kept = torch.full((_WINDOW,), -1.0, dtype=torch.float64)
        recent = self.surprise.recent
        kept[:len(recent)] = torch.tensor(recent, dtype=torch.float64)
        return {'energies': kept}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take a copy; there is no evidence of anything new."""
        self.surprise = self._fresh()
        for energy in tensors['energies'].tolist():
            if energy >= 0.0:
                self.surprise.take_for_normal(energy)
