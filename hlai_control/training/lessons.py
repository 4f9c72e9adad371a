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


"""What a recording teaches, divided into what is learned from and what is held out."""

from collections.abc import Sequence
from dataclasses import dataclass
import hashlib

from jaxtyping import Float
import numpy as np
import torch
from torch import Tensor

from hlai_control.errors import RecordingError
from hlai_control.layout import Layout
from hlai_control.learning.pairing import Joined
from hlai_control.types import Batch
from hlai_control.world_model.made import WorldModel
from hlai_control.world_model.steps import turning, wrapped

# Consecutive transitions are alike, so whole blocks are held out: every fifth of twenty.
BLOCKS, EVERY = 20, 5
LEAST = 2 * BLOCKS


@dataclass(frozen=True)
class Lessons:
    """
    Transitions for training.

    :param learned: what is learned from, oldest first.
    :param held_out: whole blocks that training never sees.
    :param digest: SHA-256 of all of them.
    """

    learned: Batch
    held_out: Batch
    digest: str


def divide(transitions: Sequence[Joined]) -> Lessons:
    """
    Hold out every fifth of twenty contiguous blocks.

    :param transitions: in order of time.
    :raises RecordingError: if they are too few to divide.
    """
    if len(transitions) < LEAST:
        raise RecordingError(f'{len(transitions)} transitions are too few to learn from and to '
                             f'test on; valid: at least {LEAST}; record more')
    total = hashlib.sha256()
    learned, held_out = list[Joined](), list[Joined]()
    for i, one in enumerate(transitions):
        for part in (one.state, one.action, one.next_state):
            total.update(part.tobytes())
        block = i * BLOCKS // len(transitions)
        side = held_out if block % EVERY == EVERY // 2 else learned
        side.append(one)
    return Lessons(_batch(learned), _batch(held_out), total.hexdigest())


def _batch(rows: Sequence[Joined]) -> Batch:
    return Batch(*(torch.from_numpy(np.array(column)).float() for column in zip(
        *((one.state, one.action, one.next_state) for one in rows), strict=True)))


@torch.inference_mode()
def relative_error(dynamics: WorldModel, batch: Batch, layout: Layout
                   ) -> Float[Tensor, ' S']:
    """
    Compare one-step predictions of the ensemble's mean with what happened.

    :param dynamics: ready to step.
    :param batch: transitions that it was not trained on.
    :param layout: the robot.
    :returns: of each coordinate the root mean square error, in units of the
        root mean square change; 1: no better than to predict standstill.
    """
    turns = turning(layout)
    start = batch.state.expand(dynamics.members, -1, -1)
    ahead = dynamics.step(start, batch.action).mean(dim=0)
    error = wrapped(batch.next_state - ahead, turns).square().mean(dim=0)
    change = wrapped(batch.next_state - batch.state, turns).square().mean(dim=0)
    return (error / change.clamp_min(1e-12)).sqrt()
