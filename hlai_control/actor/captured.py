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

"""A whole search recorded once and replayed: no Python work between its first and last kernel."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.given import check
from hlai_control.actor.searching import DevicePlanner, Found, to_plan
from hlai_control.protocols import Problem
from hlai_control.types import Budget, Plan

_WARM_UPS = 3
# With and without critic, cold and warm, running and exploring, and as many before a change.
_RECORDINGS = 16

Search = Callable[[], Found]
# Runs a search once; returns where its result lies, and what writes the next one there.
Recorder = Callable[[Search, torch.Generator], tuple[Found, Callable[[], object]]]


@dataclass(frozen=True)
class Recording:
    """
    A search recorded for inputs of certain shapes.

    :param problem: kept, so that no other one takes its place in memory.
    :param generator: kept for the same reason; the recording draws from it.
    :param start: where the recording reads the start.
    :param resumed: where it reads what the search begins with.
    :param found: where it leaves the result.
    :param replay: makes it do so.
    """

    problem: Problem
    generator: torch.Generator
    start: Float[Tensor, ' S']
    resumed: Any
    found: Found
    replay: Callable[[], object]


class CapturedPlanner:
    """
    Runs a planner's search as one CUDA graph.

    A graph is recorded when it is first needed, and anew for another world
    model, cost, critic, discount, risk, generator, number of iterations, or
    shape: a cold and a warm start may have one each. New weights keep the
    graph if they are written where the old ones were, as
    ``EnsembleDynamics.load``, ``ValueNetwork.load`` and ``TaskCost.take`` do.
    All iterations of the budget are made: within a graph, nobody can ask
    whether the time is up. A black-box cost that leaves the device cannot be
    recorded.

    Devices without graphs search anew from the same buffers.

    :param planner: whose search it is.
    :param recorder: how to record; None: as the device of the start can.
    """

    def __init__(self, planner: DevicePlanner, recorder: Recorder | None = None) -> None:
        """Record nothing yet."""
        self._planner, self._recorder = planner, recorder
        self._recordings: dict[tuple[object, ...], Recording] = {}
        self.recorded = 0  # how often, in all

    @torch.inference_mode(False)
    @torch.no_grad()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``.

        :param start: state at the moment the first command takes effect.
        :param warm: the previous tick's plan, not yet shifted.
        :param budget: only its iterations count.
        :param generator: on the device of ``start``.
        :raises PlanError: if no candidate has a finite energy.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self._planner.layout, start, problem, warm, generator)
        resumed = self._planner.resume(start, warm)
        key = (id(problem.dynamics), id(problem.cost), id(problem.critic), problem.discount,
               problem.risk, id(generator), budget.iterations, start.dtype, start.device,
               *(part.shape for part in vars(resumed).values()))
        recording = self._recordings.get(key)
        if recording is None:
            recording = self._record(start, resumed, problem, budget.iterations, generator)
            while len(self._recordings) >= _RECORDINGS:
                self._recordings.pop(next(iter(self._recordings)))
            self._recordings[key] = recording
        recording.start.copy_(start)
        for held, part in zip(vars(recording.resumed).values(), vars(resumed).values(),
                              strict=True):
            held.copy_(part)
        recording.replay()
        return to_plan(recording.found, budget.iterations)

    def _record(self, start: Tensor, resumed: Any, problem: Problem, iterations: int,
                generator: torch.Generator) -> Recording:
        """Record one search on buffers of its own; the generator is left as it was."""
        own = start.clone()
        begun = replace(resumed, **{name: part.clone() for name, part in vars(resumed).items()})
        recorder = self._recorder or (graph if start.device.type == 'cuda' else again)
        before, budget = generator.get_state(), Budget(iterations)
        found, replay = recorder(
            lambda: self._planner.search(own, begun, problem, budget, generator)[0], generator)
        generator.set_state(before)
        self.recorded += 1
        return Recording(problem, generator, own, begun, found, replay)


def graph(search: Search, generator: torch.Generator) -> tuple[Found, Callable[[], object]]:
    """
    Record a search as a CUDA graph.

    The libraries reserve their memory during the first runs, which are made on
    a stream of their own beforehand, as a recording may not.

    :param generator: on the CUDA device.
    """
    before = generator.get_state()
    side, main = torch.cuda.Stream(generator.device), torch.cuda.current_stream(generator.device)
    side.wait_stream(main)
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            search()
    main.wait_stream(side)
    generator.set_state(before)
    made = torch.cuda.CUDAGraph()
    made.register_generator_state(generator)
    with torch.cuda.graph(made):
        found = search()
    return found, made.replay


def again(search: Search, generator: torch.Generator) -> tuple[Found, Callable[[], object]]:
    """Record nothing: where there are no graphs, the search runs anew each time."""
    found = search().copy()

    def replay() -> None:
        for held, part in zip(vars(found).values(), vars(search()).values(), strict=True):
            if held is not None:
                held.copy_(part)
    return found, replay
