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

"""The cost on its topic: the same specification comes out, or a SignalError."""

from dataclasses import asdict, replace
import json
from math import inf, nan

from hypothesis import example, given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.cost.constraint_spec import ConstraintSpec, MOST
from hlai_control.cost.published import from_json, PublishedCost
from hlai_control.cost.spec import CostSpec, KINDS, TermSpec
from hlai_control.cost.task import load_task
from hlai_control.errors import SignalError
from hlai_control.robots.manifest import load_robot

GOOD = PublishedCost(2, 100, replace(
    load_task('swingup', load_robot('cartpole')).cost,
    constraints=(ConstraintSpec('rail', 'limit', ('cart.x',), low=-1.5),)))

numbers = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0.0, allow_nan=False, allow_infinity=False)
places = st.floats(-MOST, MOST)
sizes = st.floats(1.0 / MOST, MOST)
terms = st.builds(TermSpec, name=st.text(), kind=st.sampled_from(KINDS), coordinate=st.text(),
                  weight=positive, goal=numbers, limit=positive,
                  width=positive.filter(lambda x: x > 0.0))
constraints = st.one_of(
    st.builds(ConstraintSpec, name=st.text(), kind=st.just('limit'),
              coordinates=st.tuples(st.text()), low=places),
    st.builds(ConstraintSpec, name=st.text(), kind=st.just('keep_out'),
              coordinates=st.tuples(st.text(), st.text()), centre=st.tuples(places, places),
              radius=sizes),
    st.builds(ConstraintSpec, name=st.text(), kind=st.just('rate'),
              coordinates=st.tuples(st.text()), limit=sizes))


@settings(deadline=None)
@given(st.integers(), st.integers(), st.text(), st.floats(0.0, 1.0),
       st.lists(terms, min_size=1, max_size=4, unique_by=lambda term: term.name),
       st.lists(constraints, max_size=3, unique_by=lambda one: one.name))
def test_round_trip_to_the_last_bit(version, from_ns, task, discount, parts, kept):
    published = PublishedCost(version, from_ns, CostSpec(task, discount, tuple(parts),
                                                         tuple(kept)))
    assert from_json(published.to_json()) == published


def test_round_trip_of_a_task():
    assert from_json(GOOD.to_json()) == GOOD


def _changed(path: tuple[str | int, ...], value: object) -> str:
    values = json.loads(GOOD.to_json())
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(values)


@pytest.mark.parametrize(('path', 'value'), [
    (('version',), 1.5), (('version',), inf), (('version',), '1'), (('version',), True),
    (('from_ns',), None), (('from_ns',), nan),
    (('spec',), []), (('spec',), None), (('spec', 'task'), 3), (('spec', 'terms'), []),
    (('spec', 'terms'), 5), (('spec', 'terms'), [5]), (('spec', 'terms', 0), {}),
    (('spec', 'discount'), 1.5), (('spec', 'discount'), nan), (('spec', 'discount'), 10 ** 400),
    (('spec', 'discount'), 'much'),
    (('spec', 'terms', 0, 'weight'), -1.0), (('spec', 'terms', 0, 'weight'), nan),
    (('spec', 'terms', 0, 'weight'), 10 ** 400), (('spec', 'terms', 0, 'weight'), 'heavy'),
    (('spec', 'terms', 0, 'kind'), 'cubic'), (('spec', 'terms', 0, 'kind'), ['angle']),
    (('spec', 'terms', 0, 'coordinate'), 7), (('spec', 'terms', 0, 'name'), None),
    (('spec', 'terms', 0, 'name'), 'centre'), (('spec', 'terms', 0, 'colour'), 'red'),
    (('spec', 'terms', 0, 'goal'), inf),
    (('spec', 'constraints'), None), (('spec', 'constraints'), [5]),
    (('spec', 'constraints', 0, 'kind'), 'soft'), (('spec', 'constraints', 0, 'name'), None),
    (('spec', 'constraints', 0, 'coordinates'), [7]),
    (('spec', 'constraints', 0, 'coordinates'), None), (('spec', 'constraints', 0, 'low'), nan),
    (('spec', 'constraints', 0, 'low'), '1'), (('spec', 'constraints', 0, 'radius'), 10 ** 400),
    (('spec', 'constraints', 0, 'centre'), [None]), (('spec', 'constraints', 0, 'soft'), True)])
def test_each_wrong_value_is_refused(path, value):
    with pytest.raises(SignalError, match='not a cost specification'):
        from_json(_changed(path, value))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8)
places = st.sampled_from([
    ('version',), ('from_ns',), ('spec',), ('spec', 'task'), ('spec', 'discount'),
    ('spec', 'terms'), ('spec', 'terms', 0), ('spec', 'constraints'),
    *(('spec', 'constraints', 0, field) for field in asdict(GOOD.spec.constraints[0])),
    *(('spec', 'terms', 1, field) for field in asdict(GOOD.spec.terms[1]))])


@settings(max_examples=300, deadline=None)
@given(st.text() | json_values.map(json.dumps) | st.builds(_changed, places, json_values))
@example('[' * 100_000)  # once ended the process that read it
@example('{"spec": {"terms": [{"\\ud800": 1}]}}')
def test_anything_is_a_valid_cost_or_refused(text):
    try:
        published = from_json(text)
    except SignalError:
        return
    # What was accepted says the same again, and can be used.
    assert from_json(published.to_json()) == published
    assert 0.0 <= published.spec.discount <= 1.0
