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

"""From a cold start: the cost of one plan against model calls and against time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from hlai_control.bench.competitors import Competitor, REFERENCE
from hlai_control.bench.systems import starting_positions
from hlai_control.bench.trial import Bench, made
from hlai_control.protocols import Planner
from hlai_control.types import generator

# A budget that took longer than this was the last one.
ENOUGH_S = 0.12


@dataclass(frozen=True)
class Sample:
    """
    One plan without a previous one.

    :param competitor: its name.
    :param start: number of the start.
    :param iterations: its budget.
    :param seconds: that it took.
    :param calls: of the model.
    :param cost: energy of the plan on the model.
    """

    competitor: str
    start: int
    iterations: int
    seconds: float
    calls: int
    cost: float


def cold(ready: Bench, competitors: Sequence[Competitor], starts: int, seed: int,
         tell: Callable[[], None], enough_s: float = ENOUGH_S) -> list[Sample]:
    """
    Plan from each start with growing budgets, all competitors in turn.

    Budgets double until one takes longer than ``enough_s``.

    :param starts: how many.
    :param seed: of the starts.
    :param tell: called after each start.
    """
    layout, horizon = ready.manifest.layout, ready.system.horizon
    planners = [(one, one.make(layout, horizon)) for one in competitors]
    samples: list[Sample] = []
    for number, place in enumerate(starting_positions(ready.system, starts, seed)):
        start = torch.tensor([*place, *([0.0] * len(place))], dtype=torch.float32)
        if number == 0:  # the first call of all loads what a library loads late
            for _, planner in planners:
                made(planner, ready, start, None, 1, generator(0, 'bench'))
        left, budget = planners, 1
        while left:
            goes_on = []
            for one, planner in left:
                sample = _one(one, planner, ready, number, start, min(budget, one.most))
                samples.append(sample)
                quick = sample.seconds <= enough_s or one.name == REFERENCE
                if quick and sample.iterations < one.most:
                    goes_on.append((one, planner))
            left, budget = goes_on, 2 * budget
        tell()
    return samples


def _one(competitor: Competitor, planner: Planner, ready: Bench, number: int, start: Tensor,
         iterations: int) -> Sample:
    found = made(planner, ready, start, None, iterations, generator(number, 'bench'))
    cost = inf if found.plan is None else ready.energy(start, found.plan.actions)
    return Sample(competitor.name, number, iterations, found.seconds, found.calls, cost)
