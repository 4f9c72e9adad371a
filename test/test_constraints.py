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


"""Constraints: values by hand, gradients, angles, NaN; and each wrong one refused."""

from math import nan, pi

import pytest
import torch
from toys import CARTPOLE, MASS

from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import task_constraints, TaskConstraints
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.errors import SettingsError
from hlai_control.protocols import ConstraintFunction, ExpandableConstraints

RAIL = ConstraintSpec('rail', 'limit', ('cart.x',), low=-1.0, high=2.0)
CONE = ConstraintSpec('cone', 'limit', ('pole.angle',), low=pi - 0.5, high=pi + 0.5)
SPEED = ConstraintSpec('speed', 'limit', ('cart.x/rate',), high=4.0)
PUSH = ConstraintSpec('push', 'limit', ('cart.force',), low=-5.0)
SLEW = ConstraintSpec('slew', 'rate', ('cart.force',), limit=40.0)
POST = ConstraintSpec('post', 'keep_out', ('cart.x',), centre=(0.5,), radius=0.25)
HOLE = ConstraintSpec('hole', 'keep_out', ('cart.x', 'pole.angle'), centre=(0.0, 0.0), radius=0.5)
ALL = (RAIL, CONE, SPEED, PUSH, SLEW, POST, HOLE)


def values(specs, state, action=0.0, previous=0.0):
    function = TaskConstraints(CARTPOLE, tuple(specs))
    found = function.values(*(torch.tensor(one, dtype=torch.float64) for one in (
        state, [action], [previous])))
    return dict(zip(function.names, found.tolist(), strict=True))


def test_hand_computed_values():
    found = values(ALL, [2.3, pi + 0.4, 3.0, 0.0], -6.0, -3.0)
    expected = {
        'rail.low': (-2.3 - 1.0) / 1.5, 'rail.high': 0.3 / 1.5,  # half range 1.5 m
        'cone.low': -0.9 / 0.5, 'cone.high': -0.1 / 0.5,
        'speed.high': (3.0 - 4.0) / 4.0, 'push.low': 1.0 / 5.0,
        # From -3 N to -6 N in 0.05 s, where 2 N are allowed.
        'slew.low': (3.0 - 2.0) / 2.0, 'slew.high': (-3.0 - 2.0) / 2.0,
        'post': 1.0 - 1.8 / 0.25, 'hole': 1.0 - (2.3 ** 2 + (pi - 0.4) ** 2) ** 0.5 / 0.5}
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-5)


def test_zero_at_the_edge_and_above_it_outside():
    for x, name in ((-1.0, 'rail.low'), (2.0, 'rail.high'), (0.25, 'post'), (0.75, 'post')):
        assert values(ALL, [x, 0.0, 0.0, 0.0])[name] == pytest.approx(0.0, abs=1e-7)
    assert values([HOLE], [0.3, 0.4, 0.0, 0.0])['hole'] == pytest.approx(0.0, abs=1e-7)
    assert values([HOLE], [0.0, 0.0, 0.0, 0.0])['hole'] == pytest.approx(1.0, abs=2e-3)
    # In the constraint's unit, depth: 5 cm inside of a post of 25 cm.
    function = TaskConstraints(CARTPOLE, (POST,))
    assert values([POST], [0.7, 0.0, 0.0, 0.0])['post'] * function.units[0] == pytest.approx(
        0.05, rel=1e-4)


def test_angles_are_compared_modulo_turns():
    for turns in (-2, 0, 1):
        found = values([CONE, HOLE], [0.1, pi + 0.4 + 2 * pi * turns, 0.0, 0.0])
        assert found['cone.high'] == pytest.approx(-0.2)
        assert found['hole'] < 0.0
        assert values([HOLE], [0.0, 2 * pi * turns + 0.1, 0.0, 0.0])['hole'] > 0.7


def test_which_look_at_the_state_alone_and_what_a_value_of_one_is():
    function = TaskConstraints(CARTPOLE, ALL)
    assert isinstance(function, ConstraintFunction)
    assert function.of_state == (True,) * 5 + (False,) * 3 + (True,) * 2
    assert function.units == pytest.approx((1.5, 1.5, 0.5, 0.5, 4.0, 5.0, 40.0, 40.0, 0.25, 0.5))


