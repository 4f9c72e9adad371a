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

"""A journal as tensors, as the learners take them."""

from collections.abc import Iterator

import numpy as np
import torch

from hlai_control.learning.journal import JournalReader
from hlai_control.learning.records import Rows
from hlai_control.types import Batch


class JournalArchive:
    """
    Reads a journal in batches.

    :param reader: of the journal.
    """

    def __init__(self, reader: JournalReader) -> None:
        """Read nothing yet."""
        self._reader = reader

    def at(self, numbers: list[int]) -> Batch:
        """
        Return single transitions.

        :param numbers: from 0; any that is missing or damaged is left out.
        """
        return batch_of(self._reader.at(numbers))

    def __len__(self) -> int:
        """Count the transitions that are there now, damaged ones included."""
        return len(self._reader)

    def chunks(self, end: int) -> Iterator[Batch]:
        """
        Return transitions from the beginning, a bounded number at a time.

        :param end: number of the first that is not wanted.
        """
        for rows in self._reader.chunks(end):
            batch = batch_of(rows)
            if len(batch.state):
                yield batch


def batch_of(rows: Rows) -> Batch:
    """Return transitions as tensors; those that are not finite in float32 are left out."""
    with np.errstate(over='ignore'):
        parts = [part.astype('f4') for part in (rows.states, rows.actions, rows.next_states)]
    good = np.logical_and.reduce([np.isfinite(part).all(axis=1) for part in parts])
    return Batch(*(torch.from_numpy(part if good.all() else part[good]) for part in parts))
