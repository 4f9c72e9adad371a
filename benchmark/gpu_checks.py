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
What only a GPU can show: a plan is one CUDA graph, and how fast it is.

Prints one line per check with PASS or FAIL; the exit status is 1 if any
failed. On a CPU, everything runs in a small size and no time is judged.

Usage: python benchmark/gpu_checks.py [--device cuda|cpu] [--plans N]
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
import sys
import time

import torch
from torch import Tensor

from hlai_control.actor.captured import CapturedPlanner
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.actor.sampling import SamplingPlanner
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.critic.value import ValueNetwork
from hlai_control.layout import Layout
from hlai_control.protocols import Dynamics, Planner, Problem
from hlai_control.settings import CriticSettings, PlannerSettings, WorldModelSettings
from hlai_control.types import Budget, generator
from hlai_control.world_model.ensemble import EnsembleDynamics

CARTPOLE = Layout(
    robot='cartpole', positions=('cart.x', 'pole.angle'), actions=('cart.force',),
    period_s=0.05, delay_ticks=1, angle=(False, True), invariant=(True, False),
    mirror_positions=(-1.0, -1.0), mirror_actions=(-1.0,), action_low=(-10.0,),
    action_high=(10.0,), noise_std=(0.01,) * 4)
DRIVE = Layout(
    robot='drive', positions=('x', 'y', 'yaw'), actions=('forward', 'turn'), period_s=0.02,
    delay_ticks=0, angle=(False, False, True), invariant=(False,) * 3,
    mirror_positions=(1.0,) * 3, mirror_actions=(1.0,) * 2, action_low=(-0.5, -2.0),
    action_high=(1.0, 2.0), noise_std=(0.01,) * 6)
SWING = CostSpec(task='swingup', discount=0.98, terms=(
    TermSpec('upright', 'angle', 'pole.angle', 1.0, goal=3.141592653589793),
    TermSpec('centre', 'quadratic', 'cart.x', 0.5),
    TermSpec('effort', 'quadratic', 'cart.force', 0.0005),
    TermSpec('rail', 'barrier', 'cart.x', 100.0, limit=1.6)))
KINDS: tuple[type[SamplingPlanner], ...] = (CemPlanner, IcemPlanner, MppiPlanner)


@dataclass(frozen=True)
class Size:
    """
    How large the checks are.

    :param judged: whether times are held against their limits.
    """

    device: torch.device
    plans: int
    candidates: int
    horizon: int
    members: int
    hidden: int
    drive_steps: int
    scaling: tuple[int, ...]
    judged: bool


@dataclass(frozen=True)
class Line:
    """One check: what it says, and whether it holds."""

    text: str
    holds: bool


class Drive:
    """A differential drive: forward speed and turning rate take effect at once."""

    members, latent_size = 1, 0

    def step(self, state: Tensor, action: Tensor, z: Tensor | None = None) -> Tensor:
        """Roll on by one period along the mean heading."""
        x, y, yaw = state[..., :3].unbind(dim=-1)
        forward, turn = action.expand(*state.shape[:-1], 2).unbind(dim=-1)
        middle = torch.add(yaw, turn, alpha=0.5 * DRIVE.period_s)
        dx, dy = forward * torch.cos(middle), forward * torch.sin(middle)
        rates = torch.stack([dx, dy, turn], dim=-1)
        moved = torch.add(torch.stack([x, y, yaw], dim=-1), rates, alpha=DRIVE.period_s)
        return torch.cat([moved, rates], dim=-1)


class MapCost(torch.nn.Module):
    """What the cell below the robot costs, and how far the goal is: no derivative needed."""

    names = ('map', 'goal')
    cells: Tensor

    def __init__(self) -> None:
        """Scatter obstacles over 20 x 20 m, 0.1 m a cell."""
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.register_buffer('cells', (torch.rand(200, 200, generator=draw) < 0.05).float())

    def terms(self, state: Tensor, action: Tensor) -> Tensor:
        """Cost of the cell, and distance to (3, 3)."""
        place = ((state[..., :2] + 10.0) * 10.0).clamp(0.0, 199.0).long()
        cell = torch.take(self.cells, place[..., 0] * 200 + place[..., 1])
        return torch.stack([100.0 * cell, (state[..., :2] - 3.0).norm(dim=-1)], dim=-1)

    def stage(self, state: Tensor, action: Tensor) -> Tensor:
        """Sum of both."""
        return self.terms(state, action).sum(dim=-1)


