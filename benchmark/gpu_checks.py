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
failed. On a CPU, everything runs in a small size and no time is judged. What
is known so far is in OUT/gpu_checks.json after each line, and in
OUT/gpu_scaling.png. Peers are compared if ``make bench-setup`` installed them.

Usage: python benchmark/gpu_checks.py [--device cuda|cpu] [--plans N] [--out DIR]
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path
import platform
import sys
import time

from gpu_agent import driven
from gpu_peers import installed, peer, ROUNDS
from gpu_problems import (
    CARTPOLE,
    chosen,
    DRIVE,
    Drive,
    ensemble,
    MapCost,
    random,
    settings,
    Size,
    slanted,
    swinging,
)
from gpu_report import keep, Line
import torch
from torch import Tensor

from hlai_control.actor.captured import CapturedPlanner
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.device_adjoint import DeviceAdjointPlanner
from hlai_control.actor.device_ddp import DeviceDdpPlanner
from hlai_control.actor.device_hybrid import DeviceHybridPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.actor.searching import DevicePlanner, to_plan
from hlai_control.protocols import Dynamics, Planner, Problem
from hlai_control.settings import PLANNERS, PlannerSettings
from hlai_control.types import Budget, Plan

NAMES = ('cem', 'icem', 'mppi', 'device ddp', 'device adjoint', 'device hybrid')
# How many times faster than a peer a plan has to be.
FASTER = 30.0


class Fused:
    """The same world model with its step compiled by inductor: fewer, larger kernels."""

    def __init__(self, dynamics: Dynamics) -> None:
        """Compile on first use."""
        self.members, self.latent_size = dynamics.members, dynamics.latent_size
        self.step = torch.compile(dynamics.step, fullgraph=True)


def searcher(name: str, size: Size) -> DevicePlanner:
    """Make one of the planners whose search stays on its device."""
    if name == 'device adjoint':
        return DeviceAdjointPlanner(CARTPOLE, size.horizon)
    if name == 'device ddp':
        return DeviceDdpPlanner(CARTPOLE, size.horizon)
    if name == 'device hybrid':
        return DeviceHybridPlanner(CARTPOLE, settings(size, 256))
    kinds = {'cem': CemPlanner, 'icem': IcemPlanner, 'mppi': MppiPlanner}
    return kinds[name](CARTPOLE, settings(size, 256))


def same_plans(size: Size) -> Iterator[Line]:
    """Compare captured with direct plans to the last bit, also after new weights arrived."""
    for name in NAMES:
        dynamics = ensemble(size)
        problem = swinging(size, dynamics)
        direct, captured = searcher(name, size), CapturedPlanner(searcher(name, size))
        draws, one, two = (random(size), random(size)), None, None
        start, same, news = slanted(size), True, list[float]()
        for tick in range(6):
            if tick == 3:
                dynamics.load(ensemble(size, 1).export())
            one = straight(direct, start, problem, one, draws[0])
            two = captured.plan(start, problem, two, Budget(2), draws[1])
            same = same and torch.equal(one.actions, two.actions) and one.energy == two.energy
            news.append(one.energy)
        yield Line(f'{name}: captured = direct to the last bit, before and after new weights',
                   same and news[2] != news[3])


@torch.inference_mode()
def straight(planner: DevicePlanner, start: Tensor, problem: Problem, warm: Plan | None,
             draw: torch.Generator) -> Plan:
    """Plan without a graph."""
    return to_plan(*planner.search(start, planner.resume(start, warm), problem, Budget(2), draw))


def no_waiting(size: Size) -> Iterator[Line]:
    """Search in the mode of CUDA that raises at each synchronising call."""
    problem, start = swinging(size, ensemble(size)), torch.zeros(4, device=size.device)
    for name in NAMES:
        planner = searcher(name, size)
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
        yield Line(f'{name}: a search never waits for the device{waited}', not waited)


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
    text, facts = f'{name}: p50 {p50:.3f} ms, p99 {p99:.3f} ms', {'p50_ms': p50, 'p99_ms': p99}
    return Line(f'{text}, limit {limit_ms} ms', p99 <= limit_ms, facts) if size.judged else Line(
        f'{text} (small, on {size.device.type}: not judged)', True, facts)


def ensemble_speed(size: Size) -> Iterator[Line]:
    """1024 candidates, 30 steps, 5 members of 2 x 128: one refinement within 1 ms."""
    yield from either(
        f'{size.candidates} candidates x {size.horizon} steps x {size.members} members of '
        f'2x{size.hidden}', lambda: MppiPlanner(CARTPOLE, settings(size, size.candidates)),
        torch.zeros(4, device=size.device), swinging(size, ensemble(size)), 1.0, size)


def either(name: str, make: Callable[[], MppiPlanner], start: Tensor, problem: Problem,
           limit_ms: float, size: Size) -> list[Line]:
    """Time the world model as it is, and on a GPU also fused; one of them has to do."""
    made: list[tuple[str, Dynamics]] = [('as it is', problem.dynamics)]
    if size.device.type == 'cuda':
        made.append(('step fused by inductor', Fused(problem.dynamics)))
    lines = [judged(f'{name}, {how}', timed(CapturedPlanner(make()), start,
                                            replace(problem, dynamics=dynamics), size),
                    limit_ms, size) for how, dynamics in made]
    met = any(line.holds for line in lines)
    return [replace(line, holds=met) for line in lines]


