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

"""The agent on a device from end to end, for ``gpu_checks.py``."""

from dataclasses import dataclass, replace
import time

from gpu_problems import CARTPOLE, Size, SWING
import torch

from hlai_control.actor.agent import Agent, AgentSettings
from hlai_control.actor.place import Place, place
from hlai_control.actor.planners import make_device_planner, PlanningSettings
from hlai_control.configurator.configuration import Configuration, RUN
from hlai_control.cost.published import PublishedCost
from hlai_control.learning.artefact import Artefact
from hlai_control.settings import (
    CriticSettings,
    PlannerSettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, Estimate

PERIOD_NS = round(1e9 * CARTPOLE.period_s)
# From this tick on the goal is another one, with the same terms.
MOVED = 12


@dataclass(frozen=True)
class Driven:
    """
    What a short run came to.

    :param commands: one per tick.
    :param spent: time of each tick's answer [ms].
    :param reasons: all that the agent said.
    """

    commands: list[float]
    spent: list[float]
    reasons: set[str]


def driven(kind: str, size: Size, ticks: int) -> Driven:
    """
    Run an agent: new weights at every other tick, another goal half way.

    It is warmed up as a node warms it up. States are made up.
    """
    where = place('cuda') if size.device.type == 'cuda' else Place(
        size.device, make_device_planner, records=True)
    planner = PlannerSettings(kind=kind, horizon=size.horizon, candidates=size.candidates,
                              elites=min(64, size.candidates), iterations=2)
    agent = Agent(CARTPOLE, AgentSettings(
        PlanningSettings(planner), WorldModelSettings(members=size.members, hidden=size.hidden),
        CriticSettings(), ScheduleSettings()), 0, False, where)
    agent.warm_up(SWING)
    agent.put_cost(PublishedCost(1, 0, SWING))
    agent.put_configuration(Configuration(1, 0, 'swingup', RUN, '', 0, 0, 'begin'))
    goal = replace(SWING, terms=(replace(SWING.terms[0], goal=1.0), *SWING.terms[1:]))
    agent.put_cost(PublishedCost(2, MOVED * PERIOD_NS, goal))
    commands, spent, reasons = list[float](), list[float](), set[str]()
    for tick in range(ticks):
        if tick >= 2 and tick % 2 == 0:
            agent.models.put(_version(agent, tick))
        state = torch.tensor([0.1, 0.2, 0.3, 0.4]) * (1.0 + 0.02 * tick)
        begun = time.perf_counter()
        answer = agent.answer(tick, tick * PERIOD_NS, Estimate(state, torch.full((4,), 0.01)),
                              Budget(planner.iterations))
        spent.append(1e3 * (time.perf_counter() - begun))
        reasons.add(answer.reason)
        if answer.command is not None:
            commands.append(float(answer.command))
            agent.applied.put(tick, answer.command)
    return Driven(commands, spent, reasons)


def _version(agent: Agent, tick: int) -> Artefact:
    draw = torch.Generator().manual_seed(tick)
    return Artefact('world_model', tick, {
        name: one + 0.1 * torch.randn(one.shape, generator=draw) if one.is_floating_point()
        else one for name, one in agent.model_like.items()})
