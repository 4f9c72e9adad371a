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

"""The cross-entropy methods: what is the textbook's, and what the improved one keeps."""

from dataclasses import replace

from problems import LastStage, LINEAR, lqr, QUADRATIC, START
import pytest
import torch
from toys import MASS

from hlai_control.actor.cem import CemPlanner, moments
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.sampling import Search
from hlai_control.protocols import Problem
from hlai_control.settings import CemSettings, IcemSettings, PlannerSettings
from hlai_control.types import Budget

FREE = replace(MASS, action_low=(-12.0,), action_high=(12.0,))
LQ = Problem(LINEAR, QUADRATIC, LastStage(), 1.0)
SETTINGS = PlannerSettings(horizon=12, candidates=64, elites=10, spread=0.3)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def search() -> Search:
    """Two steps of one actuator, mean 5 and std 2."""
    return Search(torch.full((2, 1), 5.0), torch.full((2, 1), 2.0), torch.empty(0, 2, 1),
                  torch.empty(0), torch.zeros(2, 1), torch.zeros(3, 2), torch.tensor(1.0),
                  torch.tensor(0))


TRIED = torch.tensor([[[0.0], [1.0]], [[2.0], [3.0]], [[9.0], [9.0]], [[4.0], [8.0]]])
ENERGIES = torch.tensor([1.0, 2.0, torch.inf, 3.0])


def test_the_textbook_moves_to_the_elites_of_this_refinement_alone():
    planner = CemPlanner(MASS, PlannerSettings(horizon=2, candidates=4, elites=2),
                         CemSettings(momentum=0.25))
    found = planner.move(search(), TRIED, ENERGIES)
    # Elites (0, 1) and (2, 3): means 1 and 2, std sqrt(2); a quarter of the old ones is left.
    torch.testing.assert_close(found.mean.flatten(), torch.tensor([2.0, 2.75]))
    torch.testing.assert_close(found.std.flatten(),
                               torch.full((2,), 0.75 * 2 ** 0.5 + 0.25 * 2.0))
    assert len(found.elites) == 0


def test_what_is_not_finite_is_no_elite():
    mean, std = moments(search(), TRIED, ENERGIES)
    # Of (0, 2, 4) and (1, 3, 8).
    torch.testing.assert_close(mean.flatten(), torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(std.flatten(), torch.tensor([2.0, 13.0 ** 0.5]))
    # A single one has no spread: nothing is learned from it.
    alone = torch.tensor([1.0, torch.inf, torch.inf, torch.inf])
    mean, std = moments(search(), TRIED, alone)
    assert mean.tolist() == [[5.0], [5.0]]
    assert std.tolist() == [[2.0], [2.0]]


def test_the_improved_one_keeps_elites_within_a_tick_and_shrinks_slowly():
    planner = IcemPlanner(MASS, PlannerSettings(horizon=2, candidates=4, elites=2),
                          IcemSettings(kept=0.5, shrink=0.9))
    first = planner.move(search(), TRIED, ENERGIES)
    assert first.elites.flatten().tolist() == [0.0, 1.0]
    assert first.energies.tolist() == [1.0]
    # sqrt(2) is less than 0.9 of 2.
    torch.testing.assert_close(first.std.flatten(), torch.full((2,), 1.8))
    second = planner.move(first, TRIED[1:], ENERGIES[1:])
    assert second.elites.flatten().tolist() == [0.0, 1.0]
    assert second.mean.flatten().tolist() == [1.0, 2.0]


def test_the_improved_one_keeps_elites_from_tick_to_tick():
    planner = IcemPlanner(FREE, SETTINGS)
    plan = planner.plan(START, LQ, None, Budget(3), random())
    assert plan.elites.shape == (3, 12, 1)  # 0.3 of 10
    resumed = planner.resume(START, plan)
    assert torch.equal(resumed.elites[:, :-1], plan.elites[:, 1:])
    assert torch.equal(resumed.elites[:, -1], plan.elites[:, -1])
    assert torch.equal(resumed.mean[:-1], plan.actions[1:])
    assert CemPlanner(FREE, SETTINGS).plan(START, LQ, None, Budget(3), random()).elites is None


def test_the_population_falls_but_not_below_twice_the_elites():
    planner = IcemPlanner(FREE, SETTINGS, IcemSettings(decay=2.0))
    assert [planner.population(done) for done in range(4)] == [64, 32, 20, 20]
    assert [CemPlanner(FREE, SETTINGS).population(done) for done in range(3)] == [64, 64, 64]


def test_a_warm_start_carries_refinement_from_tick_to_tick():
    planner, warm, gaps = IcemPlanner(FREE, SETTINGS), None, []
    for tick in range(10):
        late = None if warm is None else replace(
            warm, actions=torch.cat([warm.actions[:1], warm.actions]))
        warm = planner.plan(START, LQ, late, Budget(3), random(tick))
        gaps.append(warm.energy / lqr()[0] - 1)
    assert all(later <= earlier + 1e-6 for earlier, later in zip(gaps, gaps[1:], strict=False))
    assert gaps[-1] < 0.5 * gaps[0]


def test_few_candidates_are_no_obstacle():
    tiny = PlannerSettings(horizon=3, candidates=4, elites=4)
    for kind in (CemPlanner, IcemPlanner):
        warm = None
        for tick in range(3):
            warm = kind(MASS, tiny).plan(START, LQ, warm, Budget(2), random(tick))
        assert warm.energy == pytest.approx(warm.energy)