def second_order_speed(size: Size) -> Iterator[Line]:
    """Time one second-order step of the same model and horizon; no limit is stated for it."""
    for name in ('device ddp', 'device adjoint', 'device hybrid'):
        spent = timed(CapturedPlanner(searcher(name, size)), slanted(size),
                      swinging(size, ensemble(size)),
                      replace(size, plans=max(size.plans // 10, 3)))
        yield Line(f'{name}, one step, horizon {size.horizon}: p50 '
                   f'{spent[len(spent) // 2]:.3f} ms', True)


def drive_speed(size: Size) -> Iterator[Line]:
    """MPPI-Generic's problem (Vlahov et al. 2024): a differential drive on a cost map."""
    yield from either(
        f'differential drive on a cost map, {size.drive_steps} steps, {size.candidates} samples',
        lambda: MppiPlanner(DRIVE, PlannerSettings(candidates=size.candidates,
                                                   horizon=size.drive_steps)),
        torch.zeros(6, device=size.device), Problem(Drive(), MapCost().to(size.device), None, 1.0),
        0.5, size)


def scaling(size: Size) -> Iterator[Line]:
    """Time per plan against that of the bare matrix products that it makes."""
    problem, start = swinging(size, ensemble(size)), torch.zeros(4, device=size.device)
    for candidates in size.scaling:
        planner = CapturedPlanner(MppiPlanner(CARTPOLE, settings(size, candidates)))
        spent = timed(planner, start, problem, replace(size, plans=max(size.plans // 10, 3)))
        bare = products(size, candidates)
        middle = spent[len(spent) // 2]
        yield Line(f'{candidates} candidates: {middle:.3f} ms, bare matrix products '
                   f'{bare:.3f} ms, factor {middle / bare:.2f}', True,
                   {'candidates': candidates, 'plan_ms': middle, 'products_ms': bare})


def peers(size: Size) -> Iterator[Line]:
    """Plan by turns with this package and with others: same model, candidates and iterations."""
    here, problem = installed(), replace(swinging(size, ensemble(size)), critic=None)
    for name in ROUNDS:
        if name not in here:
            yield Line(f'{name}: not installed, not compared (make bench-setup)', True)
            continue
        kind = CemPlanner if name.endswith('CEM') else MppiPlanner
        planner = CapturedPlanner(kind(CARTPOLE, settings(size, size.candidates)))
        theirs, draw, warm = peer(name, size, problem), random(size), None
        start, spent = torch.zeros(4, device=size.device), ([], [])  # type: ignore[var-annotated]
        for tick in range(max(size.plans // 20, 3) + 3):
            begun = time.perf_counter()
            warm = planner.plan(start, problem, warm, Budget(ROUNDS[name]), draw)
            between = time.perf_counter()
            holds = isfinite(theirs())
            if tick >= 3:
                spent[0].append(1e3 * (between - begun))
                spent[1].append(1e3 * (time.perf_counter() - between))
        ours, other = (sorted(one)[len(one) // 2] for one in spent)
        text = f'{name}: {other:.3f} ms, here {ours:.3f} ms, {other / ours:.1f} times faster'
        yield Line(text + (f', wanted {FASTER:.0f}' if size.judged else ' (not judged)'),
                   holds and (other >= FASTER * ours or not size.judged),
                   {'theirs_ms': other, 'ours_ms': ours})


def agents(size: Size) -> Iterator[Line]:
    """Run the whole agent: states go in, commands come out, the same ones each time."""
    ticks, limit_ms = min(max(size.plans // 10, 16), 100), 1e3 * CARTPOLE.period_s
    for kind in PLANNERS:
        one, two = (driven(kind, size, ticks) for _ in range(2))
        worst = max(one.spent[3:])  # the first plan on a learned world model is tick 2
        holds = (one.commands == two.commands and len(one.commands) == ticks
                 and all(abs(value) <= 10.0 for value in one.commands))
        yield Line(f'agent with {kind}: {ticks} ticks with new weights and another goal, worst '
                   f'{worst:.2f} ms' + (f', limit {limit_ms} ms' if size.judged
                                        else ' (not judged)'),
                   holds and (worst <= limit_ms or not size.judged), {'worst_ms': worst})


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


CHECKS = (same_plans, no_waiting, ensemble_speed, drive_speed, peers, scaling, agents,
          second_order_speed)


def main() -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--device', choices=('cuda', 'cpu'),
                        default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--plans', type=int, default=1000)
    parser.add_argument('--out', type=Path, default=Path('runs/gpu'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    size = chosen(given.device, given.plans)
    device = platform.processor() or 'CPU' if given.device == 'cpu' else (
        torch.cuda.get_device_name(0))
    lines = list[Line]()
    for check in CHECKS:
        for line in checked(check, size):
            print('PASS' if line.holds else 'FAIL', line.text, flush=True)
            lines.append(line)
            keep(lines, device, given.out)
    return 0 if all(line.holds for line in lines) else 1


def checked(check: Callable[[Size], Iterator[Line]], size: Size) -> Iterator[Line]:
    """Run a check; one that breaks does not keep the others from running."""
    try:
        yield from check(size)
    except Exception as error:  # noqa: BLE001
        yield Line(f'{check.__name__}: {type(error).__name__}: {error}', False)


if __name__ == '__main__':
    sys.exit(main())
