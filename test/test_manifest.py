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


"""Robot manifests: the cart-pole's values, and each wrong value refused at its line."""

from math import inf, isnan, nan
from pathlib import Path

import pytest

from hlai_control.errors import DocumentError, UsageError
from hlai_control.resources import robot_path
from hlai_control.robots.manifest import load_robot

TEXT = robot_path('cartpole').read_text(encoding='utf-8')
URDF = robot_path('cartpole').with_suffix('.urdf').read_text(encoding='utf-8')


@pytest.fixture(name='load')
def _load(tmp_path: Path):
    def load(old: str = '', new: str = '', urdf: str = URDF):
        assert old in TEXT, f'the manifest no longer says {old!r}'
        (tmp_path / 'cartpole.urdf').write_text(urdf, encoding='utf-8')
        path = tmp_path / 'robot.yaml'
        path.write_text(TEXT.replace(old, new, 1) if old else TEXT, encoding='utf-8')
        return load_robot(str(path))
    return load


def _line(text: str) -> int:
    return TEXT[:TEXT.index(text)].count('\n') + 1


def test_the_cartpole_is_mc_pilcos():
    robot = load_robot('cartpole')
    assert (robot.name, robot.period_ns, robot.period_s) == ('cartpole', 50_000_000, 0.05)
    assert robot.command_timeout_s is None and robot.safe_command == 'zero'
    assert robot.joints == ('cart_slide', 'pole_hinge')
    cart, pole = robot.coordinates
    assert (cart.low, cart.high, pole.low, pole.high) == (-2.0, 2.0, -inf, inf)
    assert (cart.rate, pole.kind, pole.noise_std) == ('cart.x/rate', 'angle', 0.01)
    assert (robot.actuators[0].interface, robot.actuators[0].rate_limit) == ('effort', inf)
    assert robot.simulation.substeps == 250
    assert robot.simulation.joint_damping == (('cart_slide', 0.1), ('pole_hinge', 0.0))
    layout = robot.layout
    assert layout.states == ('cart.x', 'pole.angle', 'cart.x/rate', 'pole.angle/rate')
    assert (layout.action_low, layout.action_high) == ((-10.0,), (10.0,))
    assert layout.angle == (False, True) and layout.invariant == (True, False)
    assert layout.mirror_positions == (-1.0, -1.0) and layout.mirror_actions == (-1.0,)
    assert layout.noise_std == (0.01,) * 4 and layout.delay_ticks == 1


def test_a_robot_of_ones_own_by_path(load):
    robot = load('command_timeout_s: none', 'command_timeout_s: 0.5')
    assert robot.command_timeout_s == 0.5 and robot.path.name == 'robot.yaml'


def test_what_is_not_measured_is_nan_and_what_mirrors_not_is_plus_one(load):
    robot = load('noise_std: 0.01               # [rad]', 'noise_std: none')
    assert robot.coordinates[1].noise_std is None
    assert [isnan(std) for std in robot.layout.noise_std] == [False, True, False, False]
    assert not load('mirror: [cart.x, pole.angle, cart.force]', 'mirror: none').layout.has_mirror


def test_an_unknown_robot_lists_the_valid_ones():
    with pytest.raises(UsageError, match='did you mean cartpole'):
        load_robot('cartpol')


