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


"""The agent keeps to its task's constraints: blind, planning, and in mode explore."""

from dataclasses import replace

import pytest
from test_agent import COST, GO, LAYOUT, PERIOD_NS, SETTINGS
import torch

from hlai_control.actor.agent import Agent
from hlai_control.actor.planners import PlanningSettings
from hlai_control.configurator.configuration import EXPLORE, RUN
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.published import PublishedCost
from hlai_control.learning.artefact import Artefact
from hlai_control.settings import CuriositySettings, PlannerSettings
from hlai_control.types import Budget, Estimate, generator
from hlai_control.world_model.ensemble import EnsembleDynamics

# 60 N/s are 3 N in a period of 0.05 s.
BOUNDS = (ConstraintSpec('speed', 'limit', ('cart.x/rate',), low=-0.04, high=0.04),
          ConstraintSpec('slew', 'rate', ('cart.force',), limit=60.0))
BLIND = 5


def a_model():
    """Return one in which pushes move the cart, and the members disagree by how much."""
    dynamics = EnsembleDynamics(LAYOUT, SETTINGS.world_model, generator(0, 'test'))
    with torch.no_grad():
        dynamics.coefficients.normal_(std=0.02, generator=generator(1, 'test'))
        dynamics.acceleration.fill_(2.0)
    dynamics.fold()
    return dynamics


def moved(mode, bounds, kind='hybrid', ticks=30):
    """Let the robot be what its world model believes; the states and the commands sent."""
    planning = PlanningSettings(
        PlannerSettings(kind=kind, horizon=8, candidates=64, elites=8, iterations=6),
        curiosity=CuriositySettings(exploring=5.0))
    agent = Agent(LAYOUT, replace(SETTINGS, planning=planning), 0, lockstep=False)
    agent.put_cost(PublishedCost(1, 0, replace(COST, constraints=bounds)))
    agent.configurations.put(replace(GO, mode=mode))
    state, states, sent, answers = torch.zeros(4), [], [], []
    for tick in range(ticks):
        if tick == BLIND:
            agent.models.put(Artefact('world_model', BLIND - 1, a_model().export()))
        answer = agent.answer(tick, tick * PERIOD_NS,
                              Estimate(state, torch.full((4,), 0.01)), Budget(6))
        agent.applied.put(tick, answer.command)
        state = answer.plan.states[0].clone() if tick >= BLIND else torch.zeros(4)
        states.append(state)
        sent.append(answer.command)
        answers.append(answer)
    return torch.stack(states), torch.stack(sent), answers


@pytest.mark.parametrize('kind', ['hybrid', 'ddp', 'icem'])
@pytest.mark.parametrize('mode', [RUN, EXPLORE])
def test_every_mode_keeps_to_the_constraints(mode, kind):
    states, sent, answers = moved(mode, BOUNDS, kind)
    free_states, free_sent, _ = moved(mode, (), kind)
    assert float(free_sent.diff(dim=0).abs().max()) > 9.0
    changes, speeds = sent.diff(dim=0).abs().flatten(), states[:, 2].abs()
    kept = torch.tensor([answer.plan.feasible for answer in answers])
    assert float(changes[kept[1:]].max()) <= 3.0 * 1.002
    assert float(changes.max()) <= 3.0 * 1.05 and float(speeds.max()) <= 0.04 * 1.05
    if mode == EXPLORE:
        assert float(free_states[:, 2].abs().max()) > 0.08
        assert float(speeds.max()) > 0.02  # it explores all the same
    assert [a.reason for a in answers[:BLIND]] == ['exploring'] * BLIND
    doing = 'exploring' if mode == EXPLORE else 'planning'
    for answer in answers[BLIND:]:
        but = '' if answer.plan.feasible else f', but not within {answer.plan.violated}'
        assert answer.reason == doing + but


def test_what_cannot_be_kept_is_said_in_every_mode():
    both = (ConstraintSpec('fast', 'limit', ('cart.x/rate',), low=1.0),
            ConstraintSpec('back', 'limit', ('cart.x/rate',), high=-1.0))
    for mode, doing in ((RUN, 'planning'), (EXPLORE, 'exploring')):
        *_, answers = moved(mode, both, ticks=BLIND + 2)
        assert answers[0].reason == 'exploring' and answers[0].plan.feasible
        for answer in answers[BLIND:]:
            assert answer.plan.violated in ('fast.low', 'back.high')
            assert answer.reason == f'{doing}, but not within {answer.plan.violated}'
