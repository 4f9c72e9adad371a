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

"""How both hypotheses learn, and which one is believed."""

import torch

from hlai_control.learning.crew import Crew
from hlai_control.types import generator as make_generator
from hlai_control.types import Transition
from hlai_control.world_model.hypotheses import Hypotheses
from hlai_control.world_model.identification import Identifier
from hlai_control.world_model.learner import WorldModelLearner


class HypothesesLearner(WorldModelLearner):
    def __init__(self, layout, settings, generator, crew: Crew | None = None) -> None:
        super().__init__(layout, settings, generator, crew)
        self._both = Hypotheses(layout, settings, make_generator(0, 'x'))
        self._identifier = Identifier(layout)
        draw = make_generator(0, 'members')
        self._offsets = torch.randn(settings.members, self._identifier.mechanism.size, generator=draw, dtype=torch.float64)
        self._scores = torch.zeros(2, dtype=torch.float64)
        self._noise = torch.tensor(layout.noise_std)[len(layout.positions):]
        self._stale = True; self._weight = 0.0

    @property
    def dynamics(self):
        super().dynamics
        if self._stale and len(self.replay):
            rows = self._rows()
            self._identifier.fit(rows)
            theta = self._identifier.draws(self._offsets, rows.state.double())
            self._both.mechanism.take(theta.float(), torch.cat([torch.zeros_like(self._identifier.found.residual), self._identifier.found.residual]).float())
            self._stale = False
        self._both.ensemble.load(self._dynamics.export())
        self._both.believe(self.prefer())
        return self._both

    def prefer(self):
        import os
        if os.environ.get('ONLY'): return os.environ['ONLY'] == 'm' and self._identifier.found is not None
        return bool(self._scores[1] < self._scores[0])

    def add(self, transition: Transition) -> None:
        if self._identifier.found is not None:
            e = self._dynamics.members
            for k, part in enumerate((self._both.ensemble, self._both.mechanism)):
                with torch.no_grad():
                    p = part.step(transition.state.expand(e, 1, -1), transition.action[None]).mean(0)[0]
                n = len(p)//2
                r = ((transition.next_state - p)[n:] / self._noise).square().mean()
                r = torch.nan_to_num(r, nan=1e9).clamp_max(1e4)
                self._scores[k] = 0.9*self._scores[k] + 0.1*torch.log1p(r)
        super().add(transition)
        self._stale = True
