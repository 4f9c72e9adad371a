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
Surprise: are changes of the robot noticed, how soon, and how often is nothing noticed.

Each seed lives 30 s of normal operation from nothing: three swing-ups, 10 s
each, learning all the time. Then its life is branched: the robot changes, or
does not, while it balances; and again 0.6 s after it was put back to hanging,
amid the swing-up. The same past, commands and noise up to the change.

The statistic is the greater of two evidences, log R, each with the same
threshold (``surprise.patience_s``): of energies, and of repeated readings. A
branch's score is its maximum over the 0.5 s after the change, in unchanged
branches over the same 0.5 s. AUROC is the share of pairs of a changed and an
unchanged branch, over all seeds, in which the changed one has the higher
score, ties counting half. Delays count to the first alarm. False alarms are
counted in all 30 s of each seed, the first second of learning included.

Usage: python benchmark/surprise.py [--seeds N] [--first-seed K] [--out DIR]
"""

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import statistics
import sys

from life import branched, Life, Lived
import matplotlib
from matplotlib.figure import Figure
import torch

from hlai_control.cost.task import load_task
from hlai_control.parent.machine import facts
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.simulator import Simulator

PERIOD_S, SWING_TICKS, AMID_TICKS, BRANCH_TICKS, WINDOW_TICKS = 0.05, 200, 12, 15, 10
LIFE_S, POLE_KG = 30.0, 0.5


def _payload(share: float) -> Callable[[Simulator], None]:
    return lambda robot: setattr(robot, 'payload_kg', share * POLE_KG)


def _friction(scale: float) -> Callable[[Simulator], None]:
    return lambda robot: setattr(robot, 'friction_scale', scale)


def _delay(ticks: int) -> Callable[[Simulator], None]:
    return lambda robot: setattr(robot, 'delay_ticks', robot.delay_ticks + ticks)


def _bias(name: str, amount: float) -> Callable[[Simulator], None]:
    return lambda robot: robot.sensors.bias(name, amount)


def _frozen(name: str) -> Callable[[Simulator], None]:
    return lambda robot: robot.sensors.freeze(name)


REMARKS = """Friction is viscous, of the cart (0.1 N s/m); x10 makes it as strong at 1 m/s as a
tenth of the greatest force, about what a jammed bearing does. While the pole is balanced the robot
hardly moves, some hundredths of a metre or a radian per second, and neither payload nor friction
changes its motion by more than a fraction of the noise: in half a second no statistic of these
readings could tell. It is noticed when the robot moves."""
UNCHANGED, MOMENT = 'nothing', 'swinging up'
JUDGED: dict[str, Callable[[Simulator], None]] = {
    'payload +50 % of the pole': _payload(0.5),
    'friction x10': _friction(10.0),
    'delay +1 tick': _delay(1),
    'pole.angle frozen': _frozen('pole.angle'),
    'cart.x frozen': _frozen('cart.x'),
    'pole.angle +0.1 rad': _bias('pole.angle', 0.1),
    'cart.x +0.1 m': _bias('cart.x', 0.1)}
CURVES: dict[str, Callable[[Simulator], None]] = {
    **{f'payload +{100 * share:g} %': _payload(share) for share in (0.1, 0.2, 1.0)},
    **{f'friction x{scale:g}': _friction(scale) for scale in (2.0, 5.0)},
    **{f'pole.angle +{amount:g} rad': _bias('pole.angle', amount) for amount in (0.02, 0.05)},
    **{f'cart.x +{amount:g} m': _bias('cart.x', amount) for amount in (0.02, 0.05)}}


def run(seed: int) -> dict[str, object]:
    """Live one seed's life and its branches."""
    manifest = load_robot('cartpole')
    life = Life(manifest, load_task('swingup', manifest), seed)
    threshold = life.mind.watch.surprise.threshold
    normal: list[Lived] = []
    for part in range(3):
        if part:
            life.restart()
        normal += life.live(SWING_TICKS)
    balancing = _branches(life, threshold, JUDGED, BRANCH_TICKS)
    life.restart()
    life.live(AMID_TICKS)
    swinging = _branches(life, threshold, JUDGED, BRANCH_TICKS)
    return {'false_alarms': _begun(normal, threshold), 'balancing': balancing,
            'swinging up': {**_branches(life, threshold, CURVES, WINDOW_TICKS), **swinging}}


def _branches(life: Life, threshold: float, changes: dict[str, Callable[[Simulator], None]],
              ticks: int) -> dict[str, tuple[float, float | None]]:
    found = {}
    for name, change in ({UNCHANGED: lambda robot: None} | changes).items():
        def future(change: Callable[[Simulator], None] = change) -> list[float]:
            change(life.body.simulator)
            return [_score(lived) for lived in life.live(ticks + 1)][1:]
        # What the first tick measures was sensed before the change.
        scores = branched(future)
        late = [tick for tick, score in enumerate(scores) if score >= threshold]
        found[name] = (max(scores[:WINDOW_TICKS]),
                       (late[0] + 1) * PERIOD_S if late else None)
    return found


def _score(lived: Lived) -> float:
    return max(lived.evidence, lived.repeats, -1.0)


