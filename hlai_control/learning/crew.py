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
Who learns together: one process alone, or several on parts of the same rows.

A learner asks its crew for its part of the rows, and lets it average
gradients and add up sums. Every process draws the same random rows, so the
result does not depend on how many there are, but for rounding.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Crew(Protocol):
    """The processes that train one function."""

    def part(self, rows: Tensor, dim: int) -> Tensor:
        """Return this process's rows along an axis; the parts are equal, or differ by one."""
        ...

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        ...

    def total(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the processes."""
        ...


class Alone:
    """A single process: all rows are its own."""

    def part(self, rows: Tensor, dim: int) -> Tensor:
        """Return all rows."""
        return rows

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Leave what is the mean already."""

    def total(self, tensor: Tensor) -> None:
        """Leave what is the sum already."""
