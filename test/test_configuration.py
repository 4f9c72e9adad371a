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

"""The configuration on its topic: what was said, or a SignalError."""

from dataclasses import asdict, replace
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.configurator.configuration import Configuration, from_json, MODES, RUN
from hlai_control.errors import SignalError
from hlai_control.settings import PLANNERS

GOOD = Configuration(version=3, from_ns=50_000_000, task='swingup', mode=RUN, planner='',
                     horizon=20, iterations=0, reason='begin')

configurations = st.builds(
    Configuration, version=st.integers(), from_ns=st.integers(), task=st.text(),
    mode=st.sampled_from(MODES), planner=st.sampled_from(('', *PLANNERS)),
    horizon=st.integers(0, 500), iterations=st.integers(0, 100),
    reason=st.text())


@settings(deadline=None)
@given(configurations)
def test_round_trip(configuration):
    assert from_json(configuration.to_json()) == configuration


@pytest.mark.parametrize(('field', 'value', 'valid'), [
    ('version', True, 'int'), ('version', 1.0, 'int'), ('version', None, 'int'),
    ('from_ns', '0', 'int'), ('task', 5, 'str'), ('task', ['swingup'], 'str'),
    ('mode', 'walk', 'run, explore, reactive, hold'), ('mode', '', 'run, explore, reactive, hold'),
    ('planner', 'psychic', 'hybrid, ddp'), ('planner', None, 'str'),
    ('horizon', -1, '0 .. 500'), ('horizon', 501, '0 .. 500'), ('horizon', 2.5, 'int'),
    ('iterations', -1, '0 .. 100'), ('iterations', 10 ** 30, '0 .. 100')])
def test_wrong_values_are_refused_by_name(field, value, valid):
    with pytest.raises(SignalError, match=f'{field}.*{valid}'):
        from_json(json.dumps(asdict(GOOD) | {field: value}))


@pytest.mark.parametrize('change', [
    {'extra': 1}, {'version': ...}, {'task': ...}, {'reason': ...}])
def test_missing_and_unknown_fields_are_refused(change):
    values = {k: v for k, v in (asdict(GOOD) | change).items() if v is not ...}
    with pytest.raises(SignalError, match='not a configuration'):
        from_json(json.dumps(values))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8)
changed = st.dictionaries(st.sampled_from(list(asdict(GOOD))), json_values, max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.text() | json_values.map(json.dumps) | changed.map(
    lambda change: json.dumps(asdict(GOOD) | change)))
@example('[' * 100_000)  # once ended the process that read it
@example('{"a":' * 100_000)
@example('1' * 10_000)
@example('NaN')
@example('{"\\ud800": 1}')
def test_anything_else_is_refused_and_nothing_but_refused(text):
    try:
        configuration = from_json(text)
    except SignalError:
        return
    values = json.loads(text)
    assert asdict(configuration) == values
    assert configuration == replace(GOOD, **values)