def _begun(normal: list[Lived], threshold: float) -> list[int]:
    alarms = [_score(lived) >= threshold for lived in normal]
    return [tick for tick in range(1, len(alarms)) if alarms[tick] and not alarms[tick - 1]]


def auroc(changed: list[float], unchanged: list[float]) -> float:
    """Return the share of pairs in which the changed one is higher."""
    return statistics.fmean((one > other) + 0.5 * (one == other)
                            for one in changed for other in unchanged)


def table(runs: list[dict], moment: str, names: list[str]) -> list[str]:
    """Lay out one situation."""
    lines = [f'| while {moment}: change | AUROC within 0.5 s | alarms within 0.5 s '
             '| within 0.75 s | delay, median | worst |', '|---|---|---|---|---|---|']
    unchanged = [one[moment][UNCHANGED][0] for one in runs]
    for name in names:
        scores = [one[moment][name][0] for one in runs]
        delays = [one[moment][name][1] for one in runs if one[moment][name][1] is not None]
        soon = sum(delay <= WINDOW_TICKS * PERIOD_S + 1e-9 for delay in delays)
        shown = (f'{statistics.median(delays):.2f} s | {max(delays):.2f} s' if delays else '– | –')
        lines.append(f'| {name} | {auroc(scores, unchanged):.3f} | {soon} of {len(runs)} | '
                     f'{len(delays)} of {len(runs)} | {shown} |')
    return lines


def page(runs: list[dict], about: dict) -> str:
    """Write the report."""
    begun = [seconds for one in runs for seconds in one['false_alarms']]
    minutes = len(runs) * LIFE_S / 60.0
    first = ['# Surprise', '', f'`{about["command"]}`, {about["date"]}, '
             f'{about["machine"]["processor"]}, one thread. Cart-pole, default settings, '
             f'{len(runs)} seeds from {about["first_seed"]}. What is measured, and how, stands at '
             'the head of `benchmark/surprise.py`.', '',
             f'False alarms in {minutes:g} minutes of unchanged operation, from the first tick '
             f'on: {len(begun)}.', '']
    middle = table(runs, 'swinging up', [UNCHANGED, *JUDGED])
    return '\n'.join([
        *first, *middle, '', *table(runs, 'balancing', [UNCHANGED, *JUDGED]), '',
        'Other magnitudes, looked at for 0.5 s only:', '',
        *table(runs, 'swinging up', list(CURVES)), '',
        REMARKS, '', '![Share of pairs told apart](surprise.png)', ''])


def plot(runs: list[dict], path: Path) -> None:
    """Draw AUROC against magnitude."""
    matplotlib.use('Agg')
    figure = Figure(figsize=(10.4, 3.4), dpi=90, layout='constrained')
    axes = ([('payload, share of the pole', (0.1, 0.2, 0.5, 1.0), ['payload +10 %',
             'payload +20 %', 'payload +50 % of the pole', 'payload +100 %'])],
            [('friction, factor', (2, 5, 10), [
                'friction x2', 'friction x5', 'friction x10'])],
            [(f'bias, {unit}', (0.02, 0.05, 0.1), [
                f'{name} +{one:g} {unit}' for one in (0.02, 0.05, 0.1)])
             for name, unit in (('pole.angle', 'rad'), ('cart.x', 'm'))])
    for panel, curves in zip(figure.subplots(1, 3, sharey=True), axes, strict=True):
        for label, magnitudes, names in curves:
            unchanged = [one[MOMENT][UNCHANGED][0] for one in runs]
            panel.plot(magnitudes, [auroc([one[MOMENT][name][0] for one in runs], unchanged)
                                    for name in names], marker='o', label=label)
        panel.axhline(0.95, color='grey', linewidth=0.8)
        panel.set(ylim=(0.3, 1.03), xscale='log', xlabel='change')
        panel.grid(alpha=0.3)
        panel.legend(fontsize='x-small', loc='lower right')
    figure.axes[0].set_ylabel('AUROC within 0.5 s, swinging up')
    figure.savefig(path, metadata={'Software': None})


def main() -> None:
    """Run what is missing, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[1])
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first-seed', type=int, default=0)
    parser.add_argument('--out', type=Path, default=Path('build'))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / 'surprise.json'
    done = json.loads(kept.read_text())['runs'] if kept.exists() else {}
    wanted = [str(seed) for seed in range(given.first_seed, given.first_seed + given.seeds)]
    about = {'command': ' '.join(['python', *sys.argv]), 'first_seed': given.first_seed,
             **facts()}
    for seed in wanted:
        if seed not in done:
            done[seed] = run(int(seed))
            kept.write_text(json.dumps({**about, 'runs': done}, indent=1) + '\n')
        print(f'seed {seed}: false alarms {done[seed]["false_alarms"]}', flush=True)
    runs = [json.loads(json.dumps(done[seed])) for seed in wanted]
    (given.out / 'surprise.md').write_text(page(runs, about))
    plot(runs, given.out / 'surprise.png')
    print(page(runs, about))


if __name__ == '__main__':
    sys.exit(main())
