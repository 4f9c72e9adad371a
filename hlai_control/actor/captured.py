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

"""A whole search as one CUDA graph: no Python work and no waiting between its first and last."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.actor.given import check
from hlai_control.actor.sampling import Found, to_plan
from hlai_control.layout import Layout
from hlai_control.protocols import Problem
from hlai_control.types import Budget, Plan

_WARM_UPS = 3
_RECORDINGS = 4


@runtime_checkable
class Searcher(Protocol):
    """A planner whose search never waits for its device, ``sampling.py`` or ``device_ddp.py``."""

    @property
    def layout(self) -> Layout:
        """Return the robot."""

    def resume(self, start: Float[Tensor, ' S'], warm: Plan | None) -> Any:
        """Return what the search begins with, a frozen dataclass of tensors."""

    def search(self, start: Float[Tensor, ' S'], resumed: Any, problem: Problem,
               budget: Budget, generator: torch.Generator) -> tuple[Found, int]:
        """Refine; return the result, and how many refinements were made."""


@dataclass(frozen=True)
class Recording:
    """
    A search recorded for inputs of certain shapes.

    :param problem: kept, so that no other one takes its place in memory.
    :param generator: kept for the same reason; the graph draws from it.
    :param start: where the graph reads the start.
    :param resumed: where it reads what the search begins with.
    :param found: where it leaves the result.
    """

    graph: torch.cuda.CUDAGraph
    problem: Problem
    generator: torch.Generator
    start: Float[Tensor, ' S']
    resumed: Any
    found: Found


class CapturedPlanner:
    """
    Runs a planner's search as one CUDA graph.

    A graph is recorded when it is first needed, and anew for another world
    model, cost, critic, generator, number of iterations, or shape: a cold and
    a warm start have one each. World models and critics that take new weights
    in place, as ``EnsembleDynamics.load`` and ``ValueNetwork.load`` do, keep
    their graph. All iterations of the budget are made: within a graph, nobody
    can ask whether the time is up. A black-box cost that leaves the device
    cannot be recorded.

    On any other device, the search runs as it is: same numbers, same plan.

    :param planner: whose search it is.
    """

    def __init__(self, planner: Searcher) -> None:
        """Record nothing yet."""
        self._planner = planner
        self._recordings: dict[tuple[object, ...], Recording] = {}

    @torch.inference_mode()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """
        Plan from ``start``.

        :param start: state at the moment the first command takes effect.
        :param warm: the previous tick's plan, not yet shifted.
        :param budget: on a CUDA device, only its iterations count.
        :param generator: on the device of ``start``.
        :raises PlanError: if no candidate has a finite energy.
        :raises ShapeError: if axes or devices do not fit together.
        """
        check(self._planner.layout, start, problem, warm, generator)
        resumed = self._planner.resume(start, warm)
        if start.device.type != 'cuda':
            return to_plan(*self._planner.search(start, resumed, problem, budget, generator))
        key = (id(problem.dynamics), id(problem.cost), id(problem.critic), problem.discount,
               problem.risk, id(generator), budget.iterations, start.dtype, start.device,
               *(part.shape for part in vars(resumed).values()))
        recording = self._recordings.get(key)
        if recording is None:
            recording = record(self._planner, start, resumed, problem, budget.iterations,
                               generator)
            while len(self._recordings) >= _RECORDINGS:
                self._recordings.pop(next(iter(self._recordings)))
            self._recordings[key] = recording
        recording.start.copy_(start)
        for held, part in zip(vars(recording.resumed).values(), vars(resumed).values(),
                              strict=True):
            held.copy_(part)
        recording.graph.replay()
        return to_plan(recording.found, budget.iterations)


def record(planner: Searcher, start: Float[Tensor, ' S'], resumed: Any,
           problem: Problem, iterations: int, generator: torch.Generator) -> Recording:
    """
    Record one search; the generator is left as it was.

    The libraries reserve their memory during the first runs, which are made on
    a stream of their own beforehand, as a recording may not.

    :param start: on a CUDA device, as everything else.
    """
    own = start.clone()
    begun = replace(resumed, **{name: part.clone() for name, part in vars(resumed).items()})
    budget, before = Budget(iterations), generator.get_state()
    side, main = torch.cuda.Stream(start.device), torch.cuda.current_stream(start.device)
    side.wait_stream(main)
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            planner.search(own, begun, problem, budget, generator)
    main.wait_stream(side)
    generator.set_state(before)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        found, _ = planner.search(own, begun, problem, budget, generator)
    return Recording(graph, problem, generator, own, begun, found)
