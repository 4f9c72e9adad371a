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

"""A captured search: the same plan as without, and new weights where the old ones were."""

from devices import Tape
from problems import random_ensemble, SWING
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toys import CARTPOLE

from hlai_control.actor.captured import CapturedPlanner
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.device_adjoint import DeviceAdjointPlanner
from hlai_control.actor.device_ddp import DeviceDdpPlanner
from hlai_control.actor.device_hybrid import DeviceHybridPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.critic.value import ValueNetwork
from hlai_control.errors import PlanError, ShapeError
from hlai_control.protocols import Planner, Problem
from hlai_control.settings import CriticSettings, PlannerSettings
from hlai_control.types import Budget, generator

SETTINGS = PlannerSettings(horizon=8, candidates=32, elites=8)
HANGING = torch.tensor([0.2, 0.3, 0.0, 0.0]).double()


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem() -> Problem:
    critic = ValueNetwork(CARTPOLE, CriticSettings(hidden=8), generator(0, 'critic')).double()
    return Problem(random_ensemble(), SWING, critic, 0.98)


@pytest.mark.parametrize('kind', [CemPlanner, IcemPlanner, MppiPlanner])
def test_the_plan_is_the_same_to_the_last_bit(kind):
    direct, captured = kind(CARTPOLE, SETTINGS), CapturedPlanner(kind(CARTPOLE, SETTINGS))
    assert isinstance(captured, Planner)
    case, one, other = problem(), None, None
    draws = random(), random()
    for _ in range(3):
        one = direct.plan(HANGING, case, one, Budget(2), draws[0])
        other = captured.plan(HANGING, case, other, Budget(2), draws[1])
        assert torch.equal(one.actions, other.actions)
        assert torch.equal(one.states, other.states)
        assert one.energy == other.energy
        assert one.iterations == other.iterations


@pytest.mark.parametrize('planner', [
    CemPlanner(CARTPOLE, SETTINGS), IcemPlanner(CARTPOLE, SETTINGS),
    MppiPlanner(CARTPOLE, SETTINGS), DeviceDdpPlanner(CARTPOLE, 6),
    DeviceHybridPlanner(CARTPOLE, PlannerSettings(horizon=6)),
    DeviceAdjointPlanner(CARTPOLE, 6)], ids=lambda one: type(one).__name__)
def test_a_recording_goes_on_with_new_weights_and_states(planner, monkeypatch):
    # Compiled loops are for the CPU alone: what they do could not be recorded.
    monkeypatch.setattr('hlai_control.world_model.ensemble._FEW', 0)
    case, captured = problem(), CapturedPlanner(planner, Tape.record)
    one = other = None
    draws, energies = (random(), random()), set[float]()
    for tick in range(6):
        if tick == 3:
            weights = random_ensemble()
            with torch.no_grad():
                weights.coefficients.mul_(2.0)
            case.dynamics.load(weights.export())
            recorded = captured.recorded
        state = (1.0 - 0.1 * tick) * HANGING
        one = planner.plan(state, case, one, Budget(2), draws[0])
        other = captured.plan(state, case, other, Budget(2), draws[1])
        assert torch.equal(one.actions, other.actions) and one.progress == other.progress
        energies.add(one.energy)
    assert captured.recorded == recorded <= 2, 'cold and warm, and nothing else'
    assert len(energies) == 6


def test_what_cannot_be_planned_is_an_error_all_the_same():
    captured = CapturedPlanner(MppiPlanner(CARTPOLE, SETTINGS))
    with pytest.raises(PlanError, match=r'none of \d+ candidates'):
        captured.plan(HANGING * torch.nan, problem(), None, Budget(2), random())
    with pytest.raises(ShapeError, match='dynamics is on device cpu'):
        captured.plan(HANGING.to('meta'), problem(), None, Budget(2), random())


class Reads(TorchDispatchMode):
    """Where operations read what they did not make themselves: what a graph would hold on to."""

    def __init__(self) -> None:
        super().__init__()
        self.places, self.made, self.kept = set(), set(), []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for one in tree_leaves((args, kwargs)):
            if isinstance(one, torch.Tensor) and one.untyped_storage().data_ptr() not in self.made:
                self.places.add(one.untyped_storage().data_ptr())
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor):
                if one.untyped_storage().data_ptr() not in self.places:
                    self.made.add(one.untyped_storage().data_ptr())
                self.kept.append(one)  # so that no place is used again
        return out


def test_new_weights_come_to_where_the_old_ones_were():
    case = problem()
    start, command = torch.zeros(3, 5, 4).double(), torch.zeros(5, 1).double()

    def places() -> set[int]:
        with Reads() as reads:
            case.dynamics.step(start, command, torch.zeros(3, 5, 4).double())
            case.critic.value(start)
        # The zeros of z are made anew each time.
        return {place for place in reads.places if place}
    before, old = places(), case.dynamics.step(start, command)
    other, value = random_ensemble(), ValueNetwork(CARTPOLE, CriticSettings(hidden=8),
                                                   generator(1, 'critic')).double()
    with torch.no_grad():
        other.coefficients.mul_(2.0)
    case.dynamics.load(other.export())
    case.critic.load(value.export())
    assert places() == before
    assert not torch.equal(case.dynamics.step(start, command), old)
    other.fold()
    assert torch.equal(case.dynamics.step(start, command), other.step(start, command))
