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
Two outcomes of the same state and action: what a mean, a Gaussian z and a mixture make of them.

For each seed a ball is driven over a plane with a ridge (``hlai_control/bench/ridge.py``) and
the two learners of ``world_model.latent`` follow its stream in lockstep, one update per
transition. Then, on what neither has seen: negative log likelihood [nat]; where the predictions
go near the crest, in units of the distance between the two true outcomes; and the true cost of
driving across the plane, planning on the mode or mean (z = 0) or on draws of z (CVaR 0.5).

Usage: python benchmark/two_outcomes.py [--seeds N] [--first-seed K] [--ticks N] [--out FOLDER]
"""

import argparse
from dataclasses import asdict, dataclass
import json
from math import log, pi
from pathlib import Path
import platform
import statistics

import matplotlib
from matplotlib import pyplot
import torch
from torch import Tensor

from hlai_control.actor.planners import make_planner, PlanningSettings
from hlai_control.bench.ridge import BALL, chance_up, outcome, RidgeBall, stream
from hlai_control.cost.function import TaskCost
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.protocols import Problem
from hlai_control.settings import PlannerSettings, RiskSettings, WorldModelSettings
from hlai_control.types import Budget, generator
from hlai_control.world_model.made import make_learner
from hlai_control.world_model.structure import StructuredDynamics

COST = CostSpec('cross', 1.0, (
    TermSpec('x', 'quadratic', 'ball.x', 1.0, goal=0.8),
    TermSpec('y', 'quadratic', 'ball.y', 0.2),
    TermSpec('thrown', 'quadratic', 'ball.y/rate', 3.0),
    TermSpec('fx', 'quadratic', 'ball.fx', 0.002),
    TermSpec('fy', 'quadratic', 'ball.fy', 0.002)))
PLANNING = PlanningSettings(planner=PlannerSettings(
    kind='icem', horizon=20, candidates=64, elites=10, iterations=2))
TICKS, CROSSINGS, NEAR = 40, 2, 0.2


@dataclass(frozen=True)
class Row:
    """
    One way to predict and to plan, on one seed.

    :param nll: of unseen transitions [nat].
    :param near: share of predictions within ``NEAR`` of one of the true outcomes.
    :param up: share of predictions nearer to the upper outcome; it should be ``true_up``.
    :param distance: mean distance from the nearer outcome; both in units of their distance.
    :param cost: true cost of crossing the plane.
    """

    row: str
    seed: int
    nll: float
    near: float
    up: float
    true_up: float
    distance: float
    cost: float


def crest() -> tuple[Tensor, Tensor]:
    """States near the crest, and actions."""
    random = generator(0, 'crest')
    state = 2.0 * torch.rand(200, 4, generator=random) - 1.0
    return (state * torch.tensor([0.2, 0.1, 1.0, 1.0]),
            5.0 * (2.0 * torch.rand(200, 2, generator=random) - 1.0))


def likelihood(dynamics: StructuredDynamics, seed: int, noisy: bool) -> float:
    """Return the negative log likelihood of unseen steps; without noise, of z = 0's errors."""
    rows = stream(600, 10_000 + seed)
    state, action, ahead = (torch.stack([getattr(row, name) for row in rows])
                            for name in ('state', 'action', 'next_state'))
    found = dynamics.outcomes(state.expand(dynamics.members, -1, -1), action)
    mean, std, chance = found.mean, found.std, found.log_chance
    if not noisy:
        mean = dynamics.step(state.expand(dynamics.members, -1, -1), action).mean(
            dim=0, keepdim=True).unsqueeze(-2)
        # The most favourable noise that is the same everywhere.
        std = (ahead.unsqueeze(-2) - mean).square().mean(dim=(0, 1, 2)).sqrt()
        chance = torch.zeros_like(mean[..., 0])
    error = (ahead.unsqueeze(-2) - mean) / std
    each = chance - (0.5 * error.square() + torch.log(std) + 0.5 * log(2.0 * pi)).sum(dim=-1)
    both = each.logsumexp(dim=-1).logsumexp(dim=0) - log(len(each))
    return -float(both.mean())


def coverage(dynamics: StructuredDynamics, noisy: bool) -> tuple[float, float, float]:
    """Return near, up and distance of a :class:`Row`."""
    state, action = crest()
    yes = torch.ones(len(state), dtype=torch.bool)
    up, down = outcome(state, action, yes), outcome(state, action, ~yes)
    wide = state.expand(dynamics.members, 50, -1, -1)
    z = torch.randn(*wide.shape[:-1], dynamics.latent_size, generator=generator(0, 'z'))
    ahead = dynamics.step(wide, action.expand(50, -1, -1), z if noisy else None)
    if not noisy:
        ahead = ahead.mean(dim=(0, 1))
    apart = (up - down).norm(dim=-1)
    above, below = ((ahead - one).norm(dim=-1) / apart for one in (up, down))
    nearer = torch.minimum(above, below)
    return (float((nearer < NEAR).float().mean()), float((above < below).float().mean()),
            float(nearer.mean()))


