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

"""What changes as the robot runs is kept where it was, and rehearsed before a tick needs it."""

from dataclasses import replace

from devices import Tape
import pytest
from test_agent import COST, GO, LAYOUT, LEFT, PERIOD_NS, SETTINGS
import torch

from hlai_control.actor.agent import Agent
from hlai_control.actor.captured import CapturedPlanner
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.place import Place
from hlai_control.actor.planners import make_device_planner, make_planner
from hlai_control.configurator.configuration import EXPLORE, RUN
from hlai_control.cost.function import TaskCost
from hlai_control.cost.published import PublishedCost
from hlai_control.learning.artefact import Artefact
from hlai_control.settings import PLANNERS
from hlai_control.types import Budget, Estimate

CPU = torch.device('cpu')


def version(agent: Agent, number: int) -> Artefact:
    random = torch.Generator().manual_seed(number)
    return Artefact('world_model', number, {
        name: one + 0.3 * torch.randn(one.shape, generator=random)
        if one.is_floating_point() else one for name, one in agent.model_like.items()})


def answer(agent: Agent, tick: int) -> float:
    state = torch.tensor([0.1, 0.2, 0.3, 0.4]) * (1.0 + 0.1 * tick)
    found = agent.answer(tick, tick * PERIOD_NS, Estimate(state, torch.full((4,), 0.01)),
                         Budget(2))
    assert found.command is not None, found.reason
    agent.applied.put(tick, found.command)
    return float(found.command)


class Recorders:
    """Planners that write their search down once, as a CUDA graph does; and how often they do."""

    def __init__(self) -> None:
        self.times = 0
        self.place = Place(CPU, self.make, records=True)

    def make(self, layout, settings):
        return CapturedPlanner(CemPlanner(layout, settings.planner), self.record)

    def record(self, search, generator):
        self.times += 1
        return Tape.record(search, generator)


# The same but for how strongly each counts and where it is best.
NEAR = replace(COST, terms=tuple(replace(term, weight=2.0 * term.weight) for term in COST.terms))


def test_recorded_plans_are_those_that_are_not_and_no_tick_records(monkeypatch):
    # Compiled loops are for the CPU alone: what they do could not be recorded.
    monkeypatch.setattr('hlai_control.world_model.ensemble._FEW', 0)
    recorders = Recorders()
    direct = Place(CPU, lambda layout, settings: CemPlanner(layout, settings.planner),
                   records=False)
    agents = [Agent(LAYOUT, SETTINGS, 0, False, place) for place in (recorders.place, direct)]
    for agent in agents:
        agent.warm_up(COST)
        agent.put_cost(PublishedCost(1, 0, COST))
        agent.put_configuration(GO)
        # Each counts some ticks after it has arrived.
        agent.put_cost(PublishedCost(2, 6 * PERIOD_NS, NEAR))
    recorded, commands = recorders.times, ([], [])
    assert recorded > 0
    for tick in range(16):
        if tick == 8:
            for agent in agents:
                agent.put_cost(PublishedCost(3, 10 * PERIOD_NS, LEFT))
                agent.put_configuration(replace(GO, version=2, horizon=9, mode=RUN,
                                                from_ns=12 * PERIOD_NS))
            assert recorders.times > recorded, 'other terms, another horizon'
            recorded = recorders.times
        for agent, given in zip(agents, commands, strict=True):
            if tick in (2, 5, 9):
                agent.models.put(version(agent, tick))
            if tick == 4:
                agent.critics.put(Artefact('critic', tick, agent.critic_like))
            given.append(answer(agent, tick))
        assert recorders.times == recorded, f'tick {tick} had to record'
    assert commands[0] == commands[1]
    assert len(set(commands[0])) > 6  # and not all at a limit


def test_a_cost_takes_the_numbers_of_one_with_the_same_terms_and_of_no_other():
    cost, near, left = (TaskCost(LAYOUT, spec) for spec in (COST, NEAR, LEFT))
    state, action = torch.rand(5, 4), torch.rand(5, 1)
    places = [held.data_ptr() for held in cost.buffers()]
    assert cost.fits(near) and not cost.fits(left)
    cost.take(near)
    assert torch.equal(cost.stage(state, action), near.stage(state, action))
    assert cost.names == near.names and places == [held.data_ptr() for held in cost.buffers()]


@pytest.mark.parametrize('kind', PLANNERS)
def test_device_planners_answer_on_the_cpu_too_and_as_well(kind):
    energies = []
    for make in (make_device_planner, make_planner):
        agent = Agent(LAYOUT, SETTINGS, 0, False, Place(CPU, make, records=False))
        agent.put_cost(PublishedCost(1, 0, COST))
        agent.put_configuration(replace(GO, planner=kind, iterations=8))
        agent.models.put(version(agent, 2))
        answer(agent, 0)
        energies.append(agent._warm.energy)
    # Searches are the same; the hybrid draws other proposals, ddp and adjoint compute in float32.
    assert energies[0] == pytest.approx(energies[1], rel=0.05)


def test_warm_up_plans_for_what_ticks_plan_for():
    made, asked = [], []

    def watched(layout, settings):
        # The real planner; what it is asked for is written down.
        made.append(make_planner(layout, settings))
        plan = made[-1].plan
        made[-1].plan = lambda start, problem, *rest: asked.append(problem) or plan(
            start, problem, *rest)
        return made[-1]

    planner = replace(SETTINGS.planning.planner, stride=5)
    agent = Agent(LAYOUT, replace(SETTINGS, planning=replace(SETTINGS.planning, planner=planner)),
                  0, False, Place(CPU, watched, records=False))
    agent.warm_up(COST)
    # In both modes, without a critic and with one, cold and warm.
    assert len(made) == 1 and {(one.critic is None, one.cost.names) for one in asked} == {
        (blind, names) for blind in (False, True) for names in (
            asked[0].cost.names, asked[-1].cost.names)}
    agent.put_cost(PublishedCost(1, 0, COST))
    agent.models.put(version(agent, 1))
    for tick, mode, warmed in ((1, RUN, asked[0]), (2, EXPLORE, asked[-1])):
        agent.configurations.put(replace(GO, version=tick, mode=mode))
        answer(agent, tick)
        real = asked[-1]
        assert real.discount == warmed.discount == COST.discount ** 5
        assert real.dynamics is warmed.dynamics and real.cost.names == warmed.cost.names
        assert torch.equal(*(one.cost.stage(torch.ones(4), torch.ones(1))
                             for one in (real, warmed)))
