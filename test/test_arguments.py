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

"""key:=value arguments: typed, checked, and refused with what is valid."""

import pytest

from hlai_control.errors import SettingsError, UsageError
from hlai_control.parent.arguments import choice, number, split, whole

VALID = ('robot', 'task', 'seed')


def test_own_keys_and_settings_are_told_apart_and_typed():
    own, rooms = split(['robot:=cartpole', 'planner.horizon:=20', 'seed:=-3',
                        'guard.silence_s:=1', 'task:=a:=b'], VALID)
    assert own == {'robot': 'cartpole', 'seed': '-3', 'task': 'a:=b'}
    assert rooms == {'planner.horizon': 20, 'guard.silence_s': 1.0}
    assert isinstance(rooms['guard.silence_s'], float)
    assert split([], VALID) == ({}, {})
    assert split(['ddp.merge:=false'], VALID)[1] == {'ddp.merge': False}


@pytest.mark.parametrize(('argument', 'texts'), [
    ('robot', ['not of the form key:=value', 'robot, task, seed']),
    ('robot=cartpole', ['not of the form key:=value']),
    ('robto:=cartpole', ["unknown argument 'robto'", 'did you mean robot?',
                         '; valid: robot, task, seed']),
    ('xyzzy:=1', ["unknown argument 'xyzzy'; valid: robot, task, seed"]),
    ('planner.horizn:=3', ['did you mean planner.horizon?']),
    (':=1', ["unknown argument ''"]),
    ('planner.horizon:=2.5', ['planner.horizon:=2.5', 'of type int']),
    ('planner.horizon:=', ['of type int']),
    ('planner.spread:=wide', ['of type float']),
    ('ddp.merge:=no', ['ddp.merge:=no', 'true, false'])])
def test_unknown_and_mistyped_are_refused(argument, texts):
    with pytest.raises(UsageError) as refused:
        split([argument], VALID)
    assert all(text in str(refused.value) for text in texts)
    assert 'None' not in str(refused.value)


@pytest.mark.parametrize(('arguments', 'text'), [
    (['planner.horizon:=0'], 'horizon = 0 is outside 1 .. 500'),
    (['planner.spread:=nan'], 'spread = nan is outside'),
    (['planner.candidates:=8'], 'elites'), (['schedule.updates:=-1'], 'updates = -1')])
def test_settings_out_of_range_are_refused_with_the_range(arguments, text):
    with pytest.raises(SettingsError, match=text):
        split(arguments, VALID)
    assert split(['planner.candidates:=8', 'planner.elites:=4'], VALID)[1]  # together they fit


@pytest.mark.parametrize('text', ['-0.1', 'nan', 'inf', '-inf', 'x', '1,5', '1e999'])
def test_numbers(text):
    assert number({'a': '2.5'}, 'a', 1.0, 0.0) == 2.5
    assert number({}, 'a', 1.0, 0.0) == 1.0 and number({'a': ''}, 'a', 1.0, 0.0) == 1.0
    assert number({'a': '0'}, 'a', 1.0, 0.0) == 0.0
    with pytest.raises(UsageError, match=f'a:={text}; valid: a number of at least 0'):
        number({'a': text}, 'a', 1.0, 0.0)


@pytest.mark.parametrize('text', ['0', '11', '2.0', 'x', '1e3', '9' * 5000])
def test_whole_numbers(text):
    assert whole({'a': '10'}, 'a', 5, 1, 10) == 10 and whole({}, 'a', 5, 1, 10) == 5
    with pytest.raises(UsageError, match='valid: a whole number, 1 .. 10'):
        whole({'a': text}, 'a', 5, 1, 10)


def test_a_seed_is_any_number_that_ros_can_carry():
    for seed in (0, -1, 2 ** 63 - 1, -2 ** 63):
        assert whole({'seed': str(seed)}, 'seed', 0) == seed
    for seed in (2 ** 63, -2 ** 63 - 1):
        with pytest.raises(UsageError):
            whole({'seed': str(seed)}, 'seed', 0)


def test_choices():
    assert choice({}, 'mode', 'realtime', ('realtime', 'lockstep')) == 'realtime'
    with pytest.raises(UsageError, match='mode:=fast; valid: realtime, lockstep'):
        choice({'mode': 'fast'}, 'mode', 'realtime', ('realtime', 'lockstep'))
    with pytest.raises(UsageError, match=r'valid: \(empty\), solved'):
        choice({'stop_when': 'now'}, 'stop_when', '', ('', 'solved'))