def test_gradient_equals_finite_difference():
    function = TaskConstraints(CARTPOLE, ALL)
    point = torch.tensor([0.3, 2.9, 3.0, -4.0, 1.0, 4.0]).double()

    def g(x):
        return function.values(x[:4], x[4:5], x[5:])

    found = torch.autograd.functional.jacobian(g, point)
    steps = 1e-6 * torch.eye(6).double()
    expected = torch.stack([(g(point + h) - g(point - h)) / 2e-6 for h in steps], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_slopes_are_the_jacobian():
    function = TaskConstraints(CARTPOLE, ALL)
    assert isinstance(function, ExpandableConstraints)
    points = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double()
    expected = torch.stack([torch.autograd.functional.jacobian(
        lambda x: function.values(x[:4], x[4:5], x[5:]), point) for point in points])
    torch.testing.assert_close(
        function.slopes(points[:, :4], points[:, 4:5], points[:, 5:]), expected)


def test_at_the_centre_of_a_region_the_slope_is_a_number():
    point = torch.zeros(4, requires_grad=True)
    function = TaskConstraints(CARTPOLE, (HOLE,))
    function.values(point, torch.zeros(1), torch.zeros(1)).sum().backward()
    assert (point.grad == 0.0).all()


def test_nan_is_never_satisfied_and_leading_axes_are_kept():
    found = values(ALL, [nan, 0.0, 0.0, 0.0])
    assert all(not found[name] <= 0.0 for name in ('rail.low', 'rail.high', 'post', 'hole'))
    function = TaskConstraints(CARTPOLE, ALL)
    assert function.values(torch.zeros(2, 3, 4), torch.zeros(2, 3, 1),
                           torch.zeros(2, 3, 1)).shape == (2, 3, 10)


@pytest.mark.parametrize(('change', 'valid'), [
    ({'kind': 'limits'}, 'one of limit, keep_out, rate'),
    ({'coordinates': ()}, '1 to 1 names'),
    ({'coordinates': ('cart.x', 'pole.angle')}, '1 to 1 names'),
    ({'low': None}, 'at least one of the two'), ({'low': nan}, 'finite'),
    ({'low': 1.0, 'high': 1.0}, 'below high'), ({'radius': 0.0}, 'above 0'),
    ({'radius': 1e200}, '1e.09'), ({'high': -1e200}, '1e.09'),
    ({'limit': -1.0}, 'above 0'), ({'limit': nan}, 'above 0'), ({'centre': (0.0,)}, 'keep_out'),
    ({'kind': 'keep_out', 'centre': ()}, 'one number per coordinate')])
def test_each_wrong_specification_is_refused(change, valid):
    good = {'name': 'rail', 'kind': 'limit', 'coordinates': ('cart.x',), 'low': -1.0}
    ConstraintSpec(**good)
    with pytest.raises(SettingsError, match=f"'rail'.*{valid}"):
        ConstraintSpec(**{**good, **change})


@pytest.mark.parametrize(('spec', 'valid'), [
    (ConstraintSpec('a', 'limit', ('elbow',), low=0.0), 'not one of cart.x'),
    (ConstraintSpec('a', 'rate', ('cart.x',)), 'not one of cart.force'),
    (ConstraintSpec('a', 'limit', ('pole.angle',), low=0.0), 'less than 2 pi apart'),
    (ConstraintSpec('a', 'limit', ('pole.angle',), low=0.0, high=7.0), 'less than 2 pi apart')])
def test_what_does_not_fit_the_robot_is_refused(spec, valid):
    with pytest.raises(SettingsError, match=valid):
        TaskConstraints(CARTPOLE, (spec,))


def test_a_cost_has_its_constraints_each_name_once_or_none():
    terms = (TermSpec('x', 'quadratic', 'x', 1.0),)
    assert task_constraints(MASS, CostSpec('t', 1.0, terms)) is None
    slew = ConstraintSpec('slew', 'rate', ('push',))
    made = task_constraints(MASS, CostSpec('t', 1.0, terms, (slew,)))
    assert made is not None and made.names == ('slew.low', 'slew.high')
    with pytest.raises(SettingsError, match='each name once'):
        CostSpec('t', 1.0, terms, (slew, slew))