# What is replaced, by what, the field, and a word of the answer.
WRONG = (
    ('name: cartpole', 'name: 7', 'name', 'a text'),
    ('name: cartpole', 'name: on', 'name', 'in quotes'),
    ('name: cartpole', 'nam: cartpole', 'nam', 'did you mean name'),
    ('rate_hz: 20.0', 'rate_hz: .nan', 'rate_hz', 'from 0.1 to 10000'),
    ('rate_hz: 20.0', 'rate_hz: 0', 'rate_hz', 'from 0.1 to 10000'),
    ('rate_hz: 20.0', 'rate_hz: 20.0\nrate_hz: 10.0', 'rate_hz', 'each key once'),
    ('delay_ticks: 1', 'delay_ticks: 1.5', 'delay_ticks', 'from 0 to 64'),
    ('delay_ticks: 1', 'delay_ticks: -1', 'delay_ticks', 'from 0 to 64'),
    ('command_timeout_s: none', 'command_timeout_s: 0', 'command_timeout_s', 'or none'),
    ('command_timeout_s: none', 'command_timeout_s: ~', 'command_timeout_s', 'or none'),
    ('safe_command: zero', 'safe_command: stop', 'safe_command', 'one of zero, hold'),
    ('safe_command: zero', 'safe_command: hold', 'safe_command', 'goes on moving'),
    ('interface: effort ', 'interface: position ', 'safe_command', 'hold'),
    ('interface: effort ', 'interface: efort ', 'actuators[0].interface', 'did you mean effort'),
    ('kind: linear', 'kind: line', 'coordinates[0].kind', 'did you mean linear'),
    ('kind: linear', 'kind: angle', 'coordinates[0].joint', 'continuous or revolute'),
    ('limits: [-2.0, 2.0]', 'limits: [2.0, -2.0]', 'coordinates[0].limits', 'the lower limit'),
    ('limits: [-2.0, 2.0]', 'limits: [2.0, 2.0]', 'coordinates[0].limits', 'a greater one'),
    ('limits: [-2.0, 2.0]', 'limits: [-2.0]', 'coordinates[0].limits', 'a list of 2'),
    ('limits: [-2.0, 2.0]', 'limits: [-2.0, .inf]', 'coordinates[0].limits[1]', 'finite'),
    ('limits: [-2.0, 2.0]', 'limits: 2.0', 'coordinates[0].limits', 'a list of 2'),
    ('limits: [-10.0, 10.0]', 'limits: none', 'actuators[0].limits', 'a list of 2'),
    ('limits: [-10.0, 10.0]', 'limits: [1.0, 9.0]', 'actuators[0].limits', 'both sides of 0'),
    ('limits: [-10.0, 10.0]', 'limits: [-5.0, 9.0]', 'mirror[2]', 'equal on both sides'),
    ('velocity_limit: 20.0', 'velocity_limit: -1', 'coordinates[0].velocity_limit', 'above 0'),
    ('invariant: true', 'invariant: yes', 'coordinates[0].invariant', 'true or false'),
    ('noise_std: 0.01', 'noise_std: -0.01', 'coordinates[0].noise_std', 'at least|from 0'),
    ('name: pole.angle', 'name: cart.x', 'coordinates[1].name', 'each name once'),
    ('name: cart.force', 'name: cart.x', 'actuators[0].name', 'each name once'),
    ('name: pole.angle', 'name: pole angle', 'coordinates[1].name', 'letters'),
    ('joint: pole_hinge', 'joint: cart_slide', 'coordinates[1].joint', 'each joint'),
    ('joint: pole_hinge', 'joint: pole_hing', 'coordinates[1].joint', 'did you mean pole_hinge'),
    ('- name: cart.force\n    joint: cart_slide', '- name: cart.force\n    joint: rail',
     'actuators[0].joint', 'a joint of a coordinate'),
    ('mirror: [cart.x', 'mirror: [cart.y', 'mirror[0]', 'did you mean cart.x'),
    ('mirror: [cart.x,', 'mirror: [cart.x, cart.x,', 'mirror[1]', 'each mirrored name once'),
    ('command: effort_controller', 'command: effort controller', 'topics.command', 'topic name'),
    ('command: effort_controller', 'commands: effort_controller', 'topics.commands',
     'did you mean command'),
    ('urdf: cartpole.urdf', 'urdf: cartpol.urdf', 'simulation.urdf', 'a URDF file'),
    ('step_s: 0.0002', 'step_s: 0.0003', 'simulation.step_s', 'a whole number of times'),
    ('step_s: 0.0002', 'step_s: 0.1', 'simulation.step_s', 'a whole number of times'),
    ('step_s: 0.0002', 'step_s: 0', 'simulation.step_s', 'above 0'),
    ('{cart_slide: 0.1, pole_hinge: 0.0}', '{cart_slide: 0.1}',
     'simulation.joint_damping.pole_hinge', 'required'),
    ('{cart_slide: 0.1,', '{cart_slide: -0.1,', 'simulation.joint_damping.cart_slide', 'from 0'),
    ('{cart.x: 0.0,', '{cart.x: 2.5,', 'simulation.initial.cart.x', 'from -2 to 2'),
)


@pytest.mark.parametrize(('old', 'new', 'field', 'valid'), WRONG)
def test_each_wrong_value_is_refused_at_its_place(load, old, new, field, valid):
    with pytest.raises(DocumentError, match=valid) as refused:
        load(old, new)
    error = refused.value
    assert error.field == field
    assert error.path.endswith('robot.yaml') and error.found


def test_lines_are_those_of_the_file(load):
    for old, new in (('delay_ticks: 1', 'delay_ticks: x'), ('step_s: 0.0002', 'step_s: x'),
                     ('velocity_limit: 40.0', 'velocity_limit: x')):
        with pytest.raises(DocumentError) as refused:
            load(old, new)
        assert refused.value.line == _line(old)


@pytest.mark.parametrize(('urdf', 'found'), [
    ('<robot', 'unclosed|no element|not well-formed'), ('<sdf/>', 'whose root is <sdf>'),
    (URDF.replace('"pole_hinge" type="continuous"', '"pole_hinge" type="fixed"'), 'pole_hinge'),
    (URDF.replace('"pole_hinge" type="continuous"', '"pole_hinge" type="floating"'),
     'which is floating')])
def test_a_wrong_model_is_refused(load, urdf, found):
    with pytest.raises(DocumentError, match=found):
        load(urdf=urdf)


def test_numbers_that_are_none_never_pass(load):
    for value in (nan, inf, -inf):
        with pytest.raises(DocumentError):
            load('step_s: 0.0002', f'step_s: {value}')
