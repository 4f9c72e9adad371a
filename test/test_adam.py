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

"""Adam: equal to torch's own to the last bit, and light to start with."""

import subprocess
import sys

import torch

from hlai_control.learning.adam import Adam


def _parameters() -> list[torch.nn.Parameter]:
    draw = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(4, 7, 3, generator=draw)),
            torch.nn.Parameter(torch.randn(5, generator=draw)),
            torch.nn.Parameter(torch.randn(2, generator=draw))]


def _loss(parameters: list[torch.nn.Parameter], number: int) -> torch.Tensor:
    # The last one has no gradient at all; the second one not always.
    loss = (parameters[0] - 0.1 * number).sin().square().sum()
    return loss + parameters[1].square().sum() if number % 3 else loss


def _steps(optimiser, parameters: list[torch.nn.Parameter], first: int, last: int) -> None:
    for number in range(first, last):
        optimiser.zero_grad()
        _loss(parameters, number).backward()
        optimiser.step()


def test_equal_to_the_library_to_the_last_bit():
    ours, theirs = _parameters(), _parameters()
    _steps(Adam(ours, 3e-3), ours, 0, 50)
    _steps(torch.optim.Adam(theirs, lr=3e-3, fused=True), theirs, 0, 50)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], _parameters()[0]) and torch.equal(ours[2], _parameters()[2])


def test_goes_on_from_its_memory():
    whole, parts = _parameters(), _parameters()
    _steps(Adam(whole, 1e-2), whole, 0, 20)
    first, second = Adam(parts, 1e-2), Adam(parts, 1e-2)
    _steps(first, parts, 0, 9)
    second.load(first.state() | {'7.exp_avg': torch.zeros(1)})  # of a parameter that is gone
    _steps(second, parts, 9, 20)
    assert all(torch.equal(one, other) for one, other in zip(whole, parts, strict=True))


def test_a_learner_starts_without_the_compiler():
    """Making the first optimiser of torch.optim imports sympy: half of a learner's start."""
    code = """
import sys
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import WorldModelSettings
from hlai_control.types import generator
from hlai_control.ros.learner import nowhere
from hlai_control.world_model.learner import WorldModelLearner
layout = load_robot('cartpole').layout
learner = WorldModelLearner(layout, WorldModelSettings(), generator(0, 'test'))
learner.add(nowhere(layout))
learner.update()
print(sorted(name for name in ('sympy', 'torch._dynamo') if name in sys.modules))
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
