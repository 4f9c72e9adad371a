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

"""``hlai eval paradigms``: every row in little, values only, going on, and what is refused."""

from dataclasses import asdict
from importlib.util import find_spec
import re

import numpy as np
from problems import CartPole
import pytest
import torch

from hlai_control.actor.planners import make_planner, PlanningSettings
from hlai_control.bench.body import Body
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.function import TaskCost
from hlai_control.errors import UsageError
from hlai_control.paradigms import __main__ as worker
from hlai_control.paradigms.black_box import BlackBox, Counted, values_of, ValuesOnly
from hlai_control.paradigms.playing import case, final_cost
from hlai_control.paradigms.report import lines, markdown
from hlai_control.paradigms.rows import CONTROLLER, ROWS, rows_named, SAC, SYSTEMS, systems_named
from hlai_control.paradigms.runs import Cell, joined, keep, load, Run
from hlai_control.parent import paradigms as parent
from hlai_control.protocols import Problem
from hlai_control.robots.classical import rows as controllers
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget, generator

CARTPOLE, = systems_named('cartpole')
# SAC's library is installed only for benchmarks.
HERE = [row for row in ROWS if row.kind != SAC or find_spec('stable_baselines3') is not None]
CHEAP = 'rows:=nothing,random'
TIMES = ('action_ms', 'learning_ms', 'cpu_s', 'wall_s')


def quiet(_motion_s):
    pass


def made(row, budget_s, seed=3, system=CARTPOLE):
    return worker.one(case(system, rows_named(row)[0], seed, budget_s), quiet)


def untimed(run):
    return {key: value for key, value in asdict(run).items() if key not in TIMES}


@pytest.mark.parametrize('row', HERE, ids=lambda row: row.name)
def test_every_row_runs(row):
    first = made(row.name, 1.0)
    assert first.solved_at_s is None and first.motion_s == 1.0 and first.cpu_s > 0.0
    plans = row.kind not in (CONTROLLER, SAC) and row.mode == 'run'
    assert (first.calls > 0.0) == plans
    assert first.final_cost >= 1.5  # upright is not reached within a second


def test_hanging_costs_two_and_the_mean_is_of_the_end():
    for system in SYSTEMS:
        assert made('nothing', 2.0, system=system).final_cost == pytest.approx(2.0, abs=1e-5)
    assert final_cost([9.0] * 40 + [1.0] * 30 + [2.0] * 30, 0.05) == 1.5


@pytest.mark.parametrize('system', SYSTEMS, ids=lambda system: system.robot)
def test_who_knows_the_plant_solves_it_and_stays(system):
    run = made('classical', 10.0, system=system)
    assert run.solved_at_s is not None and run.solved_at_s < 6.0 and run.motion_s == 10.0
    assert run.final_cost < 0.05


def test_a_black_box_lets_no_derivative_through():
    box = BlackBox(lambda state, action: np.floor(state[..., 0]) + action[..., 0])
    state, action = torch.tensor([[1.7, 0.0]], requires_grad=True), torch.tensor([[3.0]])
    assert box.stage(state, action).tolist() == [4.0]
    assert box.terms(state, action).tolist() == [[4.0]]
    assert not box.stage(state, action).requires_grad


def problem(cost):
    given = case(CARTPOLE, rows_named('agent')[0], 0, 1.0)
    layout = given.manifest.layout
    return layout, Problem(CartPole(), cost(TaskCost(layout, given.task.cost)), None, 0.98)


def planned(kind, cost, wrap=lambda planner: planner):
    layout, posed = problem(cost)
    planner = wrap(make_planner(layout, PlanningSettings(PlannerSettings(
        kind=kind, horizon=5, candidates=48))))
    return planner.plan(torch.tensor([0.1, 0.2, 0.0, 0.0]), posed, None, Budget(2),
                        generator(1, 'draw'))


@pytest.mark.parametrize('kind', ['icem', 'cem', 'mppi'])
def test_sampling_planners_need_the_value_only_and_plan_the_same(kind):
    free, blind = (planned(kind, lambda cost: cost, wrap) for wrap in (
        lambda planner: planner, ValuesOnly))
    assert torch.equal(free.actions, blind.actions) and free.energy == blind.energy


