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

"""
Planners of other packages behind this package's protocol, used as their documentation says.

All of them see the same learned model and minimise the same energy, the mean
over the ensemble's members; commands are in units of half their range, which
all of them take for the scale of their first noise. What is theirs stays
theirs: noise, weighing, warm start (torchrl has none). They are installed
from ``benchmark/requirements.txt``, and imported only here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
import io
import sys
from types import ModuleType
from typing import Any

from jaxtyping import Float
import numpy as np
import torch
from torch import Tensor

from hlai_control.actor.given import shifted
from hlai_control.actor.rollout import energy, roll_out
from hlai_control.bench.competitors import Competitor, plan_of
from hlai_control.layout import Layout
from hlai_control.protocols import Planner, Problem
from hlai_control.types import Budget, Plan

# Candidates of one iteration, where a package leaves the number open; stable-worldmodel's own.
CANDIDATES, ELITES = 300, 30


@dataclass(frozen=True)
class Units:
    """Commands in units of half their range, 0 the middle."""

    middle: Tensor
    half: Tensor

    @staticmethod
    def of(layout: Layout) -> 'Units':
        """Take them from a robot's limits."""
        low, high = torch.tensor(layout.action_low), torch.tensor(layout.action_high)
        return Units(0.5 * (low + high), 0.5 * (high - low))

    def physical(self, actions: Float[Tensor, '*B A']) -> Float[Tensor, '*B A']:
        """Return commands in their own units, within the limits."""
        return self.middle + self.half * actions.clamp(-1.0, 1.0)

    def own(self, warm: Plan | None, horizon: int) -> Float[Tensor, 'T A'] | None:
        """Return the previous plan, moved on by one tick."""
        if warm is None:
            return None
        return (shifted(warm.actions, horizon) - self.middle) / self.half


class Following:
    """
    A world model step by step, for those that roll out by themselves.

    The state is each member's, one after the other, then the energy so far;
    so that every package adds up the same discounted sum.

    :param problem: what is minimised.
    :param size: S.
    :param horizon: T.
    """

    def __init__(self, problem: Problem, size: int, horizon: int) -> None:
        """Keep the problem."""
        self._problem, self._size, self._horizon = problem, size, horizon
        self._members = problem.dynamics.members

    @property
    def width(self) -> int:
        """Length of the state that is carried."""
        return self._members * self._size + 1

    def begin(self, start: Float[Tensor, ' S']) -> Tensor:
        """Return the first state."""
        return torch.cat([start.repeat(self._members), start.new_zeros(1)])

    def step(self, carried: Tensor, action: Tensor, t: int) -> Tensor:
        """Follow a batch of states (B, width) for one tick of commands (B, A)."""
        state = carried[:, :-1].unflatten(1, (self._members, self._size)).transpose(0, 1)
        cost, discount = self._problem.cost, self._problem.discount
        wide = action.expand(self._members, -1, -1)
        paid = discount ** t * cost.stage(state, wide).mean(dim=0)
        ahead = self._problem.dynamics.step(state, action)
        if t == self._horizon - 1:
            paid = paid + discount ** self._horizon * cost.stage(ahead, wide).mean(dim=0)
        return torch.cat([ahead.transpose(0, 1).flatten(1), carried[:, -1:] + paid[:, None]],
                         dim=1)


class PytorchMppi:
    """``pytorch_mppi.MPPI``: one ``command`` per iteration, its nominal moved on by the tick."""

    def __init__(self, layout: Layout, horizon: int) -> None:
        """Keep sizes and units."""
        self._layout, self._horizon, self._units = layout, horizon, Units.of(layout)

    @torch.inference_mode()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """Plan with noise of half the range; lambda is 0.1, for its default of 1 hardly moves."""
        from pytorch_mppi import MPPI
        model = Following(problem, self._layout.state_size, self._horizon)
        size = self._layout.action_size
        before = self._units.own(warm, self._horizon)
        controller = MPPI(
            dynamics=lambda state, action, t: model.step(state, self._units.physical(action), t),
            running_cost=lambda state, action, t: state.new_zeros(len(state)),
            terminal_state_cost=lambda states, actions: states[..., -1, -1],
            nx=model.width, noise_sigma=torch.eye(size), num_samples=CANDIDATES,
            horizon=self._horizon, u_min=-torch.ones(size), u_max=torch.ones(size),
            U_init=torch.zeros(self._horizon, size) if before is None else before,
            lambda_=0.1, step_dependent_dynamics=True)
        with seeded(generator):
            for _ in range(budget.iterations):
                controller.command(model.begin(start), shift_nominal_trajectory=False)
        return plan_of(self._units.physical(controller.get_action_sequence()), start)


class Torchrl:
    """
    ``torchrl.modules.CEMPlanner`` and ``MPPIPlanner``, which tell their first command only.

    The plan is taken to be the best sequence of the last iteration.

    :param weighing: MPPI, not CEM.
    """

    def __init__(self, layout: Layout, horizon: int, weighing: bool) -> None:
        """Keep sizes and units."""
        self._layout, self._horizon, self._units = layout, horizon, Units.of(layout)
        self._weighing = weighing

    @torch.no_grad()
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """Plan from scratch, as it always does."""
        from hlai_control.bench.torchrl_model import ImaginedEnv, planner
        model = Following(problem, self._layout.state_size, self._horizon)
        environment = ImaginedEnv(model, self._units.physical, self._layout.action_size,
                                  self._horizon)
        search = planner(environment, self._weighing, self._horizon, budget.iterations,
                         CANDIDATES, ELITES)
        with seeded(generator):
            first = search(environment.start(model.begin(start)))['action']
        best = environment.best()
        best[0] = first
        return plan_of(self._units.physical(best), start)


