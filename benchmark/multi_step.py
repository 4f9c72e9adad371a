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
Training over several steps: what it does to what is foreseen, and to control.

Each seed learns the cart-pole's swing-up from nothing with the ensemble alone
(``world_model.mechanism:=false``), once for each number of steps in the training
loss, all else alike. After ``--seconds`` of motion the world model, as it is,
foresees a motion it has not seen (of another robot of the same kind, balanced
and pushed at random by turns), 1, 5, 10 and 25 steps ahead under the commands
that were really sent. Errors are root mean squares over coordinates, in units of
the sensors' noise.

Finished runs are kept in a JSON file and not run again.

Usage: python benchmark/multi_step.py [--seeds N] [--first-seed K] [--steps 1,2,5] [--out DIR]
"""

import argparse
import json
from pathlib import Path
import statistics
import sys
import time

import numpy as np
import torch

from hlai_control.bench.body import Body
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import agent_settings, Mind, MindSettings
from hlai_control.cost.task import load_task
from hlai_control.layout import Layout
from hlai_control.parent.machine import facts
from hlai_control.parent.statistics import median_or_none
from hlai_control.robots.manifest import load_robot
from hlai_control.types import Batch
from hlai_control.world_model.made import WorldModel
from hlai_control.world_model.steps import turning, wrapped

AHEAD = (1, 5, 10, 25)
UNSEEN_TICKS, PUSHED_TICKS = 300, 15


def run(seed: int, loss_steps: int, seconds: float) -> dict[str, object]:
    """Learn with one loss; return when it was solved, what is foreseen, and what it cost."""
    manifest = load_robot('cartpole')
    task = load_task('swingup', manifest)
    settings = agent_settings(task.rooms({
        'world_model.mechanism': False, 'world_model.loss_steps': loss_steps}))
    body, mind = Body(manifest, task, seed), Mind(manifest, task, seed,
                                                  MindSettings(agent=settings))
    used_s, ticks = 0.0, 0
    for step in steps(body, mind, seconds):
        used_s, ticks = used_s + step.learn_s, ticks + 1
    solved_at_s = body.solved_at_s
    body.close()
    errors = foreseen(mind.model.dynamics, unseen(seed), mind.layout)
    return {'solved_at_s': solved_at_s, 'errors': errors, 'learn_ms': 1e3 * used_s / ticks}


def unseen(seed: int) -> Batch:
    """Move another such robot: chance pushes it for a while, then does nothing, and so on."""
    manifest = load_robot('cartpole')
    body = Body(manifest, load_task('swingup', manifest), seed + 500_000)
    draw, states, sent = np.random.default_rng(seed), [], []
    for tick in range(UNSEEN_TICKS):
        states.append(body.look().mean)
        push = draw.uniform(-10.0, 10.0) if tick // PUSHED_TICKS % 2 else 0.0
        sent.append(body.move(torch.tensor([push])))
    states.append(body.look().mean)
    body.close()
    # A command acts a tick late.
    held = torch.stack([torch.zeros(1), *sent[:-1]])
    return Batch(torch.stack(states[:-1]), held, torch.stack(states[1:]))


def foreseen(dynamics: WorldModel, rows: Batch, layout: Layout) -> list[float]:
    """Return the errors at each of ``AHEAD``, from every fifth place."""
    starts = torch.arange(0, len(rows.state) - max(AHEAD), 5)
    ahead, errors = rows.state[starts].expand(dynamics.members, -1, -1), []
    noise = torch.tensor(layout.noise_std)
    with torch.inference_mode():
        for step in range(max(AHEAD)):
            ahead = dynamics.step(ahead, rows.action[starts + step])
            if step + 1 in AHEAD:
                error = wrapped(rows.next_state[starts + step] - ahead.mean(dim=0),
                                turning(layout))
                # Places that nothing is known about would decide a mean.
                squares = (error / noise).square().mean(dim=-1)
                errors.append(float(squares.median().sqrt()))
    return errors


def page(runs: dict[str, dict], given: argparse.Namespace, about: dict) -> str:
    """Write the report."""
    lines = ['# Training over several steps', '',
             f'`{about["command"]}`, {about["date"]}, {about["machine"]["processor"]}, one '
             f'thread. Cart-pole, the ensemble alone, {given.seeds} seeds from '
             f'{given.first_seed}, {given.seconds:g} s of motion each. What is measured stands at '
             'the head of '
             '`benchmark/multi_step.py`; medians over seeds, errors in units of the noise. '
             'Learning includes the critic; ratios count, other work was going on.', '',
             '| steps in the loss | solved | median [s] | worst [s] | '
             + ' | '.join(f'{ahead} ahead' for ahead in AHEAD) + ' | learning [ms per tick] |',
             '|---' * (5 + len(AHEAD)) + '|']
    for loss_steps in given.steps:
        mine = [runs[f'{seed} {loss_steps}'] for seed in wanted(given)]
        times = [one['solved_at_s'] for one in mine]
        solved = [at for at in times if at is not None]
        shown = [f'{at:.2f}' if at is not None else 'never' for at in (
            median_or_none(times), max(solved) if len(solved) == len(times) else None)]
        errors = [statistics.median(one['errors'][i] for one in mine)
                  for i in range(len(AHEAD))]
        lines.append(f'| {loss_steps} | {len(solved)} of {len(mine)} | ' + ' | '.join(shown)
                     + ' | ' + ' | '.join(f'{error:.2f}' for error in errors)
                     + f' | {statistics.median(one["learn_ms"] for one in mine):.0f} |')
    return '\n'.join([*lines, ''])


def wanted(given: argparse.Namespace) -> range:
    """Return the seeds."""
    return range(given.first_seed, given.first_seed + given.seeds)


def main() -> None:
    """Run what is missing, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[1])
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--seconds', type=float, default=8.0)
    parser.add_argument('--steps', default=[1, 2, 5], help='1,2,5',
                        type=lambda text: [int(word) for word in text.split(',')])
    parser.add_argument('--out', type=Path, default=Path('build'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    kept, began_s = given.out / 'multi_step.json', time.monotonic()
    runs = json.loads(kept.read_text())['runs'] if kept.exists() else {}
    about = {'command': ' '.join(['python', *sys.argv]), **facts()}
    for seed in wanted(given):
        for loss_steps in given.steps:
            key = f'{seed} {loss_steps}'
            if key not in runs:
                runs[key] = run(seed, loss_steps, given.seconds)
                kept.write_text(json.dumps({**about, 'runs': runs}, indent=1) + '\n')
            print(f'{time.monotonic() - began_s:6.0f} s: seed {seed}, {loss_steps} steps: '
                  f'{runs[key]}', flush=True)
    text = page(runs, given, about)
    (given.out / 'multi_step.md').write_text(text)
    print(text)


if __name__ == '__main__':
    sys.exit(main())
