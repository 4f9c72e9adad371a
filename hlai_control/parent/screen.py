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

"""The one screen of a running graph: how far, how well, how fast."""

from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hlai_control.cost.task import TaskSpec
from hlai_control.graph import ANTICIPATED, SURPRISE, TERMS, TIMING
from hlai_control.layout import DISTANCE_SUFFIX
from hlai_control.parent.summary import latency
from hlai_control.ros.observer import Observer

REFRESH_S = 0.25
PLAIN_S = 1.0
EVENTS_SHOWN = 5
# Commands over which the shown latencies are taken.
RECENT = 1000


def errors_to_goal(terms: dict[str, float]) -> dict[str, float]:
    """Return the distance of each coordinate that counts from its goal, angles wrapped."""
    return {name.removesuffix(DISTANCE_SUFFIX): value for name, value in terms.items()
            if name.endswith(DISTANCE_SUFFIX)}


class Screen:
    """
    Shows one run: a live panel on a terminal, a line a second otherwise.

    :param console: where.
    :param observer: what.
    :param task: says what the goal is.
    :param title: the headline.
    """

    def __init__(self, console: Console, observer: Observer, task: TaskSpec, title: str) -> None:
        """Start the live display where there is a terminal."""
        self._console, self._observer, self._task = console, observer, task
        self._title = title
        self._events: list[str] = []
        self._plain_due_s = 0.0
        self._live = Live(self._panel(), console=console, auto_refresh=False,
                          transient=False) if console.is_terminal else None
        if self._live is not None:
            self._live.start()

    def event(self, text: str) -> None:
        """Tell something that happened, a death say."""
        self._events.append(f'{self._observer.motion.motion_s:6.1f} s  {text}')
        if self._live is None:
            self._console.print(self._events[-1], highlight=False)

    def refresh(self, now_s: float) -> None:
        """Draw anew; without a terminal at most one line a second."""
        if self._live is not None:
            self._live.update(self._panel(), refresh=True)
        elif now_s >= self._plain_due_s:
            self._plain_due_s = now_s + PLAIN_S
            self._console.print('  '.join(f'{key} {value}' for key, value in self.rows()),
                                highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.update(self._panel(), refresh=True)
            self._live.stop()

    def rows(self) -> Sequence[tuple[str, str]]:
        """Return what is shown, label and text."""
        motion, newest = self._observer.motion, self._observer.motion.newest
        if motion.first_ns is None:
            return (('phase', f'{self._observer.phase}: {self._observer.reason}'),)
        terms, timing = newest.get(TERMS, {}), newest.get(TIMING, {})
        errors = errors_to_goal(terms)
        # A run may last for days; the screen must not take longer to draw for it.
        recent, late = latency(motion.latencies[-RECENT:]), timing.get('late', 0.0)
        skipped = timing.get('skipped', 0.0)
        held_s = terms.get('held_s', -1.0)
        return (
            ('motion', f'{motion.motion_s:.1f} s'),
            ('error', ', '.join(f'{key} {value:.3f}' for key, value in errors.items())),
            ('held', 'solved at ' + f'{motion.solved_at_s:.2f} s' if motion.solved_at_s is not None
             else f'{max(held_s, 0.0):.1f} of {self._task.solved.hold_s:g} s'),
            ('cost', f'{terms.get("total", 0.0):.3f}'),
            ('anticipated', f'{newest.get(ANTICIPATED, {}).get("anticipated", 0.0):.2f}'),
            ('model error', f'{newest.get(SURPRISE, {}).get("error", 0.0):.4f}'),
            ('latency', f'p50 {_ms(recent["p50_s"])} p99 {_ms(recent["p99_s"])}'),
            ('missed', f'{late + skipped:.0f} of {timing.get("ticks", 0.0) + skipped:.0f}'),
            ('doing', 'exploring' if timing.get('exploring') else 'planning'))

    def _panel(self) -> Panel:
        table = Table.grid(padding=(0, 2))
        for key, value in self.rows():
            table.add_row(Text(key, style='bold'), Text(value))
        events = Text('\n'.join(self._events[-EVENTS_SHOWN:]), style='yellow')
        return Panel(Group(table, events) if self._events else table, title=self._title,
                     subtitle='Ctrl-C stops everything', expand=False)


def _ms(value: float | None) -> str:
    return '-' if value is None else f'{value * 1e3:.1f} ms'
