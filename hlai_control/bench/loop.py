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
The loop of the lockstep graph in one process, without ROS.

For benchmarks and tests: a run takes a tenth of the graph's start-up, any
part can be looked at or changed between ticks, and the same seed solves the
task at the same tick as ``hlai eval`` says (``test/test_loop.py``).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
import time
from typing import Protocol

import torch
from torch import Tensor

from hlai_control.actor.agent import Answer
from hlai_control.bench.body import Body
from hlai_control.types import Estimate, Transition


class Player(Protocol):
    """Who answers: :class:`hlai_control.bench.mind.Mind`, or a controller to compare with."""

    def answer(self, tick: int, estimate: Estimate) -> Answer:
        """Choose the command that answers one state."""

    def sent(self, tick: int, command: Tensor) -> None:
        """Take what the guard really sent."""

    def learn(self, tick: int, transition: Transition) -> None:
        """Learn from a step that ended at this tick."""


@dataclass(frozen=True)
class Step:
    """
    One tick.

    :param tick: its number.
    :param estimate: what perception believed.
    :param transition: the step that ended here; None at tick 0.
    :param answer: what the player answered.
    :param sent: what the guard sent, shape (A,).
    :param cost: true stage cost of the state here under what was sent.
    :param answer_s: processor time of the answer [s].
    :param learn_s: processor time of learning from the transition [s].
    """

    tick: int
    estimate: Estimate
    transition: Transition | None
    answer: Answer
    sent: Tensor
    cost: float
    answer_s: float
    learn_s: float


def steps(body: Body, player: Player, limit_s: float) -> Iterator[Step]:
    """
    Let a player move a body, tick by tick; between two ticks anything may be changed.

    Where the player has no command, the safe command is zero, as in lockstep.

    :param body: at tick 0.
    :param limit_s: motion seconds; the last tick looked at is at this time.
    """
    layout = body.layout
    zero = torch.zeros(layout.action_size).clamp(
        torch.tensor(layout.action_low), torch.tensor(layout.action_high))
    # Commands on their way: before the first one arrives, zero acts.
    coming = deque([torch.zeros(layout.action_size)] * layout.delay_ticks)
    last: Estimate | None = None
    while body.time_s <= limit_s + 0.5 * layout.period_s:
        tick, estimate = body.tick, body.look()
        begun_s = time.thread_time()
        transition = None
        if last is not None:
            transition = Transition(last.mean, coming.popleft(), estimate.mean)
            player.learn(tick, transition)
        learned_s = time.thread_time()
        answer = player.answer(tick, estimate)
        answered_s = time.thread_time()
        wanted = zero if answer.command is None else answer.command
        cost = body.stage(wanted)
        sent = body.move(wanted)
        player.sent(tick, sent)
        coming.append(sent)
        yield Step(tick, estimate, transition, answer, sent, cost, answered_s - learned_s,
                   learned_s - begun_s)
        last = estimate
