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

"""Exploration goes on where it left off, within the limits."""

from problems import LINEAR, QUADRATIC, START
import torch
from toys import MASS

from hlai_control.actor.explore import Explorer
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget


def test_exploration_goes_on_where_it_left_off_within_limits():
    explorer = Explorer(MASS, PlannerSettings(horizon=12))
    assert isinstance(explorer, Planner)
    draw, warm, sent = torch.Generator().manual_seed(0), None, []
    for _ in range(200):
        plan = explorer.plan(START, Problem(LINEAR, QUADRATIC, None, 1.0), warm, Budget(1), draw)
        if warm is not None:
            assert torch.equal(plan.actions[:-1], warm.actions[1:])
        warm = plan
        sent.append(float(plan.actions[0]))
    assert min(sent) == -1.0
    assert max(sent) == 2.0
    assert abs(sum(sent) / 200 - 0.5) < 0.4  # around the middle of the limits
