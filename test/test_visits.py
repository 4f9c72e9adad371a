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


"""Goals that move: drawn from the seed, within reach, clear of obstacles, told to everybody."""

from itertools import islice

from graph_harness import graph, look_until
import numpy as np
import pytest

from hlai_control.bench.body import Body
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.task import load_task
from hlai_control.cost.visits import Visits
from hlai_control.errors import DocumentError, SettingsError
from hlai_control.graph import TERMS
from hlai_control.layout import DISTANCE_SUFFIX
from hlai_control.resources import task_path
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.resolved_rate import ResolvedRate
from hlai_control.robots.simulator import Simulator
from hlai_control.robots.trial import trial

PANDA = load_robot('panda')
PAST = load_task('panda_past', PANDA)
CARTPOLE = load_robot('cartpole')
VISITS = ('visits:\n  every_s: 1.0\n  within: {cart.x: [-0.5, 0.5]}\n'
          'settings:\n  schedule: {critic_updates: 0}\n')


@pytest.fixture(name='load')
def _load(tmp_path):
    def load(more: str):
        path = tmp_path / 'task.yaml'
        path.write_text(task_path('swingup').read_text(encoding='utf-8') + more,
                        encoding='utf-8')
        return load_task(str(path), CARTPOLE)
    return load


def goals(task) -> dict[str, float]:
    """Return a task's goal by name."""
    return {item.coordinate: item.value for item in task.goal}


def test_the_first_goal_is_the_tasks_and_the_same_seed_draws_the_same_others():
    first, again, other = (Visits(PANDA, PAST, seed) for seed in (7, 7, 8))
    assert first.task(0) is PAST
    assert [first.task(k) for k in (3, 1)] == [again.task(k) for k in (3, 1)]
    assert goals(first.task(1)) != goals(other.task(1)) != goals(first.task(2))


def test_a_goal_is_a_pose_and_cost_and_what_counts_as_solved_have_it():
    task = Visits(PANDA, PAST, 1).task(4)
    named = goals(task)
    x, z = (np.array([named[f'hand.{axis}_axis.{part}'] for part in 'xyz']) for axis in 'xz')
    assert [x @ x, z @ z, x @ z] == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)
    assert {term.coordinate: term.goal for term in task.cost.terms
            if term.coordinate in named} == named
    assert all(item.goal == named[item.coordinate] for item in task.solved.within)
    # All else is the task's own.
    assert [term.weight for term in task.cost.terms] == [term.weight for term in PAST.cost.terms]


def test_no_goal_is_where_the_robot_must_not_be():
    visits = Visits(PANDA, PAST, 3)
    ball = PAST.obstacles[0]
    for number in range(1, 40):
        named = goals(visits.task(number))
        away = np.linalg.norm([named[f'hand.{axis}'] - at
                               for axis, at in zip('xyz', ball.centre, strict=True)])
        assert away > ball.radius + 0.05


def test_a_region_that_leaves_no_goal_is_refused(load):
    task = load('constraints:\n  - {name: middle, kind: keep_out, coordinates: [cart.x], '
                'centre: [0.0], radius: 1.0}\n' + VISITS)
    assert task.cost.constraints == (ConstraintSpec(
        'middle', 'keep_out', ('cart.x',), centre=(0.0,), radius=1.0),)
    with pytest.raises(SettingsError, match='clear'):
        Visits(CARTPOLE, task, 0).task(1)


def test_goals_change_at_their_ticks(load):
    visits = Visits(CARTPOLE, load(VISITS), 0)
    begun = {tick: task for tick in range(45) if (task := visits.begun(tick)) is not None}
    assert [*begun] == [0, 20, 40] and visits.period_ns() == 1_000_000_000
    assert goals(begun[20])['cart.x'] != goals(begun[40])['cart.x']
    # What is not drawn is where a simulation begins, and a rate stays zero.
    assert goals(begun[20])['pole.angle'] == CARTPOLE.simulation.initial[1]


@pytest.mark.parametrize(('more', 'valid'), [
    ('visits:\n  every_s: 0\n  within: {cart.x: [-0.5, 0.5]}\n', 'above 0'),
    ('visits:\n  every_s: 1.0\n  within: {cart.y: [-0.5, 0.5]}\n', 'cart.x'),
    ('visits:\n  every_s: 1.0\n  within: {cart.x: [0.5, -0.5]}\n', 'then a greater one'),
    ('visits:\n  every_s: 1.0\n  within: {cart.x: [-3.0, 0.5]}\n', '-2'),
    ('obstacles:\n  - {name: ball, centre: [0, 0, 0], radius: 1, clear: {hand: 0.1}}\n',
     'no frame'),
    ('obstacles:\n  - {name: ball, centre: [0], radius: 1, clear: {hand: 0.1}}\n', 'list of 2')])
def test_each_wrong_value_is_refused(more, valid, load):
    with pytest.raises(DocumentError, match=valid):
        load(more)


def test_obstacles_are_kept_clear_of_by_each_frame_named():
    assert PAST.cost.constraints[0] == ConstraintSpec(
        'ball/hand', 'keep_out', ('hand.x', 'hand.y', 'hand.z'), centre=(0.6, 0.0, 0.35),
        radius=0.08 + 0.06)
    assert [one.name for one in PAST.cost.constraints] == [
        f'ball/{part}' for part in (
            'hand', 'palm_left', 'palm_right', 'flange', 'wrist', 'wrist_base', 'forearm_end',
            'forearm', 'forearm_top', 'elbow')]


def test_a_robot_that_reaches_through_an_obstacle_touches_it():
    simulator = Simulator(PANDA, 0, PAST.obstacles)
    try:
        assert simulator.touched == ()
        # Stretched out low: the hand is where the ball is.
        simulator.reset(0, (0.0, 0.5, 0.0, -1.4, 0.0, 1.9, 0.8))
        simulator.step([0.0] * 7)
        assert simulator.touched == ('ball',)
    finally:
        simulator.close()


def test_resolved_rates_reach_a_pose_and_stay_clear():
    found = trial(PANDA, load_task('panda_reach', PANDA), ResolvedRate, 0, 9.0)
    assert found.solved_at_s is not None and found.solved_at_s < 5.0
    assert trial(PANDA, PAST, ResolvedRate, 0, 9.0).solved_at_s is not None


@pytest.mark.timeout(300)
def test_the_graph_moves_the_goal_at_the_same_ticks_as_the_loop_of_one_process(load, tmp_path):
    task, ticks = load(VISITS), 50
    visits = Visits(CARTPOLE, task, 5)
    mind = Mind(CARTPOLE, task, 5, MindSettings(agent=agent_settings(task.rooms({}))))
    sent = []
    with Body(CARTPOLE, task, 5) as body:
        for step in islice(steps(body, mind, 60.0), ticks):
            sent.append(tuple(step.sent.double().tolist()))
            if (ahead := visits.begun(step.tick + 1)) is not None:
                mind.aim(step.tick + 1, ahead)
                body.aim(ahead)
    with graph(tmp_path / 'run', 'lockstep', autostart=False, task=str(task.path),
               **dict(task.settings)) as (run, wire):
        run.observer.begin({'seed': 5})
        run.observer.wait_for_phase('running', 90.0)
        look_until(run, lambda: len(wire.applied) >= ticks, 60.0, f'{ticks} ticks')
        terms = run.observer.motion.newest[TERMS]
        run.observer.end_within(30.0)
    assert [values[:1] for _, values in wire.applied[:ticks]] == sent
    assert 'cart.x' + DISTANCE_SUFFIX in terms and 'pole.angle' + DISTANCE_SUFFIX in terms
