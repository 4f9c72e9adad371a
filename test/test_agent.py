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

"""The agent without ROS: five calls a tick, and an answer whatever has arrived."""

from dataclasses import replace

import pytest
import torch

from hlai_control.actor.agent import Agent, AgentSettings, Answer
from hlai_control.actor.inputs import AppliedCommands
from hlai_control.actor.planners import PlanningSettings
from hlai_control.actor.rollout import energy, roll_out
from hlai_control.configurator.configuration import Configuration, EXPLORE, HOLD, REACTIVE, RUN
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.published import PublishedCost
from hlai_control.cost.spec import CostSpec
from hlai_control.cost.task import load_task
from hlai_control.errors import SettingsError
from hlai_control.learning.artefact import Artefact
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import (
    CriticSettings,
    PLANNERS,
    PlannerSettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, Estimate

ROBOT = load_robot('cartpole')
LAYOUT, PERIOD_NS = ROBOT.layout, ROBOT.period_ns
SWINGUP = load_task('swingup', ROBOT).cost
# Effort is free, so that doing nothing is never the best plan.
COST = replace(SWINGUP, terms=tuple(t for t in SWINGUP.terms if t.name != 'effort'))
# Prefers a cart at the left end: another task.
LEFT = CostSpec('left', 0.9, (replace(COST.terms[1], goal=-1.5),))
SETTINGS = AgentSettings(
    # A sampling planner with few candidates: what it was told shows in its commands.
    PlanningSettings(PlannerSettings(kind='cem', horizon=6, candidates=16, elites=4,
                                     iterations=2)),
    WorldModelSettings(members=2, hidden=8, mechanism=False), CriticSettings(hidden=8),
    ScheduleSettings(publish_every=2, due_after=2, explore_ticks=6))
GO = Configuration(1, 0, 'swingup', RUN, '', 0, 0, 'begin')


def _agent(seed: int = 0, lockstep: bool = False, ready: bool = True) -> Agent:
    agent = Agent(LAYOUT, SETTINGS, seed, lockstep)
    if ready:
        agent.put_cost(PublishedCost(1, 0, COST))
        agent.configurations.put(GO)
    return agent


def _model(agent: Agent, version: int, scale: float = 0.5) -> Artefact:
    random = torch.Generator().manual_seed(version)
    return Artefact('world_model', version, {
        name: tensor + scale * torch.randn(tensor.shape, generator=random)
        if tensor.is_floating_point() else tensor
        for name, tensor in agent.model_like.items()})


def _answer(agent: Agent, tick: int) -> Answer:
    state = torch.tensor([0.1, 0.2, 0.3, 0.4]) * (1.0 + 0.1 * tick)
    answer = agent.answer(tick, tick * PERIOD_NS, Estimate(state, torch.full((4,), 0.01)),
                          Budget(2))
    if answer.command is not None:
        agent.applied.put(tick, answer.command)
    return answer


def _run(agent: Agent, ticks: range) -> list[float | None]:
    answers = [_answer(agent, tick) for tick in ticks]
    return [None if a.command is None else a.command.item() for a in answers]


def test_asks_for_the_safe_command_until_there_is_a_cost_and_a_configuration():
    agent = _agent(ready=False)
    assert _answer(agent, 0).command is None
    agent.configurations.put(GO)
    assert _answer(agent, 1) == Answer(None, None, False,
                                       'waiting for a cost and a configuration')
    agent.put_cost(PublishedCost(1, 3 * PERIOD_NS, COST))
    assert _answer(agent, 2).command is None  # it counts from tick 3 on
    assert _answer(agent, 3).command is not None


def test_explores_until_there_is_a_world_model_and_then_plans():
    agent = _agent()
    before = [_answer(agent, tick) for tick in range(5)]
    assert all(a.exploring and a.reason == 'exploring' for a in before)
    assert len({a.command.item() for a in before}) == 5
    agent.models.put(_model(agent, 4))
    after = [_answer(agent, tick) for tick in range(5, 8)]
    assert not any(a.exploring for a in after) and {a.reason for a in after} == {'planning'}
    for answer in before + after:
        assert -10.0 <= answer.command.item() <= 10.0
        assert answer.plan.states.shape == (7, 4)


def test_lockstep_is_ready_when_versions_and_applied_commands_are_here():
    agent = _agent(lockstep=True)
    assert not agent.waits_for(0)
    _answer(agent, 0)  # and puts the applied command of tick 0
    assert not agent.waits_for(1)
    assert agent.waits_for(2)  # the command of tick 1 is still on its way
    _run(agent, range(1, 8))
    assert agent.waits_for(8)  # version 6 of both functions is due
    agent.models.put(_model(agent, 6))
    assert agent.waits_for(8)
    agent.critics.put(Artefact('critic', 6, agent.critic_like))
    assert not agent.waits_for(8)
    assert _answer(agent, 8).reason == 'planning'
    assert agent.models.version == agent.critics.version == 6


def test_reactive_is_the_policy_itself_once_there_is_one():
    settings = replace(SETTINGS, schedule=replace(SETTINGS.schedule, policy_updates=1))
    agent = Agent(LAYOUT, settings, 0, False)
    agent.put_cost(PublishedCost(1, 0, COST))
    agent.configurations.put(replace(GO, mode=REACTIVE))
    agent.models.put(_model(agent, 4, 0.0))  # untrained: the state stays as it is, at rest
    assert _answer(agent, 5).reason == 'planning: there is no policy to react with'
    policy = {name: tensor + 0.5 for name, tensor in agent.policy_like.items()}
    agent.policies.put(Artefact('policy', 6, policy))
    answer = _answer(agent, 7)
    assert answer.reason == 'reacting' and len(answer.plan.actions) == 1
    assert agent.policies.version == 6
    agent.configurations.put(replace(GO, version=2))
    back = _answer(agent, 8)
    assert back.reason == 'planning' and len(back.plan.actions) == 6


def test_a_policy_that_is_taught_is_waited_for_in_lockstep():
    for plans in (0, 1):
        settings = replace(SETTINGS, schedule=replace(SETTINGS.schedule, plans=plans))
        agent = Agent(LAYOUT, settings, 0, True)
        assert ('policy' in agent.waits_for(8)) == (plans > 0)


def test_real_time_is_always_ready():
    assert not any(_agent().waits_for(tick) for tick in (0, 8, 1000))


def test_equal_seeds_give_equal_commands_and_others_do_not():
    def commands(seed: int) -> list[float | None]:
        agent = _agent(seed)
        early = _run(agent, range(4))
        agent.models.put(_model(agent, 4))
        return early + _run(agent, range(4, 8))

    assert commands(3) == commands(3)
    assert commands(3)[:4] != commands(4)[:4] and commands(3)[4:] != commands(4)[4:]


@pytest.mark.parametrize('kind', PLANNERS)
def test_a_plan_that_does_not_exist_is_answered_safely_and_recovered_from(kind):
    agent = _agent()
    agent.configurations.put(replace(GO, version=2, planner=kind))
    agent.models.put(_model(agent, 2, scale=1e25))
    answer = _answer(agent, 0)
    assert answer.command is None and answer.plan is None and not answer.exploring
    assert 'finite' in answer.reason
    agent.models.put(_model(agent, 4))
    assert _answer(agent, 1).reason == 'planning'


@pytest.mark.parametrize('state', [float('nan'), float('inf')])
def test_a_state_that_is_not_finite_is_answered_safely(state):
    agent = _agent()
    agent.models.put(_model(agent, 2))
    estimate = Estimate(torch.full((4,), state), torch.zeros(4))
    assert agent.answer(0, 0, estimate, Budget(2)).command is None
    assert _answer(agent, 1).command is not None


def test_another_task_begins_without_the_last_plan():
    """Compared with an agent that is made to forget its plan, and with one that is not."""
    def after(change: bool, forget: bool) -> float | None:
        agent = _agent()
        agent.models.put(_model(agent, 2))
        _run(agent, range(3))
        if change:
            agent.put_cost(PublishedCost(2, 0, LEFT))
        if forget:
            applied = agent.applied
            agent.restart()
            agent.applied = applied
        return _run(agent, range(3, 4))[0]

    assert after(change=True, forget=False) == after(change=True, forget=True)
    assert after(change=False, forget=False) != after(change=False, forget=True)


@pytest.mark.parametrize('kind', PLANNERS)
def test_every_planner_answers_when_the_configuration_names_it(kind):
    agent = _agent()
    agent.models.put(_model(agent, 2))
    agent.configurations.put(replace(GO, version=2, planner=kind, horizon=9))
    answer = _answer(agent, 0)
    assert answer.reason == 'planning' and answer.plan.actions.shape == (9, 1)
    assert (answer.plan.gains is not None) == (kind in ('hybrid', 'ddp'))
    assert float(answer.plan.actions.abs().max()) <= 10.0


def test_the_view_of_sensitivity_is_the_slope_of_the_energy():
    agent = _agent()
    assert agent.sensitivity() is None
    agent.models.put(_model(agent, 2, scale=0.1))
    plan = _answer(agent, 0).plan
    found = agent.sensitivity()
    assert found.shape == plan.states.shape
    problem = agent._problem

    def total(start):
        states = roll_out(start, plan.actions.unsqueeze(0), problem.dynamics)
        return float(energy(states, plan.actions.unsqueeze(0), problem))

    for i in range(4):
        move = torch.zeros(4)
        move[i] = 1e-2
        slope = (total(plan.states[0] + move) - total(plan.states[0] - move)) / 2e-2
        assert float(found[0, i]) == pytest.approx(slope, rel=0.02, abs=0.02)


def test_hold_and_explore_are_obeyed():
    agent = _agent()
    agent.models.put(_model(agent, 2))
    assert _answer(agent, 0).reason == 'planning'
    agent.configurations.put(replace(GO, version=2, mode=HOLD, from_ns=2 * PERIOD_NS))
    assert _answer(agent, 1).reason == 'planning'
    assert _answer(agent, 2) == Answer(None, None, False, 'hold was asked for')
    agent.configurations.put(replace(GO, version=3, mode=EXPLORE))
    answer = _answer(agent, 3)
    assert answer.exploring and answer.plan.iterations > 1, 'it knows enough to seek'
    assert agent._problem.cost.names[-1] == 'boredom'
    agent.configurations.put(replace(GO, version=4))
    assert _answer(agent, 4).reason == 'planning'
    assert 'boredom' not in agent._problem.cost.names


def test_a_configuration_sets_horizon_and_iterations():
    agent = _agent()
    agent.models.put(_model(agent, 2))
    assert _answer(agent, 0).plan.iterations == 2
    agent.configurations.put(replace(GO, horizon=11, iterations=1))
    plan = _answer(agent, 1).plan
    assert plan.actions.shape == (11, 1) and plan.iterations == 1
    agent.configurations.put(GO)
    assert _answer(agent, 2).plan.actions.shape == (6, 1)


def test_a_cost_of_another_robot_is_refused_when_it_arrives():
    """It was accepted, and ended the process at the next tick."""
    agent = _agent()
    foreign = CostSpec('reach', 0.9, (replace(COST.terms[1], coordinate='elbow'),))
    with pytest.raises(SettingsError, match='elbow.*not one of cart.x'):
        agent.put_cost(PublishedCost(2, 0, foreign))
    assert _answer(agent, 0).command is not None


SLEW = ConstraintSpec('slew', 'rate', ('cart.force',), limit=1.0 / LAYOUT.period_s)


@pytest.mark.parametrize('kind', ['hybrid', 'ddp'])
def test_constraints_come_with_the_cost_and_count_from_the_command_that_was_sent(kind):
    answers = []
    for constraints in ((), (SLEW,)):
        agent = _agent()
        agent.put_cost(PublishedCost(2, 0, replace(COST, constraints=constraints)))
        agent.configurations.put(replace(GO, planner=kind, iterations=30))
        agent.models.put(_model(agent, 2))
        agent.applied.put(0, torch.tensor([7.0]))
        answers.append(_answer(agent, 1))
    free, held = answers
    # Whatever is wanted, the force may change by 1 N per tick.
    assert abs(float(free.command) - 7.0) > 2.0 and abs(float(held.command) - 7.0) <= 1.01
    assert held.plan.feasible and held.reason == 'planning'


def test_constraints_that_cannot_be_kept_are_named_and_foreign_ones_refused():
    agent = _agent()
    wide, far = (ConstraintSpec(name, 'limit', ('cart.x',), low=low) for name, low in (
        ('wide', -9.0), ('far', 5.0)))
    agent.put_cost(PublishedCost(2, 0, replace(COST, constraints=(wide, far))))
    agent.models.put(_model(agent, 2))
    answer = _answer(agent, 0)
    assert answer.command is not None and not answer.plan.feasible
    assert answer.reason == 'planning, but not within far.low'
    with pytest.raises(SettingsError, match='elbow.*not one of'):
        agent.put_cost(PublishedCost(3, 0, replace(COST, constraints=(
            replace(far, coordinates=('elbow',)),))))


def test_restart_forgets_the_motion_and_keeps_what_was_learned():
    agent = _agent()
    agent.models.put(_model(agent, 2))
    _run(agent, range(3))
    agent.restart()
    assert agent.applied.pending(3).tolist() == [[0.0]]
    assert agent.models.version == 2 and _answer(agent, 3).reason == 'planning'


def test_warm_up_leaves_no_trace():
    cold, warm = _agent(5), _agent(5)
    warm.warm_up(COST)
    assert _run(cold, range(3)) == _run(warm, range(3))


@pytest.mark.parametrize('kind', PLANNERS)
@pytest.mark.parametrize('stride', [1, 5])
def test_ticks_that_were_skipped_are_survived(kind, stride):
    planner = replace(SETTINGS.planning.planner, stride=stride)
    agent = Agent(LAYOUT, replace(SETTINGS, planning=replace(
        SETTINGS.planning, planner=planner)), 0, lockstep=False)
    agent.put_cost(PublishedCost(1, 0, replace(COST, constraints=(SLEW,))))
    agent.configurations.put(replace(GO, planner=kind))
    agent.models.put(_model(agent, 2))
    for tick in (0, 1, 4, 11, 12, 60):  # longer than the horizon, too
        answer = _answer(agent, tick)
        assert answer.plan is not None and answer.plan.actions.shape == (6, 1)


def test_what_the_actor_asked_for_counts_until_the_guard_says_what_it_sent():
    agent = _agent()
    agent.put_cost(PublishedCost(2, 0, replace(COST, constraints=(SLEW,))))
    agent.configurations.put(replace(GO, planner='hybrid', iterations=30))
    agent.models.put(_model(agent, 2))
    agent.applied.put(0, torch.tensor([7.0]))
    first = _answer(agent, 1).command
    agent.applied = AppliedCommands(LAYOUT.delay_ticks, 1)
    agent.applied.put(0, torch.tensor([7.0]))
    agent.applied.expect(1, first)
    assert float(agent.applied.last(2)) == float(first)
    agent.applied.put(1, torch.tensor([6.5]))
    assert float(agent.applied.last(2)) == 6.5