def stairs(_cost):
    # How far the cart is from 0.3 m, in steps of 1 cm: no derivative anywhere but zero.
    return BlackBox(lambda state, _action: np.ceil(100.0 * np.abs(state[..., 0] - 0.3)))


@pytest.mark.parametrize('kind', ['icem', 'cem', 'mppi'])
def test_a_cost_without_a_derivative_is_planned_for_by_values_alone(kind):
    assert planned(kind, stairs).gained >= 1.0
    # A planner that asks for the derivative stays where it began.
    assert planned('adjoint', stairs).gained == 0.0
    assert planned('adjoint', lambda cost: cost).gained > 0.0


def test_calls_are_those_of_the_candidates():
    calls = []
    plan = planned('cem', lambda cost: cost, lambda planner: Counted(planner, calls.append))
    # Two refinements of 48 candidates, and the last mean, over 5 steps each.
    assert calls == [5 * (2 * 48 + 1)] and plan.iterations == 2


def test_a_mind_learns_with_values_only():
    given = case(CARTPOLE, rows_named('black_box_policy')[0], 0, 1.0)
    settings = agent_settings({**given.row.rooms, 'planner.candidates': 24, 'planner.horizon': 4})
    asked = []

    def judged(cost):
        box = values_of(cost)
        return BlackBox(lambda state, action: (
            asked.append(len(state)), box.stage(torch.from_numpy(state),
                                                torch.from_numpy(action)).numpy())[1])
    mind = Mind(given.manifest, given.task, 0, MindSettings(
        settings, 'reactive', taught=lambda layout, planning: ValuesOnly(
            make_planner(layout, planning)), judged=judged))
    with Body(given.manifest, given.task, 0) as body:
        reasons = [step.answer.reason for step in steps(body, mind, 0.6)]
    assert reasons[-1] == 'reacting' and len(asked) > 50
    assert len(mind.studies.critic.lessons) > 0


def test_a_row_that_is_solved_ends_when_its_hold_and_the_least_time_are_over(monkeypatch):
    run = made('classical', 20.0)
    assert run.motion_s == 10.0 and run.solved_at_s < 7.0


def run_of(seed, solved_at_s):
    return Run(seed, solved_at_s, 20.0, 0.1 * seed, 1.0, 2.0, 3.0, 4.0, 5.0)


CELLS = {'cartpole': {
    'agent': Cell({'budget_s': 20.0}, {s: run_of(s, 2.0 + s) for s in range(3)}),
    'sac': Cell({'budget_s': 2500.0}, {0: run_of(0, 900.0)})}}


def test_the_table_by_hand(tmp_path):
    found = {line[0]: line[1:] for line in lines(CELLS['cartpole'])}
    assert found['our full agent (defaults)'] == (
        '3 of 3', '44% to 100%', '3.00 s', '4.00 s', '20 s', '0.1', '1.00', '2', '3.0', '5')
    assert found['model-free RL (SAC)'][:4] == ('1 of 1', '21% to 100%', '900.00 s', '900.00 s')
    page = markdown(CELLS, {}, tmp_path / 'x.json')
    assert 'Seeds 0 to 2.' in page and 'only 1 of these 3 seeds' in page
    late = {'agent': Cell({'budget_s': 20.0}, {0: run_of(0, 1.0), 1: run_of(1, None)})}
    assert next(lines(late))[1:5] == ('1 of 2', '9% to 91%', '> 20 s', '> 20 s')


def test_the_file_comes_back_as_it_was_kept(tmp_path):
    path = tmp_path / 'x.json'
    keep(path, CELLS, {'date': 'today'})
    assert load(path) == (CELLS, {'date': 'today'})
    path.write_text('{"cells": 1}')
    with pytest.raises(UsageError, match='holds no results'):
        load(path)


