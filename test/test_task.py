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


"""Tasks: the swing-up's values, and each wrong value refused at its line."""

from dataclasses import replace
from math import pi
from pathlib import Path

import pytest

from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.solved import at_goal
from hlai_control.cost.task import load_task, Target
from hlai_control.errors import DocumentError, UsageError
from hlai_control.resources import task_path
from hlai_control.robots.manifest import load_robot

ROBOT = load_robot('cartpole')
TEXT = task_path('swingup').read_text(encoding='utf-8')


@pytest.fixture(name='load')
def _load(tmp_path: Path):
    def load(old: str, new: str):
        assert old in TEXT, f'the task no longer says {old!r}'
        path = tmp_path / 'task.yaml'
        path.write_text(TEXT.replace(old, new, 1), encoding='utf-8')
        return load_task(str(path), ROBOT)
    return load


def test_the_swing_up():
    task = load_task('swingup', ROBOT)
    assert (task.name, task.robot, task.cost.task) == ('swingup', 'cartpole', 'swingup')
    assert task.goal == (Target('cart.x', 0.0), Target('pole.angle', pi))
    terms = {term.name: term for term in task.cost.terms}
    assert (terms['upright'].kind, terms['upright'].goal) == ('angle', pi)
    assert terms['swing'].goal == 0.0  # a rate without a goal of its own
    assert 1.0 < terms['rail'].limit < 2.0
    assert 0.9 < task.cost.discount < 1.0
    assert (task.solved.hold_s, len(task.solved.within)) == (3.0, 2)


def test_solved_is_upright_and_near_the_centre_whatever_the_turns():
    solved = load_task('swingup', ROBOT).solved
    for angle, x, expected in ((pi, 0.0, True), (-pi + 0.19, 0.49, True), (3 * pi, -0.5, True),
                               (pi + 0.21, 0.0, False), (pi, 0.51, False), (0.0, 0.0, False)):
        assert at_goal(solved, {'pole.angle': angle, 'cart.x': x}) is expected


SETTINGS = 'settings:\n  planner: {horizon: 40, kind: icem}\n  risk: {tail: 0.5}\n'


def test_settings_of_a_task_take_the_place_of_defaults_and_what_is_typed_counts_more(load):
    task = load('# A term', SETTINGS + '# A term')
    assert dict(task.settings) == {
        'planner.horizon': 40, 'planner.kind': 'icem', 'risk.tail': 0.5}
    assert task.rooms({'planner.horizon': 7, 'critic.batch': 9}) == {
        'planner.horizon': 7, 'planner.kind': 'icem', 'risk.tail': 0.5, 'critic.batch': 9}
    assert load_task('swingup', ROBOT).settings == ()


@pytest.mark.parametrize(('old', 'new', 'field', 'valid'), [
    ('horizon: 40', 'horizon: 0', 'settings.planner.horizon', 'from 1 to 500'),
    ('horizon: 40', 'horizont: 40', 'settings.planner.horizont', 'did you mean horizon'),
    ('horizon: 40', 'elites: 200', 'settings.planner', 'exceeds candidates'),
    ('kind: icem', 'kind: icme', 'settings.planner.kind', 'did you mean icem'),
    ('risk: {tail: 0.5}', 'guard: {authority: 1.0}', 'settings.guard', 'planner')])
def test_wrong_settings_of_a_task_are_refused(load, old, new, field, valid):
    with pytest.raises(DocumentError) as caught:
        load('# A term', SETTINGS.replace(old, new) + '# A term')
    assert caught.value.field == field and valid in caught.value.valid


def test_unknown_tasks_and_other_robots_are_refused():
    with pytest.raises(UsageError, match='did you mean swingup'):
        load_task('swing', ROBOT)
    found = "robots: found robots cartpole, cartpole_positions; .*'arm'"
    with pytest.raises(DocumentError, match=found):
        load_task('swingup', replace(ROBOT, name='arm'))


WRONG = (
    ('robots: [cartpole, cartpole_positions]', 'robots: []', 'robots', 'a list of 1'),
    ('goal: {cart.x', 'goal: {cart.y', 'goal.cart.y', 'did you mean cart.x'),
    ('goal: {cart.x: 0.0,', 'goal: {cart.x: 3.0,', 'goal.cart.x', 'from -2 to 2'),
    ('goal: {cart.x: 0.0, ', 'goal: {', 'terms[1].coordinate', 'a position that the goal names'),
    ('discount: ', 'discount: 1', 'discount', 'from 0 to 1'),
    ('discount: ', 'discounts: ', 'discounts', 'did you mean discount'),
    ('name: centre', 'name: upright', 'terms[1].name', 'each term name once'),
    ('kind: quadratic, coordinate: cart.x,', 'kind: square, coordinate: cart.x,',
     'terms[1].kind', 'one of angle, quadratic, saturating, barrier'),
    ('kind: quadratic, coordinate: cart.x,', 'kind: angle, coordinate: cart.x,',
     'terms[1].coordinate', 'for the kind angle, one of pole.angle'),
    ('kind: quadratic, coordinate: cart.x,', 'kind: saturating, coordinate: cart.x,',
     'terms[1].width', 'required'),
    ('coordinate: cart.force', 'coordinate: cart.fore', 'terms[4].coordinate',
     'did you mean cart.force'),
    ('limit: 1.6', 'limit: -1.6', 'terms[5].limit', 'above 0'),
    (', limit: 1.6', '', 'terms[5].limit', 'required'),
    (', limit: 1.6', ', limit: 1.6, width: 1.0', 'terms[5].width',
     'one of name, kind, coordinate, weight, limit'),
    ('within: {pole.angle', 'within: {poleangle', 'solved.within.poleangle',
     'did you mean pole.angle'),
    ('within: {pole.angle: 0.2', 'within: {pole.angle: 0', 'solved.within.pole.angle', 'above 0'),
    ('within: {pole.angle: 0.2, cart.x: 0.5}', 'within: {}', 'solved.within', 'one or more'),
    ('hold_s: 3.0', 'hold_s: -1', 'solved.hold_s', 'from 0 to 3600'),
    ('hold_s: 3.0', 'hold_s: .nan', 'solved.hold_s', 'from 0 to 3600'),
)


