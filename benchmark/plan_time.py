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
Time per plan on one CPU thread, its parts, and what a sampling planner adds to its model calls.

The world model and the critic are those that the loop of one process
(``hlai_control/bench/loop.py``) has learned after some seconds of motion. The hybrid
planner follows its own plan from tick to tick, with noise, one refinement at
each. Its parts are timed in the same run, each on the plan of that tick. CEM's
plan and the bare evaluations of the world model and the cost that it makes, in
the same shapes, are timed in turn, as are plans without constraints and with
them.
All but the first two figures are processor time, which does not count what
other programs take of a busy machine.

Usage: python benchmark/plan_time.py [--ticks N] [--learn-s S]
"""

import argparse
from collections.abc import Callable
from datetime import date
import platform
import statistics
import sys
import time

import numpy as np
import torch

from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.feedback import backward
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.objective import jacobians, MeanDynamics
from hlai_control.actor.planners import make_planner, PlanningSettings
from hlai_control.bench.body import Body
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.cost.function import TaskCost
from hlai_control.cost.task import load_task
from hlai_control.protocols import Problem
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import PlannerSettings
from hlai_control.types import Budget, generator

MANIFEST = load_robot('cartpole')
TASK = load_task('swingup', MANIFEST)
LAYOUT, COST = MANIFEST.layout, TASK.cost
HORIZONS = (16, 25, 30)
# The overhead is measured at 512 candidates, 25 steps, 5 members.
CANDIDATES, STEPS, MEMBERS = 512, 25, 5


class Watch:
    """Times by name: of this thread's processor, and by the clock on the wall."""

    def __init__(self) -> None:
        """Begin with none."""
        self.spent: dict[str, list[float]] = {}
        self.wall: dict[str, list[float]] = {}

    def time(self, name: str, call: Callable):
        """Call, note the time [ms], and return what the call returned."""
        begin, used = time.perf_counter(), time.thread_time()
        found = call()
        self.spent.setdefault(name, []).append(1e3 * (time.thread_time() - used))
        self.wall.setdefault(name, []).append(1e3 * (time.perf_counter() - begin))
        return found

    def median(self, name: str) -> float:
        """Return the median of the processor time [ms]."""
        return statistics.median(self.spent[name])


def learned(seconds: float, rooms: dict[str, object]) -> Mind:
    """Let a mind learn for some seconds of motion."""
    mind = Mind(MANIFEST, TASK, 0, MindSettings(agent_settings(rooms)))
    with Body(MANIFEST, TASK, 0) as body:
        for _ in steps(body, mind, seconds):
            pass
    return mind


def quantile(values: list[float], share: float) -> float:
    """Return the time that this share of the calls did not exceed."""
    return sorted(values)[int(share * (len(values) - 1))]


@torch.no_grad()
def refine_once(planner: DdpPlanner, start, problem: Problem, warm, watch: Watch) -> None:
    """Time the parts of one refinement of the previous plan."""
    draw = generator(0, 'parts')
    objective = planner.objective(problem, start, draw)
    noise = torch.randn(32, planner.horizon, LAYOUT.action_size, generator=draw)
    courses, _ = watch.time('proposals', lambda: planner.proposals(
        start, warm, objective, noise))
    best = courses[0]
    weights = objective.weights(best.states, best.actions)
    slopes, curves = watch.time('expansion', lambda: objective.expansion(
        best.states, best.actions, weights))
    watch.time('of it Jacobians', lambda: jacobians(
        MeanDynamics(problem.dynamics), best.states[:, :-1], best.actions))
    low, high = ((limit - best.actions).double().numpy() for limit in planner.limits(start))
    watch.time('backward pass', lambda: backward(slopes, curves, low, high, 0.0))
    watch.time('refinement', lambda: planner.refine(best, objective, Budget(1)))


def hybrid(mind: Mind, horizon: int, ticks: int) -> None:
    """Print the time per plan at one horizon, and its parts."""
    planner = HybridPlanner(LAYOUT, PlannerSettings(horizon=horizon))
    inner, watch = DdpPlanner(LAYOUT, horizon), Watch()
    problem = Problem(mind.model.dynamics, TaskCost(LAYOUT, COST), mind.studies.critic.value,
                      COST.discount)
    draw, start, warm = generator(0, 'actor'), torch.tensor([0.1, 0.3, 0.0, 0.0]), None
    for tick in range(20 + ticks):
        budget = Budget(1 if warm else 12)
        old, warm = warm, watch.time('plan' if tick >= 20 else 'warm-up', lambda: planner.plan(
            start, problem, warm, budget, draw))  # noqa: B023
        if old is not None and tick >= 20:
            refine_once(inner, start, problem, old, watch)
        start = warm.states[1] + 0.01 * torch.randn(4, generator=draw)
    wall, used = watch.wall['plan'], watch.spent['plan']
    print(f'hybrid-1, horizon {horizon}: wall p50 {quantile(wall, 0.5):.2f} ms, p99 '
          f'{quantile(wall, 0.99):.2f}; processor p50 {quantile(used, 0.5):.2f}, p99 '
          f'{quantile(used, 0.99):.2f}; of it ' + ', '.join(
              f'{name} {watch.median(name):.2f}' for name in watch.spent
              if name not in ('plan', 'warm-up')), flush=True)


