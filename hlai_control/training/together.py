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


"""Several processes that train one function, started by torchrun."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import distributed, Tensor

from hlai_control.errors import UsageError


class Together:
    """
    A crew over torch.distributed (gloo); see ``learning/crew.py``.

    All processes hold all transitions and draw the same rows; each works on
    its part of them.
    """

    def __init__(self) -> None:
        """Ask who we are."""
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    def part(self, rows: Tensor, dim: int) -> Tensor:
        """Return this process's rows along an axis."""
        return rows.tensor_split(self.size, dim)[self.rank]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        flat = torch.cat([one.reshape(-1) for one in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        for one, part in zip(tensors, flat.split([one.numel() for one in tensors]), strict=True):
            one.copy_(part.view_as(one))

    def total(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the processes."""
        distributed.all_reduce(tensor)


@contextmanager
def joined_crew(environment: Mapping[str, str], batch: int) -> Iterator[Together | None]:
    """
    Join the other processes that torchrun has started, if it has.

    :param environment: torchrun sets ``WORLD_SIZE`` and ``RANK`` there.
    :param batch: transitions per update; all processes get equally many.
    :returns: None if this process is alone.
    :raises UsageError: if the batch cannot be divided equally.
    """
    size = int(environment.get('WORLD_SIZE', '1'))
    if size == 1:
        yield None
        return
    if batch % size:
        raise UsageError(f'world_model.batch:={batch} cannot be divided among {size} processes; '
                         f'valid: a multiple of {size}')
    distributed.init_process_group('gloo')
    try:
        yield Together()
    finally:
        distributed.destroy_process_group()
