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


"""Bad input within constraints, of every planner: what is not a number loses, and is counted."""

from dataclasses import replace
from math import inf, nan

from problems import LINEAR, START
import pytest
from test_constrained import BOUND, FREE, MAKERS, plan
import torch

from hlai_control.errors import PlanError
from hlai_control.settings import ConstraintSettings


class Broken:
    """Kept by all pushes, but for those below a number: they give no number."""

    names, units, of_state = ('broken',), (1.0,), (False,)

    def __init__(self, beyond):
        self.beyond = beyond

    def values(self, state, action, previous):
        return torch.where(action < self.beyond, nan, -1.0)


class Cliff:
    """The known linear model; pushing harder than 2 to the left leads nowhere finite."""

    members, latent_size = 1, 0

    def __init__(self, bad, beyond=-2.0):
        self.bad, self.beyond = bad, beyond

    def step(self, state, action, z=None):
        return torch.where(action < self.beyond, self.bad, LINEAR.step(state, action))


def finite(found):
    assert torch.isfinite(found.actions).all() and torch.isfinite(found.states).all()
    assert torch.isfinite(found.multipliers).all() and abs(found.energy) < inf
    assert found.gains is None or torch.isfinite(found.gains).all()


@pytest.mark.parametrize('name', MAKERS)
def test_a_constraint_that_is_not_a_number_is_never_satisfied(name):
    found = plan(MAKERS[name], replace(FREE, constraints=Broken(-2.0)), iterations=20)
    finite(found)
    assert float(found.actions.min()) >= -2.0 and found.rejected > 0
    assert found.feasible
    with pytest.raises(PlanError, match='none of'):
        plan(MAKERS[name], replace(FREE, constraints=Broken(99.0)))


@pytest.mark.parametrize('bad', [nan, inf])
@pytest.mark.parametrize('name', MAKERS)
def test_a_model_that_is_not_finite_for_some_commands_loses_there(name, bad):
    found = plan(MAKERS[name], replace(BOUND, dynamics=Cliff(bad)), iterations=40,
                 settings=ConstraintSettings())
    finite(found)
    assert float(found.actions.min()) >= -2.0 and found.rejected > 0
    # What is expected of it is what comes of it.
    state = START
    for action, expected in zip(found.actions, found.states[1:], strict=True):
        state = LINEAR.step(state[None], action)[0]
        torch.testing.assert_close(expected, state)


@pytest.mark.parametrize('name', MAKERS)
def test_nothing_finite_at_all_is_a_typed_failure(name):
    with pytest.raises(PlanError, match='none of'):
        plan(MAKERS[name], replace(BOUND, dynamics=Cliff(nan, beyond=99.0)), iterations=20)
    with pytest.raises(PlanError, match='none of'):  # nobody knows what was sent last
        plan(MAKERS[name], replace(BOUND, previous=torch.full((1,), nan).double()), iterations=20)
    with pytest.raises(PlanError, match='none of'):
        plan(MAKERS[name], BOUND, start=nan * START, iterations=20)
