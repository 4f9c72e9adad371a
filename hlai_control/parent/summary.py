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

"""The account of one run, as it is written to ``summary.json``."""

from collections.abc import Mapping, Sequence
import json
from pathlib import Path

from hlai_control.files import write_atomic
from hlai_control.graph import ANTICIPATED, SURPRISE, TIMING
from hlai_control.parent.machine import machine, versions
from hlai_control.ros.observer import Motion

# Start-up is accounted apart: the bar on missed deadlines begins here [s].
SETTLED_S = 5.0


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which ``share`` of the values lie, None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latency(latencies: Sequence[tuple[float, float]]) -> dict[str, float | None]:
    """
    Return percentiles from sensor stamp to command [s].

    :param latencies: (motion seconds, latency) per command [s].
    """
    values = [value for _, value in latencies]
    return {'p50_s': percentile(values, 0.5), 'p99_s': percentile(values, 0.99),
            'max_s': max(values, default=None)}


def misses(motion: Motion, period_s: float, real_time_factor: float) -> dict[str, float]:
    """
    Return ticks that got no command within their period, all and after the first 5 s.

    :param motion: what was seen.
    :param period_s: control period, in seconds of motion.
    :param real_time_factor: seconds of motion per second.
    """
    late = [at_s for at_s, value in motion.latencies if value > period_s / real_time_factor]
    settled_s = SETTLED_S - 0.5 * period_s  # stamps are sums of periods, and rounded
    late_settled = sum(1 for at_s in late if at_s >= settled_s)
    answered_settled = sum(1 for at_s, _ in motion.latencies if at_s >= settled_s)
    # N periods lie between N + 1 states.
    ticks = round(motion.motion_s / period_s) + 1 if motion.first_ns is not None else 0
    ticks_settled = max(0, ticks - round(SETTLED_S / period_s))
    # What the actor itself counted; a report that we missed is no missed command.
    answered = max(len(motion.latencies), int(motion.newest.get(TIMING, {}).get('ticks', 0.0)))
    unanswered = max(0, ticks - answered)
    unanswered_settled = max(0, ticks_settled - answered_settled)
    return {'total': len(late) + unanswered, 'late': len(late), 'unanswered': unanswered,
            'skipped': motion.newest.get(TIMING, {}).get('skipped', 0.0),
            'total_after_5_s': late_settled + unanswered_settled,
            'late_after_5_s': late_settled, 'ticks_after_5_s': ticks_settled}


def summary(motion: Motion, period_s: float, real_time_factor: float,
            facts: Mapping[str, object]) -> dict[str, object]:
    """
    Account for a run.

    :param motion: what was seen.
    :param period_s: control period, in seconds of motion.
    :param real_time_factor: seconds of motion per second that were asked for.
    :param facts: settings and counters to add.
    """
    surprise = motion.newest.get(SURPRISE, {})
    ticks = len(motion.latencies)
    return {
        'solved': motion.solved_at_s is not None, 'solved_at_s': motion.solved_at_s,
        'interaction_s': round(motion.motion_s, 6), 'wall_s': round(motion.wall_s, 3),
        'real_time_factor': round(motion.motion_s / motion.wall_s, 4) if motion.wall_s else None,
        'ticks': ticks, 'deadline_misses': misses(motion, period_s, real_time_factor),
        'latency': latency(motion.latencies),
        'transitions': surprise.get('transitions', 0.0), 'updates': surprise.get('updates', 0.0),
        'critic_updates': motion.newest.get(ANTICIPATED, {}).get('updates', 0.0),
        **facts, 'machine': machine(), 'versions': versions()}


def write(path: Path, values: Mapping[str, object]) -> None:
    """Write JSON so that no reader sees half of it."""
    write_atomic(path, (json.dumps(values, indent=2) + '\n').encode())
