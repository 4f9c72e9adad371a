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

"""Every planner on another device: what goes there and comes back is counted, tick by tick."""

from dataclasses import replace

from devices import SecondDevice
import pytest
import torch

from hlai_control.actor.agent import Agent, AgentSettings
from hlai_control.actor.place import Place, place
from hlai_control.actor.planners import make_device_planner, PlanningSettings
from hlai_control.configurator.configuration import Configuration, EXPLORE, RUN
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.published import PublishedCost
from hlai_control.cost.task import load_task
from hlai_control.errors import SettingsError
from hlai_control.learning.artefact import Artefact
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import (
    CriticSettings,
    DdpSettings,
    PLANNERS,
    PlannerSettings,
    RiskSettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, Estimate

ROBOT = load_robot('cartpole')
LAYOUT, PERIOD_NS = ROBOT.layout, ROBOT.period_ns
COST = load_task('swingup', ROBOT).cost
GO = Configuration(1, 0, 'swingup', RUN, '', 0, 0, 'begin')
AWAY = Place(torch.device('meta'), make_device_planner, records=False)
# Copying onto meta does nothing, says torch.
pytestmark = pytest.mark.filterwarnings('ignore:for .* copying from a non-meta parameter')
EACH = pytest.mark.parametrize('kind', PLANNERS)


def agent_away(kind, constraints=(), **planning) -> Agent:
    """Return an agent on a device that has no numbers, its world model and critic learned."""
    made = Agent(LAYOUT, AgentSettings(
        PlanningSettings(PlannerSettings(kind=kind, horizon=3, candidates=8, elites=4,
                                         iterations=1), **planning),
        WorldModelSettings(members=2, hidden=8), CriticSettings(hidden=8),
        ScheduleSettings()), 0, False, AWAY)
    made.put_cost(PublishedCost(1, 0, replace(COST, constraints=constraints)))
    made.put_configuration(GO)
    return made


def answer(agent, tick):
    return agent.answer(tick, tick * PERIOD_NS, Estimate(torch.ones(4), torch.ones(4)), Budget(1))


def learn(agent, version):
    agent.models.put(Artefact('world_model', version, agent.model_like))
    agent.critics.put(Artefact('critic', version, agent.critic_like))


@pytest.mark.parametrize(('kind', 'mode'), [
    *((kind, RUN) for kind in PLANNERS), ('adjoint', EXPLORE), ('icem', EXPLORE)])
def test_a_tick_is_one_transfer_up_and_one_down(kind, mode):
    with SecondDevice():
        agent = agent_away(kind)
        agent.put_configuration(replace(GO, version=2, mode=mode))
    for tick in range(4):
        if tick == 2:
            learn(agent, 1)
        with SecondDevice() as moved:
            found = answer(agent, tick)
        assert found.plan is not None, found.reason
        assert found.plan.actions.is_meta and found.command.device.type == 'cpu'
        if tick % 2:  # the first of each sort brings what never changes, and weights
            # State and its std, the command on its way, and the command sent last.
            assert moved.up == [(4 + 4 + 1 + 1,)]
        # Anticipated value, rejected, command, and the energy before and after each refinement.
        assert moved.down == [(2 + 1 + (1 if tick < 2 else 2),)]


SLEW = ConstraintSpec('slew', 'rate', ('cart.force',), limit=20.0)
RAIL = ConstraintSpec('rail', 'limit', ('cart.x',), low=-1.0, high=1.0)


@EACH
def test_constrained_plans_are_made_there_and_read_between_rounds_on_purpose(kind):
    """
    Not with one transfer: multipliers move and weights grow by what a round has come to.

    Each round is a search that waits for nothing; between two, the host reads
    the greatest violation, the residual and the energy, and decides.
    """
    with SecondDevice() as moved:
        agent = agent_away(kind, (SLEW, RAIL))
        learn(agent, 1)
        found = [answer(agent, tick) for tick in range(3)]
    assert all(one.plan is not None and one.plan.actions.is_meta for one in found)
    # Whatever is read is small: no trajectory comes down, let alone all candidates.
    assert moved.down and max(shape.numel() for shape in moved.down) <= 3 + 3 + 1


@pytest.mark.parametrize('kind', ['hybrid', 'ddp'])
@pytest.mark.parametrize('planning', [
    {'risk': RiskSettings(tail=0.5)}, {'risk': RiskSettings(latents=2)},
    {'ddp': DdpSettings(merge=False)}], ids=str)
def test_scenarios_one_by_one_make_second_order_planners_go_through_the_cpu(kind, planning):
    with SecondDevice() as moved:
        agent = agent_away(kind, **planning)
        learn(agent, 1)
        assert answer(agent, 0).plan is not None
    assert len(moved.down) > 1


@pytest.mark.parametrize('kind', ['adjoint', 'mppi', 'icem', 'cem'])
def test_risk_costs_the_others_no_transfer(kind):
    with SecondDevice():
        agent = agent_away(kind, risk=RiskSettings(tail=0.5, latents=2))
        learn(agent, 1)
        answer(agent, 0)
    with SecondDevice() as moved:
        assert answer(agent, 1).plan is not None
    assert (len(moved.up), len(moved.down)) == (1, 1)


def test_what_is_looked_at_is_brought_to_the_host_on_purpose():
    with SecondDevice() as moved:
        agent = agent_away('hybrid')
        learn(agent, 1)
        plan = answer(agent, 0).plan
        before = len(moved.down)
        assert agent.sensitivity().shape == plan.states.shape
        assert len(moved.down) > before


def test_the_cpu_is_the_default_and_auto_is_what_there_is():
    assert PlannerSettings().device == 'cpu'
    assert place('cpu') == place('cpu') and place('cpu').device.type == 'cpu'
    assert not place('cpu').records
    here = 'cuda' if torch.cuda.is_available() else 'cpu'
    assert place('auto').device.type == here


def test_a_gpu_that_is_not_here_is_refused_with_a_remedy(monkeypatch):
    # Also where this test runs beside a GPU.
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SettingsError, match=r"planner.device = 'cuda'.*sees no GPU; valid here: "
                                            r'cpu, auto;.*hlai doctor'):
        place('cuda')
    with pytest.raises(SettingsError, match='not one of cpu, cuda, auto'):
        PlannerSettings(device='tpu')
