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

"""What samples say: costs at equal calls, time to equal costs, intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean, median

import numpy as np

from hlai_control.bench.cold import Sample
from hlai_control.bench.receding import Loop

# Costs to reach, as fractions of what doing nothing costs above the best plan that anybody made.
LEVELS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
RESAMPLES = 4000


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AtCalls:
    """
    The subject's plans within a share of the reference's calls, from a cold start.

    :param share: of the reference's calls.
    :param difference: mean cost less the reference's.
    :param as_good: fraction of starts within 1 % of the reference's cost, or better.
    """

    share: float
    difference: Estimate
    as_good: float


@dataclass(frozen=True)
class Race:
    """
    Who reaches a cost first.

    :param level: what is asked for, see ``LEVELS``.
    :param subject_s: the subject's median time; infinite: not reached on half of the starts.
    :param peer: the quickest peer in the median.
    :param peer_s: its median time.
    :param ratio: median over the starts of the peer's time over the subject's.
    """

    level: float
    subject_s: float
    peer: str
    peer_s: float
    ratio: Estimate


def bootstrap(values: Sequence[float], statistic: Callable[[Sequence[float]], float]) -> Estimate:
    """Resample the starts (Efron 1979, percentile interval); equal values, equal interval."""
    given = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(0)
    drawn = sorted(statistic(given[random.integers(0, len(given), len(given))].tolist())
                   for _ in range(RESAMPLES))
    return Estimate(statistic(given.tolist()), drawn[int(0.025 * RESAMPLES)],
                    drawn[int(0.975 * RESAMPLES)])


def at_calls(samples: Sequence[Sample], subject: str, reference: str, share: float) -> AtCalls:
    """Compare the subject's largest budget within a share of the reference's calls."""
    best, own = [], []
    for start in _starts(samples):
        whole = max(_of(samples, reference, start), key=lambda one: one.iterations)
        allowed = [one for one in _of(samples, subject, start)
                   if one.calls <= share * whole.calls]
        best.append(whole.cost)
        own.append(max(allowed, key=lambda one: one.iterations).cost if allowed else inf)
    pairs = list(zip(own, best, strict=True))
    return AtCalls(share, bootstrap([mine - theirs for mine, theirs in pairs], fmean),
                   sum(mine <= theirs + 0.01 * abs(theirs) for mine, theirs in pairs)
                   / len(pairs))


def scale(samples: Sequence[Sample], idle: str) -> dict[int, tuple[float, float]]:
    """Return, for each start, the best cost that anybody reached, and that of doing nothing."""
    return {start: (min(one.cost for one in samples if one.start == start),
                    _of(samples, idle, start)[0].cost) for start in _starts(samples)}


def seconds_to(samples: Sequence[Sample], competitor: str, start: int, cost: float) -> float:
    """Return the time of the quickest plan that costs no more; infinite if there is none."""
    return min((one.seconds for one in _of(samples, competitor, start) if one.cost <= cost),
               default=inf)


def races(samples: Sequence[Sample], subject: str, peers: Sequence[str],
          idle: str) -> list[Race]:
    """
    Ask who reaches a given cost first, for each level.

    A start on which neither arrives says nothing and counts as a ratio of 1.
    """
    ends = scale(samples, idle)
    found = []
    for level in LEVELS:
        targets = {start: best + level * (worst - best)
                   for start, (best, worst) in ends.items()}
        times = {name: [seconds_to(samples, name, start, cost)
                        for start, cost in targets.items()] for name in (subject, *peers)}
        # Those that arrive on less than half of the starts are compared by how many.
        peer = min(peers, key=lambda name: (median(times[name]),
                                            sum(value == inf for value in times[name])))
        ratios = [1.0 if mine == theirs else theirs / mine if mine < inf else 0.0
                  for mine, theirs in zip(times[subject], times[peer], strict=True)]
        found.append(Race(level, median(times[subject]), peer, median(times[peer]),
                          bootstrap(ratios, median)))
    return found


def against(loops: Sequence[Loop], competitor: str, reference: str) -> Estimate:
    """Return the mean of the closed loops' costs less the reference's, start by start."""
    by_start = {loop.start: loop.cost for loop in loops if loop.competitor == reference}
    return bootstrap([loop.cost - by_start[loop.start] for loop in loops
                      if loop.competitor == competitor], fmean)


def curve(samples: Sequence[Sample], competitor: str, idle: str,
          times_s: Sequence[float]) -> list[float]:
    """Return the median over the starts of the relative cost reached by each time."""
    ends = scale(samples, idle)
    rows = []
    for start, (best, worst) in ends.items():
        own = _of(samples, competitor, start)
        rows.append([min((max(0.0, (one.cost - best) / (worst - best)) for one in own
                          if one.seconds <= time_s), default=inf) for time_s in times_s])
    return [median(column) for column in zip(*rows, strict=True)]


def _starts(samples: Sequence[Sample]) -> list[int]:
    return sorted({one.start for one in samples})


def _of(samples: Sequence[Sample], competitor: str, start: int) -> list[Sample]:
    return [one for one in samples if one.competitor == competitor and one.start == start]