class Fused:
    """The same world model with its step compiled by inductor: fewer, larger kernels."""

    def __init__(self, dynamics: EnsembleDynamics) -> None:
        """Compile on first use."""
        self.members, self.latent_size = dynamics.members, dynamics.latent_size
        self.step = torch.compile(dynamics.step, fullgraph=True)


def ensemble(size: Size, seed: int = 0) -> EnsembleDynamics:
    """Return a world model with random weights, on the device."""
    shape = WorldModelSettings(members=size.members, hidden=size.hidden)
    dynamics = EnsembleDynamics(CARTPOLE, shape, generator(seed, 'world_model'))
    with torch.no_grad():
        dynamics.coefficients.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
    dynamics.fold()
    return dynamics.to(size.device)


def swinging(size: Size, dynamics: EnsembleDynamics) -> Problem:
    """Put cost and critic beside a world model."""
    critic = ValueNetwork(CARTPOLE, CriticSettings(), generator(0, 'critic'))
    return Problem(dynamics, TaskCost(CARTPOLE, SWING).to(size.device), critic.to(size.device),
                   SWING.discount)


def settings(size: Size, candidates: int) -> PlannerSettings:
    """Return the candidates and horizon of one check."""
    return PlannerSettings(candidates=candidates, horizon=size.horizon,
                           elites=min(64, candidates))


def random(size: Size, seed: int = 0) -> torch.Generator:
    """Return a generator on the device."""
    return torch.Generator(size.device).manual_seed(seed)


def slanted(size: Size) -> Tensor:
    """Return a state in which something must be done."""
    return torch.tensor([0.1, 0.5, 0.3, -0.2], device=size.device)


def same_plans(size: Size) -> Iterator[Line]:
    """Compare captured with direct plans to the last bit, also after new weights arrived."""
    for kind in KINDS:
        dynamics = ensemble(size)
        problem = swinging(size, dynamics)
        direct = kind(CARTPOLE, settings(size, 256))
        captured = CapturedPlanner(kind(CARTPOLE, settings(size, 256)))
        draws, one, two = (random(size), random(size)), None, None
        start, same, news = slanted(size), True, list[float]()
        for tick in range(6):
            if tick == 3:
                dynamics.load(ensemble(size, 1).export())
            one = direct.plan(start, problem, one, Budget(2), draws[0])
            two = captured.plan(start, problem, two, Budget(2), draws[1])
            same = same and torch.equal(one.actions, two.actions) and one.energy == two.energy
            news.append(one.energy)
        yield Line(f'{kind.__name__}: captured = direct to the last bit, before and after new '
                   'weights', same and news[2] != news[3])


def no_waiting(size: Size) -> Iterator[Line]:
    """Search in the mode of CUDA that raises at each synchronising call."""
    problem, start = swinging(size, ensemble(size)), torch.zeros(4, device=size.device)
    for kind in KINDS:
        planner = kind(CARTPOLE, settings(size, 256))
        resumed = planner.resume(start, None)
        with torch.inference_mode():
            planner.search(start, resumed, problem, Budget(1), random(size))
            try:
                if size.device.type == 'cuda':
                    torch.cuda.set_sync_debug_mode('error')
                planner.search(start, resumed, problem, Budget(3), random(size))
                waited = ''
            except RuntimeError as error:
                waited = f': {error}'
            finally:
                if size.device.type == 'cuda':
                    torch.cuda.set_sync_debug_mode('default')
        yield Line(f'{kind.__name__}: a search never waits for the device{waited}', not waited)


def timed(planner: Planner, start: Tensor, problem: Problem, size: Size) -> list[float]:
    """Time plans [ms] from call to the numbers on the host, sorted; each starts warm."""
    draw, warm, spent = random(size), None, list[float]()
    for tick in range(size.plans + 10):
        begun = time.perf_counter()
        warm = planner.plan(start, problem, warm, Budget(1), draw)
        if tick >= 10:
            spent.append(1e3 * (time.perf_counter() - begun))
    return sorted(spent)