class Imagining:
    """What ``stable_worldmodel`` calls a model: it tells the cost of candidates."""

    def __init__(self, problem: Problem, units: Units) -> None:
        """Keep the problem."""
        self._problem, self._units = problem, units

    def get_cost(self, info: dict[str, Tensor], candidates: Tensor) -> Tensor:
        """Return the energies (1, N) of candidates (1, N, T, A)."""
        actions = self._units.physical(candidates[0])
        states = roll_out(info['state'][0, 0, 0], actions, self._problem.dynamics)
        return energy(states, actions, self._problem).unsqueeze(0)


class Bounded(Imagining):
    """The same with the limits as constraints, for the solver that keeps to some."""

    def get_constraints(self, info: dict[str, Tensor], candidates: Tensor) -> Tensor:
        """Return what must not exceed 0, (1, N, 2 T A)."""
        return torch.cat([candidates - 1.0, -candidates - 1.0], dim=-1).flatten(2)


@dataclass(frozen=True)
class PlanConfig:
    """The fields of stable-worldmodel's own class of this name that its solvers read."""

    horizon: int
    action_block: int = 1


class StableWorldmodel:
    """
    A solver of ``stable_worldmodel.solver``, the previous plan its ``init_action``.

    :param solver: name of the class.
    :param steps: name of the attribute that counts its iterations.
    :param options: of the class, beside its defaults.
    """

    def __init__(self, layout: Layout, horizon: int, solver: str,
                 options: dict[str, Any]) -> None:
        """Configure the solver for one environment."""
        from gymnasium.spaces import Box
        self._units, self._horizon = Units.of(layout), horizon
        kind = getattr(solvers(), solver)
        self._solver = kind(model=None, **options)
        self._model = Bounded if solver == 'LagrangianSolver' else Imagining
        box = Box(-np.ones((1, layout.action_size), np.float32),
                  np.ones((1, layout.action_size), np.float32))
        self._solver.configure(action_space=box, n_envs=1, config=PlanConfig(horizon))

    @torch.inference_mode(False)
    def plan(self, start: Float[Tensor, ' S'], problem: Problem, warm: Plan | None,
             budget: Budget, generator: torch.Generator) -> Plan:
        """Solve; what it prints is dropped."""
        self._solver.model = self._model(problem, self._units)
        self._solver.n_steps = budget.iterations
        self._solver.torch_gen.manual_seed(seed(generator))
        before = self._units.own(warm, self._horizon)
        with redirect_stdout(io.StringIO()):
            found = self._solver.solve(
                {'state': start.clone().view(1, 1, -1)},
                init_action=None if before is None else before.clone().unsqueeze(0))
        return plan_of(self._units.physical(found['actions'][0]), start)


def solvers() -> ModuleType:
    """
    Import the solvers alone.

    The package's own ``__init__`` imports its data sets and environments
    (lancedb, pyarrow, torchvision), which no solver needs.
    """
    if 'stable_worldmodel' not in sys.modules:
        spec = find_spec('stable_worldmodel')
        package = ModuleType('stable_worldmodel')
        package.__path__ = list((spec and spec.submodule_search_locations) or [])
        sys.modules['stable_worldmodel'] = package
    from stable_worldmodel import solver
    found: ModuleType = solver
    return found


def peers() -> tuple[Competitor, ...]:
    """List the competitors from other packages."""
    def swm(solver: str, **options: Any) -> Callable[[Layout, int], Planner]:
        return lambda layout, horizon: StableWorldmodel(layout, horizon, solver, options)

    def rl(weighing: bool) -> Callable[[Layout, int], Planner]:
        return lambda layout, horizon: Torchrl(layout, horizon, weighing)
    return (
        Competitor('pytorch-mppi', 'peer', PytorchMppi, 1, 10, 64,
                   '300 samples, lambda 0.1 (1, its default, hardly moves); 1 command per tick'),
        Competitor('torchrl CEM', 'peer', rl(False), 3, 10, 64,
                   '300 candidates, 30 kept; 3 per tick'),
        Competitor('torchrl MPPI', 'peer', rl(True), 0, 10, 64,
                   '300 candidates, 30 kept, temperature 1'),
        Competitor('swm CEM', 'peer', swm('CEMSolver'), 3, 30, 64,
                   '300 samples (default); 3 per tick'),
        Competitor('swm iCEM', 'peer', swm('ICEMSolver'), 3, 30, 64,
                   '300 samples (default); 3 per tick'),
        Competitor('swm MPPI', 'peer', swm('MPPISolver'), 3, 30, 64,
                   '300 samples (default); 3 per tick'),
        Competitor('swm gradient', 'peer', swm(
            'GradientSolver', n_steps=30, num_samples=8, optimizer_cls=torch.optim.Adam,
            optimizer_kwargs={'lr': 0.1}), 3, 30, 128, '8 samples, Adam 0.1; 3 per tick'),
        Competitor('swm Lagrangian', 'peer', swm(
            'LagrangianSolver', n_steps=6, num_samples=8, optimizer_kwargs={'lr': 0.1}),
            0, 6, 24, '8 samples, Adam 0.1, 5 outer steps (default)'))


def seed(generator: torch.Generator) -> int:
    """Draw a seed for a library that keeps its own random numbers."""
    return int(torch.randint(2 ** 31, (), generator=generator))


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Seed torch's global numbers, which some packages draw from, and put them back after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed(generator))
        yield
