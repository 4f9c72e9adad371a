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

"""How far the world model can see: intervals ahead, and how often they held."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from jaxtyping import Bool, Float
import torch
from torch import Tensor

from hlai_control.layout import Layout
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator, Transition
from hlai_control.world_model.intervals import forecast, Intervals
from hlai_control.world_model.made import make_dynamics

HORIZONS = (1, 5, 10, 25)
LEVEL = 0.9
# Forecasts cost tens of model calls: so many at most per second, however fast the robot is.
_FORECASTS_PER_S = 10.0
_DRAWS = 16


@dataclass(frozen=True)
class Judged:
    """
    Forecasts that have come true, or have not.

    :param half_width: of the intervals, in the coordinates' units.
    :param hit: which of them covered what came.
    :param coverage: share of outcomes so far that their intervals covered.
    """

    half_width: Float[Tensor, 'H S']
    hit: Bool[Tensor, 'H S']
    coverage: Float[Tensor, ' H']


class Forecasts:
    """
    Intervals some steps ahead, predicted by what was known then, judged by what came.

    A forecast needs the commands that followed, so it is made once they are
    known, with the world model and the scales of the moment that it starts
    from: nothing that was learned since is used.

    :param layout: the robot.
    :param settings: sizes of the world model.
    :param seed: of the draws.
    """

    def __init__(self, layout: Layout, settings: WorldModelSettings, seed: int) -> None:
        """Begin without a world model."""
        self.intervals = Intervals(layout, HORIZONS, LEVEL)
        self._scratch = make_dynamics(layout, settings, generator(seed, 'forecasts'))
        self._random = generator(seed, 'forecasts/draws')
        self.every = max(1, ceil(1.0 / (_FORECASTS_PER_S * layout.period_s)))
        self._steps: deque[Transition] = deque(maxlen=max(HORIZONS))
        self._known: deque[tuple[Mapping[str, Tensor], Tensor] | None] = deque(
            maxlen=max(HORIZONS))
        self._model: Mapping[str, Tensor] | None = None
        self._loaded: Mapping[str, Tensor] | None = None
        self._count = 0
        self.judged, self.covered = 0, torch.zeros(len(HORIZONS), dtype=torch.float64)

    def put(self, model: Mapping[str, Tensor]) -> None:
        """Take a version of the world model; forecasts from now on are its."""
        self._model = model

    def interrupt(self) -> None:
        """Forget what is under way: the next step does not follow the last one."""
        self._steps.clear()
        self._known.clear()

    def export(self) -> dict[str, Tensor]:
        """Copy the calibration, for a run that goes on later."""
        return {'scale': self.intervals.scale.clone(), 'covered': self.covered.clone(),
                'judged': torch.tensor([float(self.judged)], dtype=torch.float64)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take a copy of the calibration."""
        self.intervals.scale = tensors['scale'].clone()
        self.covered = tensors['covered'].clone()
        self.judged = int(tensors['judged'].item())

    def observe(self, step: Transition) -> Judged | None:
        """
        Take one more step.

        :returns: the forecast that ends here, if one does.
        """
        due = self._model is not None and self._count % self.every == 0
        self._known.append((self._model, self.intervals.scale)  # type: ignore[arg-type]
                           if due else None)
        self._steps.append(step)
        self._count += 1
        if len(self._steps) < max(HORIZONS) or self._known[0] is None:
            return None
        return self._judge(*self._known[0])

    def _judge(self, model: Mapping[str, Tensor], scale: Float[Tensor, 'H S']) -> Judged:
        if model is not self._loaded:
            self._scratch.load(model)
            self._loaded = model
        steps = list(self._steps)
        ahead = forecast(self._scratch, steps[0].state, torch.stack(
            [step.action for step in steps]), HORIZONS, _DRAWS, self._random)
        came = torch.stack([steps[horizon - 1].next_state for horizon in HORIZONS])
        hit = self.intervals.covers(ahead, scale, came)
        self.intervals.learn(hit)
        self.judged += 1
        self.covered += hit.double().mean(dim=1)
        return Judged(scale * ahead.std, hit, (self.covered / self.judged).float())