def test_going_on_gives_the_same_table_as_never_stopping(tmp_path):
    whole, parts = tmp_path / 'whole.json', tmp_path / 'parts.json'
    asked = ['robots:=pendulum', CHEAP, 'budget_s:=1.0', 'first_seed:=5']
    assert worker.main([*asked, 'seeds:=3', f'json:={whole}']) == 0
    for seeds in (1, 3):
        assert worker.main([*asked, f'seeds:={seeds}', f'json:={parts}']) == 0
    one, other = (
        {row: {seed: untimed(run) for seed, run in cell.runs.items()}
         for row, cell in load(path)[0]['pendulum'].items()} for path in (whole, parts))
    assert one == other and set(one) == {'nothing', 'random'}
    before = whole.read_text()
    assert worker.main([*asked, 'seeds:=3', f'json:={whole}']) == 0
    assert whole.read_text() == before  # nothing was missing, nothing was run
    assert whole.with_suffix('.md').exists() and whole.with_suffix('.png').exists()


def test_ctrl_c_leaves_what_there_is(tmp_path, monkeypatch):
    path, first = tmp_path / 'x.json', worker.one

    def interrupted(given, tell):
        if given.seed == 1:
            raise KeyboardInterrupt
        return first(given, tell)
    monkeypatch.setattr(worker, 'one', interrupted)
    asked = ['robots:=cartpole', 'rows:=nothing', 'budget_s:=1.0', 'seeds:=2', f'json:={path}']
    assert worker.main(asked) == 130
    assert set(load(path)[0]['cartpole']['nothing'].runs) == {0}
    assert path.with_suffix('.md').exists()


def test_other_settings_and_seeds_are_refused_by_name(tmp_path):
    path = tmp_path / 'x.json'
    asked = {'budget_s': 20.0, 'planner.horizon': 16}
    cells = {'cartpole': {'agent': Cell(asked, {7: run_of(7, 1.0)})}}
    assert joined(path, cells, 'cartpole', 'agent', asked, range(7, 9)).runs.keys() == {7}
    assert not joined(path, cells, 'pendulum', 'agent', asked, range(7, 9)).runs
    begun = {'cartpole': {'agent': Cell(asked, {})}}  # interrupted before its first run
    assert joined(path, begun, 'cartpole', 'agent', {'budget_s': 5.0}, range(1)).settings == {
        'budget_s': 5.0}
    with pytest.raises(UsageError, match=re.escape('planner.horizon = 16, now asked for 30')):
        joined(path, cells, 'cartpole', 'agent', {**asked, 'planner.horizon': 30}, range(7, 9))
    with pytest.raises(UsageError, match=re.escape('seeds [7]; ask for them too (first_seed:=7)')):
        joined(path, cells, 'cartpole', 'agent', asked, range(8, 9))


@pytest.mark.parametrize(('argument', 'complaint'), [
    ('rows:=agent,sca', "no 'sca'; valid: nothing, random"),
    ('robots:=arm7', "no 'arm7'; valid: pendulum, cartpole"),
    ('seeds:=0', 'seeds:=0; valid: a whole number'), ('budget_s:=0.5', 'a number of at least 1'),
    ('planner.horizon:=20', 'each row has its own settings'),
    ('json:=/nowhere/x.json', 'a file in a folder that exists')])
def test_bad_arguments_are_named_with_what_is_valid(argument, complaint):
    with pytest.raises(UsageError, match=re.escape(complaint)):
        parent.read_arguments([argument])


def test_without_its_library_sac_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(parent, 'find_spec', lambda name: None)
    with pytest.raises(UsageError, match='make bench-setup') as refused:
        parent.paradigms(['rows:=agent,sac'])
    assert 'stable_baselines3' in str(refused.value) and 'rows:=agent' in str(refused.value)


def test_every_row_has_a_budget_and_robots_have_their_classical_row():
    for system in SYSTEMS:
        assert all(system.budget(row) >= 20.0 for row in ROWS)
        titles = dict(controllers(system.robot, system.task))
        assert all(row.title in titles for row in ROWS if row.kind == CONTROLLER)