def constrained(mind: Mind, horizon: int, ticks: int) -> None:
    """Print what constraints cost: one hybrid plan without and with them, in turn."""
    rail = ConstraintSpec('rail', 'limit', ('cart.x',), low=-0.4, high=0.4)
    slew = ConstraintSpec('slew', 'rate', ('cart.force',), limit=150.0)
    settings = PlanningSettings(PlannerSettings(horizon=horizon))
    rows, watch = {'none': (), 'rail': (rail,), 'rate': (slew,), 'both': (rail, slew)}, Watch()
    planners = {name: make_planner(LAYOUT, settings) for name in rows}
    bounds = {name: TaskConstraints(LAYOUT, row) if row else None for name, row in rows.items()}
    starts = dict.fromkeys(rows, torch.tensor([0.1, 0.3, 0.0, 0.0]))
    plans, draw = dict.fromkeys(rows), {name: generator(0, 'actor') for name in rows}
    for tick in range(20 + ticks):
        for name in rows:
            old = plans[name]
            problem = Problem(
                mind.model.dynamics, TaskCost(LAYOUT, COST), mind.studies.critic.value,
                COST.discount,
                constraints=bounds[name], previous=old.actions[0] if old else torch.zeros(1))
            plans[name] = watch.time(
                name if tick >= 20 else 'warm-up', lambda: planners[name].plan(  # noqa: B023
                    starts[name], problem, old, Budget(1 if old else 12),  # noqa: B023
                    draw[name]))  # noqa: B023
            starts[name] = plans[name].states[1] + 0.01 * torch.randn(4, generator=draw[name])
    free = watch.median('none')
    print(f'hybrid-1, horizon {horizon}, within constraints: none {free:.2f} ms, ' + ', '.join(
        f'{name} {watch.median(name) / free:.2f} times that' for name in list(rows)[1:]),
        flush=True)


def overhead(learn_s: float, plans: int) -> None:
    """Print what CEM takes beside the bare evaluations that it makes."""
    mind = learned(learn_s, {'world_model.members': MEMBERS})
    dynamics, cost, watch = mind.model.dynamics, TaskCost(LAYOUT, COST), Watch()
    planner = CemPlanner(LAYOUT, PlannerSettings(horizon=STEPS, candidates=CANDIDATES))
    problem, start = Problem(dynamics, cost, None, COST.discount), torch.zeros(4)
    actions = 5.0 * torch.randn(CANDIDATES, STEPS, 1, generator=generator(0, 'bare'))
    states = torch.randn(MEMBERS, CANDIDATES, STEPS + 1, 4, generator=generator(1, 'bare'))
    columns = [actions[:, t].contiguous() for t in range(STEPS)]
    wide = torch.cat([actions, actions[:, -1:]], dim=1).expand(MEMBERS, -1, -1, -1).contiguous()

    @torch.inference_mode()
    def bare() -> None:
        state = start.expand(MEMBERS, CANDIDATES, -1).contiguous()
        for column in columns:
            state = dynamics.step(state, column)
        cost.stage(states, wide)
    draw, warm, iterations = generator(0, 'actor'), None, 3
    for _ in range(plans):
        warm = watch.time('plan', lambda: planner.plan(
            start, problem, warm, Budget(iterations), draw))  # noqa: B023
        watch.time('bare', lambda: [bare() for _ in range(iterations)])
    ratio = statistics.median(np.array(watch.spent['plan']) / np.array(watch.spent['bare']))
    print(f'CEM, {CANDIDATES} candidates x {STEPS} steps x {MEMBERS} members x {iterations} '
          f'iterations: {watch.median("plan"):.1f} ms, bare evaluations '
          f'{watch.median("bare"):.1f} ms; median ratio {ratio:.2f} (at most 1.3)')


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--ticks', type=int, default=300)
    parser.add_argument('--learn-s', type=float, default=3.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f'{date.today()}, {platform.machine()}, {platform.processor() or "cpu"}, Python '
          f'{platform.python_version()}, torch {torch.__version__}, 1 thread')
    mind = learned(given.learn_s, {})
    for horizon in HORIZONS:
        hybrid(mind, horizon, given.ticks)
    constrained(mind, HORIZONS[0], given.ticks)
    overhead(given.learn_s, given.ticks // 10)


if __name__ == '__main__':
    sys.exit(main())
