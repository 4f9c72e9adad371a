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

"""Compiled loops are the same functions as the tensor operations that they stand for."""

from math import inf, nan
import subprocess
import sys

import numpy as np
import pytest
from test_ensemble import random_ensemble
import torch
from toys import CARTPOLE, MASS

from hlai_control.actor.ddp import follow
from hlai_control.actor.objective import jacobians, MeanDynamics, Objective
from hlai_control.actor.rollout import roll_out
from hlai_control.compiled import riccati
from hlai_control.errors import ShapeError
from hlai_control.protocols import Problem, Trajectories
from hlai_control.robots.manifest import load_robot
from hlai_control.world_model.ensemble import EnsembleDynamics

HORIZON, COUNT = 6, 5
LAYOUTS = {'cartpole': CARTPOLE, 'mass': MASS, 'arm7': load_robot('arm7').layout}


class Steps:
    """The same world model, one step per call only."""

    def __init__(self, dynamics) -> None:
        self.members, self.latent_size = dynamics.members, dynamics.latent_size
        self.step = dynamics.step


def problem_of(layout, groups: int, dtype):
    """Return dynamics, tame enough to compare, and arguments of ``follow``, some at limits."""
    dynamics = random_ensemble(layout)
    with torch.no_grad():
        dynamics.coefficients.mul_(0.3)
    dynamics = dynamics.to(dtype)
    size, width = layout.state_size, layout.action_size
    draw = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=dtype)
    given = (normal(size), normal(COUNT, HORIZON, width), normal(groups, HORIZON, size),
             0.2 * normal(groups, HORIZON, width, size),
             torch.tensor([0.0, 1.0, 0.5, 1.0, 1.0], dtype=dtype))
    limit = torch.full((width,), 1.2, dtype=dtype)
    return dynamics, given, (-limit, limit)


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.parametrize('merged', [True, False])
@pytest.mark.parametrize(('dtype', 'gap'), [(torch.float64, 1e-10), (torch.float32, 2e-5)])
def test_follows_as_step_by_step(name, merged, dtype, gap):
    dynamics, given, limits = problem_of(LAYOUTS[name], 1 if merged else 3, dtype)
    whole, steps = ((MeanDynamics(one) if merged else one) for one in (dynamics, Steps(dynamics)))
    with torch.no_grad():
        assert isinstance(whole, Trajectories) and whole.whole(given[0], COUNT)
        found = follow(*given, limits, Objective(Problem(whole, None, None, 1.0)))
        expected = follow(*given, limits, Objective(Problem(steps, None, None, 1.0)))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=gap, atol=gap)
        assert (found[0].abs() == 1.2).any() and (found[0].abs() < 1.2).any()
        torch.testing.assert_close(roll_out(given[0], given[1], whole),
                                   roll_out(given[0], given[1], steps), rtol=gap, atol=gap)


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.parametrize('groups', [1, 3])
def test_derivatives_are_those_of_reverse_passes(name, groups):
    layout = LAYOUTS[name]
    dynamics = random_ensemble(layout).double()
    model = MeanDynamics(dynamics) if groups == 1 else dynamics
    draw = torch.Generator().manual_seed(2)
    # Fast enough for some rates to be beyond what is extrapolated.
    states = 6.0 * torch.randn(groups, HORIZON, layout.state_size, generator=draw).double()
    actions = torch.randn(HORIZON, layout.action_size, generator=draw).double()
    with torch.no_grad():
        found = jacobians(model, states, actions)
    steps = MeanDynamics(Steps(dynamics)) if groups == 1 else Steps(dynamics)
    torch.testing.assert_close(found, jacobians(steps, states, actions), rtol=1e-10, atol=1e-10)


def test_new_weights_are_used_at_once():
    dynamics, (start, base, *_), _ = problem_of(CARTPOLE, 3, torch.float32)
    with torch.no_grad():
        before = roll_out(start, base, dynamics)
        dynamics.load({name: -tensor if name == 'coefficients' else tensor
                       for name, tensor in dynamics.export().items()})
        after = roll_out(start, base, dynamics)
        assert not torch.allclose(before, after)
        torch.testing.assert_close(after, roll_out(start, base, Steps(dynamics)),
                                   rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize('bad', [nan, inf])
def test_what_is_not_finite_stays_so_and_harms_nobody_else(bad):
    dynamics, (start, base, *_), _ = problem_of(CARTPOLE, 3, torch.float32)
    base[2, 3] = bad
    with torch.no_grad():
        states = roll_out(start, base, dynamics)
    assert torch.isfinite(states[:, [0, 1, 3, 4]]).all()
    assert torch.isfinite(states[:, 2, :4]).all()
    assert not torch.isfinite(states[:, 2, 4:, 2:]).any()


def test_nan_of_one_member_does_not_become_a_number():
    dynamics, (start, base, *_), _ = problem_of(CARTPOLE, 3, torch.float32)
    with torch.no_grad():
        dynamics.coefficients[1] = nan
        dynamics.fold()
        each = roll_out(start, base, dynamics)[:, :, 1:, 2:]
        mean = roll_out(start, base, MeanDynamics(dynamics))[:, :, 1:, 2:]
    assert each[1].isnan().all() and mean.isnan().all()
    assert torch.isfinite(each[[0, 2]]).all()


def test_only_few_and_only_without_a_graph():
    dynamics: EnsembleDynamics = random_ensemble()
    like = torch.zeros(4)
    assert not dynamics.whole(like, 1)  # gradients may be wanted
    with torch.no_grad():
        assert dynamics.whole(like, 100)
        assert not dynamics.whole(like, 100_000)
        assert not dynamics.whole(like.double(), 1)
        assert not dynamics.whole(like.to('meta'), 1)


def test_wrong_shapes_are_refused_by_name():
    dynamics, given, limits = problem_of(CARTPOLE, 3, torch.float32)
    loops = dynamics.loops()
    for place, name in enumerate(('start', 'base', 'reference', 'gains', 'closed')):
        wrong = list(given)
        wrong[place] = wrong[place][..., :-1]
        with pytest.raises(ShapeError, match=name):
            loops.follow(*wrong, *limits)
    with pytest.raises(ShapeError, match='2 scenarios G; valid: 1, .* or 3'):
        loops.linearise(torch.zeros(2, 4, 4), torch.zeros(4, 1))


def test_a_gradient_that_is_not_a_number_gives_no_step():
    horizon, size = 3, 2
    forward, hessian = np.ones((horizon, size, 3)), np.tile(np.eye(3), (horizon, 1, 1))
    gradient = np.zeros((horizon, 3))
    gradient[1, 0] = nan
    steps, gains = np.empty((horizon, 1)), np.empty((horizon, 1, size))
    limit = np.ones((horizon, 1))
    assert np.isnan(riccati.recursion(forward, gradient, hessian, -limit, limit, 0.0, steps,
                                      gains))
    assert np.isfinite(steps[1:]).all() and np.isnan(steps[0]).all()


def test_learners_start_without_the_compiler():
    code = ('import sys, hlai_control.world_model.learner, hlai_control.critic.learner; '
            'sys.exit("numba" in sys.modules)')
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
