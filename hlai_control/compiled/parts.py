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


"""What the loops of several models have in common."""

from numba import njit
import numpy as np

Array = np.ndarray

# Parts are laid into what calls them: a call would pass each array as seven numbers.
part = njit(error_model='numpy', forceinline=True)


@part
def answer(states: Array, reference: Array, gains: Array, closed: Array, base: Array, k: int,
           t: int, actions: Array) -> None:
    """Leave in actions base + closed * sum over G of gains (state - reference)."""
    for a in range(base.shape[2]):
        actions[k, t, a] = base[k, t, a]
        if not closed[k]:
            continue  # not 0 * NaN: one member's failure is no other's
        for g in range(len(reference)):
            for i in range(reference.shape[2]):
                actions[k, t, a] += closed[k] * gains[g, t, a, i] * (
                    states[g, k, t, i] - reference[g, t, i])


@part
def clipped(value: float, low: float, high: float) -> float:
    """Clip; NaN stays NaN."""
    return low if value < low else high if value > high else value


@part
def carry(own: int, state: Array, action: Array, ahead: Array) -> None:
    """Take the command and the time along, where a state carries them behind its own."""
    if len(state) > own:
        for a in range(len(action)):
            ahead[own + a] = action[a]
        ahead[-1] = state[-1] + 1
