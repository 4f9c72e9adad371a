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

"""Settings as ROS parameters: same ranges, same texts, and refusals that say why."""

from dataclasses import fields
from math import inf, nan
import os
import subprocess
import sys

import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.exceptions import ParameterException
from rclpy.parameter import Parameter
from ros_bench import bench, DOMAIN

from hlai_control.errors import SettingsError
from hlai_control.parent.processes import environment
from hlai_control.ros.parameters import declare, declare_run, read, read_run, Run
from hlai_control.settings import GROUPS, PlannerSettings, ScheduleSettings

KINDS = tuple(GROUPS.values())


@pytest.fixture(scope='module')
def stand():
    with bench() as made:
        yield made


@pytest.fixture
def node(stand):
    made = stand.node('subject')
    declare_run(made)
    declare(made, KINDS)
    yield made
    stand.remove(made)


def test_every_setting_is_a_parameter_with_its_text_range_and_default(node):
    for group, kind in GROUPS.items():
        assert read(node, kind) == kind()
        for item in fields(kind):
            found = node.describe_parameter(f'{group}.{item.name}')
            assert found.description == item.metadata['doc']
            if 'options' in item.metadata:
                switch = isinstance(item.default, bool)
                assert found.type == (ParameterType.PARAMETER_BOOL if switch
                                      else ParameterType.PARAMETER_STRING)
                assert all(str(one) in found.additional_constraints
                           for one in item.metadata['options'])
                continue
            if 'valid' in item.metadata:
                assert found.type == ParameterType.PARAMETER_STRING
                assert found.additional_constraints == item.metadata['valid']
                continue
            integer = isinstance(item.default, int)
            assert found.type == (ParameterType.PARAMETER_INTEGER if integer
                                  else ParameterType.PARAMETER_DOUBLE)
            (limits,) = found.integer_range if integer else found.floating_point_range
            assert (limits.from_value, limits.to_value) == (item.metadata['low'],
                                                            item.metadata['high'])


def test_values_at_the_ends_pass_and_beyond_them_are_refused_with_a_reason(node):
    for group, kind in GROUPS.items():
        for item in fields(kind):
            name = f'{group}.{item.name}'
            if name in ('planner.elites', 'planner.candidates'):
                continue  # they bound each other, see below
            if 'valid' in item.metadata:
                continue  # only who knows the robot can tell
            before = node.get_parameter(name).value
            if 'options' in item.metadata:
                for value in item.metadata['options']:
                    (result,) = node.set_parameters([Parameter(name, value=value)])
                    assert result.successful, result.reason
                    assert getattr(read(node, kind), item.name) == value
                node.set_parameters([Parameter(name, value=before)])
                continue
            low, high = item.metadata['low'], item.metadata['high']
            for value in (low, high):
                value = type(item.default)(value)
                (result,) = node.set_parameters([Parameter(name, value=value)])
                assert result.successful, result.reason
                assert getattr(read(node, kind), item.name) == value
            node.set_parameters([Parameter(name, value=before)])
            step = 1 if isinstance(item.default, int) else 1e-3
            for value in (low - step, high + step):
                (result,) = node.set_parameters([Parameter(name, value=value)])
                assert not result.successful and item.name in result.reason
            assert read(node, kind) == kind()


@pytest.mark.parametrize(('name', 'value'), [
    ('planner.spread', nan), ('planner.spread', inf), ('planner.spread', 'wide'),
    ('planner.spread', 1), ('planner.horizon', 2.5), ('planner.horizon', True),
    ('planner.kind', 'psychic'), ('planner.kind', 1),
    ('planner.elites', 129), ('planner.candidates', 23), ('schedule.updates', -1)])
def test_wrong_values_are_refused_and_change_nothing(node, name, value):
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert not result.successful
    assert name.partition('.')[2] in result.reason or 'Wrong parameter type' in result.reason
    assert read(node, PlannerSettings) == PlannerSettings()
    assert read(node, ScheduleSettings) == ScheduleSettings()


@pytest.mark.parametrize('kind', [SetParameters, SetParametersAtomically])
def test_a_value_of_a_type_that_nobody_knows_is_refused_and_survived(stand, node, kind):
    wrong = ParameterMessage(name='planner.horizon', value=ParameterValue(type=99))
    service = 'set_parameters' + ('_atomically' if kind is SetParametersAtomically else '')
    response = stand.call(kind, f'subject/{service}', parameters=[wrong])
    results = response.results if kind is SetParameters else [response.result]
    assert len(results) == 1 and not results[0].successful and '99' in results[0].reason
    assert read(node, PlannerSettings) == PlannerSettings()


def test_values_that_belong_together_are_judged_together(node):
    changes = [Parameter('planner.candidates', value=16), Parameter('planner.elites', value=8)]
    assert node.set_parameters_atomically(changes).successful
    assert read(node, PlannerSettings) == PlannerSettings(candidates=16, elites=8)


def test_the_run_by_default(node):
    assert read_run(node) == Run('cartpole', 'swingup', 'realtime', 0, '', 1.0, True)
    assert not read_run(node).lockstep


@pytest.mark.parametrize(('name', 'value', 'valid'), [
    ('mode', 'fast', 'realtime, lockstep'), ('mode', '', 'realtime, lockstep'),
    ('real_time_factor', 0.0, 'above 0'), ('real_time_factor', -1.0, 'above 0'),
    ('real_time_factor', nan, 'finite'), ('real_time_factor', inf, 'finite')])
def test_a_wrong_run_is_refused(node, name, value, valid):
    node.set_parameters([Parameter(name, value=value)])
    with pytest.raises(SettingsError, match=f'{name}.*{valid}'):
        read_run(node)


def test_overrides_on_the_command_line_count(stand):
    node = stand.node('overridden', '-p', 'planner.horizon:=20', '-p', 'mode:=lockstep',
                      '-p', f'seed:={-2 ** 63}')
    declare_run(node)
    declare(node, [PlannerSettings])
    assert read(node, PlannerSettings).horizon == 20
    assert read_run(node).lockstep and read_run(node).seed == -2 ** 63


@pytest.mark.parametrize('override', [
    'planner.horizon:=0', 'planner.horizon:=501', 'planner.horizon:=2.5', 'planner.spread:=.nan',
    'planner.spread:=1', 'planner.elites:=1000', 'planner.horizon:=far'])
def test_wrong_overrides_are_refused_at_once(stand, override):
    name = override.partition(':=')[0].partition('.')[2]
    with pytest.raises((ParameterException, SettingsError), match=name):
        declare(stand.node('overridden', '-p', override), [PlannerSettings])


@pytest.mark.parametrize(('arguments', 'text'), [
    (('-p', 'guard.silence_s:=0.0'), 'guard.silence_s out of range'),
    (('-p', 'guard.silence_s:=1'), "type 'DOUBLE'"),
    (('-p', 'armed_at_start:=perhaps'), "type 'BOOL'"),
    (('-p', 'mode:=fast'), 'valid: realtime, lockstep'),
    (('-p', 'robot:=cartpol'), 'did you mean cartpole'),
    (('-p', 'nonsense'), 'does not understand'),
    (('--params-file', '/nowhere.yaml'), '/nowhere.yaml')])
def test_a_node_that_is_started_wrongly_says_one_sentence_and_leaves(arguments, text):
    done = subprocess.run(
        [sys.executable, '-m', 'hlai_control.robots.guard_node', '--ros-args', *arguments],
        capture_output=True, text=True, timeout=30,
        env=environment(DOMAIN, os.environ))
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert text in sentence