def crossing(dynamics: StructuredDynamics, seed: int, risk: RiskSettings) -> float:
    """Drive across the plane for two seconds, a few times; return the mean true cost."""
    ball, cost = RidgeBall(20_000 + seed), TaskCost(BALL, COST)
    planner, random = make_planner(BALL, PLANNING), generator(seed, 'plan')
    problem, total = Problem(dynamics, cost, None, 1.0, risk), 0.0
    for _ in range(CROSSINGS):
        state, warm = torch.tensor([[-0.8, 0.0, 0.0, 0.0]]), None
        for _ in range(TICKS):
            warm = planner.plan(state[0], problem, warm, Budget(PLANNING.planner.iterations),
                                random)
            total += float(cost.stage(state[0], warm.command))
            state = ball.step(state, warm.command.unsqueeze(0))
    return total / CROSSINGS


@torch.no_grad()
def judged(name: str, dynamics: StructuredDynamics, seed: int, noisy: bool) -> Row:
    """Judge one way to predict."""
    risk = RiskSettings(tail=0.5, latents=4) if noisy else RiskSettings()
    near, up, distance = coverage(dynamics, noisy)
    return Row(name, seed, likelihood(dynamics, seed, noisy), near, up,
               float(chance_up(crest()[0]).mean()), distance, crossing(dynamics, seed, risk))


def learned(latent: str, seed: int, ticks: int) -> StructuredDynamics:
    """Learn from one stream, in lockstep."""
    settings = WorldModelSettings(latent=latent, members=3, hidden=24, window=1024)
    learner = make_learner(BALL, settings, generator(seed, 'world_model'))
    for tick, row in enumerate(stream(ticks, seed)):
        learner.add(row)
        learner.update()
        if tick % 25 == 0:
            assert learner.dynamics.members == 3  # to ask for it is what fits it
    return learner.dynamics


def table(rows: list[Row]) -> str:
    """Write medians over the seeds, with the range of the costs."""
    lines = ['| row | nll [nat] | near an outcome | up (true) | distance | cost, median | worst |',
             '|---|---|---|---|---|---|---|']
    for name in dict.fromkeys(row.row for row in rows):
        own = [row for row in rows if row.row == name]

        def middle(field: str, of: list[Row] = own) -> float:
            return statistics.median(getattr(row, field) for row in of)
        lines.append(
            f'| {name} | {middle("nll"):.2f} | {100 * middle("near"):.0f} % | '
            f'{middle("up"):.2f} ({middle("true_up"):.2f}) | {middle("distance"):.2f} | '
            f'{middle("cost"):.1f} | {max(row.cost for row in own):.1f} |')
    return '\n'.join(lines)


def picture(dynamics: dict[str, StructuredDynamics], path: Path) -> None:
    """Draw what is predicted at the crest."""
    state, action = torch.tensor([[0.0, 0.0, 0.5, 0.0]]), torch.zeros(1, 2)
    yes = torch.ones(1, dtype=torch.bool)
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), sharey=True)
    for axis, (name, model) in zip(axes, dynamics.items(), strict=True):
        z = torch.randn(3, 1000, model.latent_size, generator=generator(0, 'picture'))
        ahead = model.step(state.expand(3, 1000, -1), action.expand(1000, -1), z)
        axis.hist(ahead[..., 3].flatten().numpy(), bins=80, label='draws of z')
        axis.axvline(float(model.step(state.expand(3, 1, -1), action)[..., 3].mean()),
                     color='black', linestyle=':', label='z = 0, mean of members')
        for up in (yes, ~yes):
            axis.axvline(float(outcome(state, action, up)[0, 3]), color='red')
        axis.set_title(name)
        axis.set_xlabel('next ball.y/rate [m/s]; red: what can happen')
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Run what the file does not have yet, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=700)
    parser.add_argument('--ticks', type=int, default=1000)
    parser.add_argument('--out', type=Path, default=Path('docs/results'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    matplotlib.use('Agg')
    kept = given.out / 'two_outcomes.json'
    rows = [Row(**one) for one in json.loads(kept.read_text())['runs']] if kept.exists() else []
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for seed in seeds:
        if any(row.seed == seed for row in rows):
            continue
        models = {kind: learned(kind, seed, given.ticks) for kind in ('gaussian', 'mixture')}
        rows += [judged('mean', models['gaussian'], seed, False),
                 judged('gaussian z', models['gaussian'], seed, True),
                 judged('mixture z', models['mixture'], seed, True)]
        if seed == seeds[0]:
            picture(models, given.out / 'two_outcomes.png')
        kept.write_text(json.dumps({'ticks': given.ticks, 'machine': platform.processor()
                                    or platform.machine(),
                                    'runs': [asdict(row) for row in rows]}, indent=1) + '\n')
        print(f'seed {seed}\n{table([row for row in rows if row.seed == seed])}', flush=True)
    print(table(rows))
    done = len({row.seed for row in rows})
    (given.out / 'two_outcomes.md').write_text(
        '# The same state and action, two outcomes\n\n'
        f'`python benchmark/two_outcomes.py --seeds {done} --first-seed {given.first_seed}`, '
        f'{given.ticks} transitions each;\nmedians over {done} seeds. Distances in units of the '
        f'distance between the two true outcomes; near: within {NEAR}.\n'
        'The cost is the true one of crossing the plane: row mean plans on z = 0, the others on '
        'draws of z, CVaR 0.5.\n\n'
        f'{table(rows)}\n\n![What is predicted on the crest](two_outcomes.png)\n')


if __name__ == '__main__':
    main()