def judged(name: str, spent: list[float], limit_ms: float, size: Size) -> Line:
    """Hold the 99th percentile against a limit."""
    p50, p99 = spent[len(spent) // 2], spent[int(0.99 * (len(spent) - 1))]
    text = f'{name}: p50 {p50:.3f} ms, p99 {p99:.3f} ms'
    return Line(f'{text}, limit {limit_ms} ms', p99 <= limit_ms) if size.judged else Line(
        f'{text} (small, on {size.device.type}: not judged)', True)


def ensemble_speed(size: Size) -> Iterator[Line]:
    """1024 candidates, 30 steps, 5 members of 2 x 128: one refinement within 1 ms."""
    model, start = ensemble(size), torch.zeros(4, device=size.device)
    problem = swinging(size, model)
    name = (f'{size.candidates} candidates x {size.horizon} steps x {size.members} members of '
            f'2x{size.hidden}')
    made: list[tuple[str, Dynamics]] = [('as it is', model)]
    if size.device.type == 'cuda':
        made.append(('step fused by inductor', Fused(model)))
    lines = []
    for how, dynamics in made:
        planner = CapturedPlanner(MppiPlanner(CARTPOLE, settings(size, size.candidates)))
        spent = timed(planner, start, replace(problem, dynamics=dynamics), size)
        lines.append(judged(f'{name}, {how}', spent, 1.0, size))
    # The limit is met if one of the ways meets it.
    met = any(line.holds for line in lines)
    yield from (Line(line.text, met) for line in lines)


def drive_speed(size: Size) -> Iterator[Line]:
    """MPPI-Generic's problem (Vlahov et al. 2024): a differential drive on a cost map."""
    problem = Problem(Drive(), MapCost().to(size.device), None, 1.0)
    planner = CapturedPlanner(MppiPlanner(DRIVE, PlannerSettings(
        candidates=size.candidates, horizon=size.drive_steps)))
    spent = timed(planner, torch.zeros(6, device=size.device), problem, size)
    yield judged(f'differential drive on a cost map, {size.drive_steps} steps, '
                 f'{size.candidates} samples', spent, 0.5, size)


def scaling(size: Size) -> Iterator[Line]:
    """Time per plan against that of the bare matrix products that it makes."""
    problem, start = swinging(size, ensemble(size)), torch.zeros(4, device=size.device)
    for candidates in size.scaling:
        planner = CapturedPlanner(MppiPlanner(CARTPOLE, settings(size, candidates)))
        spent = timed(planner, start, problem, replace(size, plans=max(size.plans // 10, 3)))
        bare = products(size, candidates)
        middle = spent[len(spent) // 2]
        yield Line(f'{candidates} candidates: {middle:.3f} ms, bare matrix products '
                   f'{bare:.3f} ms, factor {middle / bare:.2f}', True)


def products(size: Size, candidates: int) -> float:
    """Time [ms] the matrix products of one roll-out alone, as one graph on a GPU."""
    def make(*shape: int) -> Tensor:
        return torch.randn(size.members, *shape, device=size.device)
    first, second, third = (make(size.hidden, 2), make(size.hidden, size.hidden),
                            make(2 * 8, size.hidden))
    inputs = make(2, candidates)

    def all_steps() -> None:
        for _ in range(size.horizon):
            torch.bmm(third, torch.bmm(second, torch.bmm(first, inputs)))
    run = graphed(all_steps) if size.device.type == 'cuda' else all_steps
    spent = []
    for _ in range(max(size.plans // 10, 3) + 3):
        begun = time.perf_counter()
        run()
        if size.device.type == 'cuda':
            torch.cuda.synchronize()
        spent.append(1e3 * (time.perf_counter() - begun))
    return sorted(spent[3:])[len(spent[3:]) // 2]


def graphed(function: Callable[[], None]) -> Callable[[], None]:
    """Record a function as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        function()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def chosen(device: str, plans: int) -> Size:
    """Full size on a GPU, small elsewhere."""
    if device == 'cuda':
        return Size(torch.device('cuda', 0), plans, 1024, 30, 5, 128, 100,
                    tuple(2 ** k for k in range(8, 17)), True)
    return Size(torch.device(device), min(plans, 20), 64, 5, 2, 16, 10, (64, 128), False)


def main() -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--device', choices=('cuda', 'cpu'),
                        default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--plans', type=int, default=1000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    size = chosen(given.device, given.plans)
    failed = 0
    for check in (same_plans, no_waiting, ensemble_speed, drive_speed, scaling):
        for line in check(size):
            print('PASS' if line.holds else 'FAIL', line.text, flush=True)
            failed += not line.holds
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