@pytest.mark.parametrize(('old', 'new', 'field', 'valid'), WRONG)
def test_each_wrong_value_is_refused_at_its_place(load, old, new, field, valid):
    with pytest.raises(DocumentError, match=valid) as refused:
        load(old, new)
    assert refused.value.field == field
    line = TEXT[:TEXT.index(old)].count('\n') + 1
    assert refused.value.line >= line and refused.value.path.endswith('task.yaml')


CONSTRAINED = TEXT + """constraints:
  - {name: rail, kind: limit, coordinate: cart.x, low: -1.5, high: 1.6}
  - {name: cone, kind: limit, coordinate: pole.angle, low: 2.0, high: 4.0}
  - {name: speed, kind: limit, coordinate: cart.x/rate, high: 3.0}
  - {name: slew, kind: rate, coordinate: cart.force, limit: 80.0}
  - {name: post, kind: keep_out, coordinates: [cart.x, pole.angle], centre: [0.5, 1], radius: 0.2}
"""


def test_constraints_are_read_as_they_stand(tmp_path):
    path = tmp_path / 'task.yaml'
    path.write_text(CONSTRAINED, encoding='utf-8')
    assert load_task(str(path), ROBOT).cost.constraints == (
        ConstraintSpec('rail', 'limit', ('cart.x',), low=-1.5, high=1.6),
        ConstraintSpec('cone', 'limit', ('pole.angle',), low=2.0, high=4.0),
        ConstraintSpec('speed', 'limit', ('cart.x/rate',), high=3.0),
        ConstraintSpec('slew', 'rate', ('cart.force',), limit=80.0),
        ConstraintSpec('post', 'keep_out', ('cart.x', 'pole.angle'), centre=(0.5, 1.0),
                       radius=0.2))
    assert load_task('swingup', ROBOT).cost.constraints == ()


@pytest.mark.parametrize(('old', 'new', 'field', 'valid'), [
    ('kind: limit, coordinate: cart.x,', 'kind: limits, coordinate: cart.x,',
     'constraints[0].kind', 'did you mean limit'),
    ('low: -1.5, high: 1.6', 'low: 1.7, high: 1.6', 'constraints[0].high', 'above 1.7'),
    (', low: -1.5, high: 1.6', '', 'constraints[0]', 'low, high or both'),
    ('low: -1.5', 'least: -1.5', 'constraints[0].least', 'one of name, kind'),
    ('low: -1.5', 'radius: 1.5', 'constraints[0].radius', 'one of name, kind, coordinate, low'),
    ('coordinate: cart.x, low', 'coordinate: cart.y, low', 'constraints[0].coordinate',
     'did you mean cart.x'),
    (', low: 2.0, high: 4.0', ', low: 2.0', 'constraints[1]', 'both for an angle'),
    ('high: 4.0', 'high: 8.4', 'constraints[1].high', 'less than 2 pi above'),
    ('name: speed', 'name: rail', 'constraints[2].name', 'each constraint name once'),
    ('coordinate: cart.force, limit: 80', 'coordinate: cart.x, limit: 80',
     'constraints[3].coordinate', 'one of cart.force'),
    ('limit: 80.0', 'limit: 0', 'constraints[3].limit', 'above 0'),
    ('[cart.x, pole.angle]', '[cart.x, cart.x]', 'constraints[4].coordinates[1]',
     'each coordinate once'),
    ('[cart.x, pole.angle]', '[]', 'constraints[4].coordinates', 'a list of 1 to 3'),
    ('centre: [0.5, 1]', 'centre: [0.5]', 'constraints[4].centre', 'a list of 2'),
    ('radius: 0.2', 'radius: -0.2', 'constraints[4].radius', 'above 0')])
def test_each_wrong_constraint_is_refused_at_its_place(old, new, field, valid, tmp_path):
    assert old in CONSTRAINED
    path = tmp_path / 'task.yaml'
    path.write_text(CONSTRAINED.replace(old, new, 1), encoding='utf-8')
    with pytest.raises(DocumentError, match=valid) as refused:
        load_task(str(path), ROBOT)
    assert refused.value.field == field
    assert refused.value.line == CONSTRAINED[:CONSTRAINED.index(old)].count('\n') + 1


def test_weights_may_not_be_negative(load):
    with pytest.raises(DocumentError, match=r'terms\[0\]\.weight.*from 0 to 1e\+06'):
        load('weight: ', 'weight: -')
