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
The ensemble's step as compiled loops, for whole trajectories of few candidates on a CPU.

With tens of candidates, a tensor library spends most of its time on calls:
thirty small operations per step. Here all trajectories are one call. The
function is that of ``EnsembleDynamics.step``, in the same type of number; no
liberty is taken with NaN.
"""

import math
from typing import NamedTuple

import numpy as np

from hlai_control.compiled.kept import kept
from hlai_control.compiled.parts import answer, carry, clipped, part

Array = np.ndarray


class Weights(NamedTuple):
    """
    What ``EnsembleDynamics.fold`` lays out, inputs before outputs.

    :param angles: indices of the positions seen as sine and cosine.
    :param linear: indices of the positions seen as they are.
    :param limit: rates beyond it count as if they were there.
    :param half: half a control period [s].
    :param heading: indices of x, y and yaw of a base that drives; else none.
    """

    angles: Array  # P
    linear: Array  # L
    first: Array  # E F H, F = 2 P + L
    first_bias: Array  # E H
    second: Array  # E H H
    second_bias: Array  # E H
    third: Array  # E H (n M)
    limit: Array  # n
    half: Array  # 1
    heading: Array  # 3 or 0


class Scratch(NamedTuple):
    """Memory for one evaluation of one member."""

    inputs: Array  # F
    one: Array  # H
    two: Array  # H
    factors: Array  # n M
    columns: Array  # M
    gained: Array  # n
    rates: Array  # n
    bent: Array  # 2 H, slopes of the two layers' units
    moved: Array  # 2 H, how the units move with one position


@part
def make_scratch(w: Weights, actions: int) -> Scratch:
    """Reserve it once per call."""
    count, kind = len(w.limit), w.half.dtype
    wide = 1 + count + count * count + actions
    return Scratch(np.empty(w.first.shape[1], kind), np.empty(w.first.shape[2], kind),
                   np.empty(w.first.shape[2], kind), np.empty(count * wide, kind),
                   np.empty(wide, kind), np.empty(count, kind), np.empty(count, kind),
                   np.empty((2, w.first.shape[2]), kind), np.empty((2, w.first.shape[2]), kind))


@kept
def follow(w: Weights, start: Array, base: Array, reference: Array, gains: Array,
           closed: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """
    Roll out command sequences with feedback, within the limits; see ``Trajectories.follow``.

    :param start: S, or more: behind its own state, what it carries along.
    :param base: K T A.
    :param reference: G T S, with G = 1 if merged, else E.
    :param gains: G T A S.
    :returns: commands K T A, and states G K T1 S.
    """
    groups, members = len(reference), len(w.first)
    count, horizon, size = base.shape
    actions, states = np.empty_like(base), np.empty((groups, count, horizon + 1, len(start)),
                                                    base.dtype)
    scratch, gained = make_scratch(w, size), np.empty((groups, len(w.limit)), base.dtype)
    share = base.dtype.type(groups / members)
    for k in range(count):
        for g in range(groups):
            for i in range(len(start)):
                states[g, k, 0, i] = start[i]
        for t in range(horizon):
            answer(states, reference, gains, closed, base, k, t, actions)
            for a in range(size):
                actions[k, t, a] = clipped(actions[k, t, a], low[a], high[a])
            gained[:] = 0
            for member in range(members):
                g = member % groups
                gain(w, member, states[g, k, t], actions[k, t], scratch)
                for i in range(len(w.limit)):
                    gained[g, i] += share * scratch.gained[i]
            for g in range(groups):
                integrate(w, states[g, k, t], gained[g], states[g, k, t + 1])
                carry(2 * len(w.limit), states[g, k, t], actions[k, t], states[g, k, t + 1])
    return actions, states


@kept
def linearise(w: Weights, states: Array, actions: Array) -> Array:
    """
    Differentiate each step with regard to state and action; see ``Trajectories.linearise``.

    :param states: G T S; one member each, or G = 1 for the mean of all.
    :param actions: T A.
    :returns: G T S N.
    """
    groups, horizon, size = states.shape
    members, count, kind = len(w.first), len(w.limit), states.dtype.type
    wide = size + actions.shape[1]
    s, found = make_scratch(w, actions.shape[1]), np.zeros((groups, horizon, size, wide),
                                                           states.dtype)
    turned = np.empty((len(w.angles) + len(w.linear), len(s.factors)), states.dtype)
    gained = np.empty((groups, count), states.dtype)
    for g in range(groups):
        for t in range(horizon):
            gained[g] = 0
            for member in range(g, members, groups):
                gain(w, member, states[g, t], actions[t], s)
                for i in range(count):
                    gained[g, i] += kind(groups / members) * s.gained[i]
                turn(w, member, s, turned)
                slopes(w, states[g, t], actions[t], s, turned, kind(groups / members),
                       found[g, t, count:])
            for i in range(count):
                for n in range(wide):
                    found[g, t, i, n] = w.half[0] * found[g, t, count + i, n]
                found[g, t, i, i] += kind(1)
                found[g, t, i, count + i] += w.half[0] * kind(2)
                found[g, t, count + i, count + i] += kind(1)
            if len(w.heading):
                drive(w, states[g, t], gained[g], found[g, t])
    return found


@part
def integrate(w: Weights, state: Array, gained: Array, ahead: Array) -> None:
    """Move on by ``dq' = dq + gained`` and ``q' = q + dt (dq + dq') / 2``."""
    count = len(gained)
    for i in range(count):
        rate = state[count + i]
        ahead[count + i] = rate + gained[i]
        ahead[i] = state[i] + w.half[0] * (rate + ahead[count + i])
    if len(w.heading):
        x, y, yaw = w.heading[0], w.heading[1], w.heading[2]
        onwards, sideways = ahead[x] - state[x], ahead[y] - state[y]
        middle = (state[yaw] + ahead[yaw]) / 2
        cosine, sine = math.cos(middle), math.sin(middle)
        ahead[x] = state[x] + cosine * onwards - sine * sideways
        ahead[y] = state[y] + sine * onwards + cosine * sideways


@part
def drive(w: Weights, state: Array, gained: Array, found: Array) -> None:
    """Turn the derivatives of a base's way by its heading, as :func:`integrate` turns the way."""
    x, y, yaw = w.heading[0], w.heading[1], w.heading[2]
    count = len(gained)
    onwards = w.half[0] * (2 * state[count + x] + gained[x])
    sideways = w.half[0] * (2 * state[count + y] + gained[y])
    middle = state[yaw] + w.half[0] * (state[count + yaw] + gained[yaw] / 2)
    cosine, sine = math.cos(middle), math.sin(middle)
    for n in range(found.shape[1]):
        # Of the way alone, not of where it begins.
        along = found[x, n] - (1 if n == x else 0)
        across = found[y, n] - (1 if n == y else 0)
        bent = (found[yaw, n] + (1 if n == yaw else 0)) / 2
        found[x, n] += cosine * along - sine * across - along - (
            sine * onwards + cosine * sideways) * bent
        found[y, n] += sine * along + cosine * across - across + (
            cosine * onwards - sine * sideways) * bent


@part
def gain(w: Weights, member: int, state: Array, action: Array, s: Scratch) -> None:
    """Leave in ``s.gained`` what the rates gain in one period: two fixed-point steps."""
    count = len(w.limit)
    look(w, state, s.inputs)
    for o in range(len(s.one)):
        s.one[o], s.two[o] = w.first_bias[member, o], w.second_bias[member, o]
    for o in range(len(s.factors)):
        s.factors[o] = 0
    multiply(w.first, member, s.inputs, s.one)
    bend(s.one, s.bent[0])
    multiply(w.second, member, s.one, s.two)
    bend(s.two, s.bent[1])
    multiply(w.third, member, s.two, s.factors)
    for i in range(count):
        s.gained[i] = 0
    for _ in range(2):
        for i in range(count):
            s.rates[i] = state[count + i] + s.gained[i] / 2
        combine(w, s, action)


@part
def look(w: Weights, state: Array, inputs: Array) -> None:
    """Lay out what the trunk sees, half a period on."""
    count, turns = len(w.limit), len(w.angles)
    for i in range(turns):
        at = w.angles[i]
        angle = state[at] + w.half[0] * state[count + at]
        inputs[i], inputs[turns + i] = math.sin(angle), math.cos(angle)
    for i in range(len(w.linear)):
        at = w.linear[i]
        inputs[2 * turns + i] = state[at] + w.half[0] * state[count + at]


@part
def multiply(weight: Array, member: int, inputs: Array, outputs: Array) -> None:
    """Add inputs @ weight[member] to outputs, four inputs at a time."""
    fours = len(inputs) // 4 * 4
    for i in range(0, fours, 4):
        a, b, c, d = inputs[i], inputs[i + 1], inputs[i + 2], inputs[i + 3]
        for o in range(len(outputs)):
            outputs[o] += (a * weight[member, i, o] + b * weight[member, i + 1, o]
                           + c * weight[member, i + 2, o] + d * weight[member, i + 3, o])
    for i in range(fours, len(inputs)):
        for o in range(len(outputs)):
            outputs[o] += inputs[i] * weight[member, i, o]


@part
def bend(values: Array, slopes: Array) -> None:
    """Apply SiLU in place, and leave its slopes."""
    one = values.dtype.type(1)
    for i in range(len(values)):
        x, open_ = values[i], one / (one + math.exp(-values[i]))
        values[i] = x * open_
        slopes[i] = open_ * (one + x * (one - open_))


@part
def lay_out(w: Weights, s: Scratch, action: Array) -> None:
    """Leave ``Monomials.squared_out`` in ``s.columns``; ``s.rates`` is clipped."""
    count = len(w.limit)
    s.columns[0] = 1
    for i in range(count):
        s.rates[i] = clipped(s.rates[i], -w.limit[i], w.limit[i])
        s.columns[1 + i] = s.rates[i]
    for i in range(count):
        for j in range(count):
            s.columns[1 + count + i * count + j] = s.rates[i] * s.rates[j]
    for a in range(len(action)):
        s.columns[1 + count + count * count + a] = action[a]


@part
def combine(w: Weights, s: Scratch, action: Array) -> None:
    """Leave factors times monomials in ``s.gained``."""
    lay_out(w, s, action)
    wide = len(s.columns)
    for i in range(len(s.gained)):
        total = s.gained.dtype.type(0)
        for m in range(wide):
            total += s.factors[i * wide + m] * s.columns[m]
        s.gained[i] = total


@part
def turn(w: Weights, member: int, s: Scratch, turned: Array) -> None:
    """Differentiate the factors with regard to each position seen, after :func:`gain`."""
    turns, zero = len(w.angles), s.one.dtype.type(0)
    for p in range(len(turned)):
        for o in range(s.moved.shape[1]):
            if p < turns:
                tilt = (s.inputs[turns + p] * w.first[member, p, o]
                        - s.inputs[p] * w.first[member, turns + p, o])
            else:
                tilt = w.first[member, turns + p, o]
            s.moved[0, o], s.moved[1, o] = s.bent[0, o] * tilt, zero
        multiply(w.second, member, s.moved[0], s.moved[1])
        for o in range(s.moved.shape[1]):
            s.moved[1, o] *= s.bent[1, o]
        for o in range(turned.shape[1]):
            turned[p, o] = zero
        multiply(w.third, member, s.moved[1], turned[p])


@part
def slopes(w: Weights, state: Array, action: Array, s: Scratch, turned: Array, share: float,
           found: Array) -> None:
    """Add to ``found`` share * d gained / d(state, action), after :func:`gain` (n N)."""
    count, kind = len(w.limit), s.one.dtype.type
    wide, size = len(s.columns), len(state)
    along = np.zeros((count, size + len(action)), s.one.dtype)
    ahead = np.zeros_like(along)
    by_rate = np.empty((count, count), s.one.dtype)
    for again in range(2):
        for i in range(count):
            s.rates[i] = state[count + i] + (s.gained[i] / 2 if again else kind(0))
        free = np.empty(count, s.one.dtype)
        for i in range(count):
            free[i] = kind(abs(s.rates[i]) <= w.limit[i])
        combine(w, s, action)
        for i in range(count):
            for j in range(count):
                total = s.factors[i * wide + 1 + j]
                for k in range(count):
                    total += s.rates[k] * (s.factors[i * wide + 1 + count + j * count + k]
                                           + s.factors[i * wide + 1 + count + k * count + j])
                by_rate[i, j] = total * free[j]
        for i in range(count):
            for n in range(size + len(action)):
                total = kind(0)
                for j in range(count):
                    total += by_rate[i, j] * along[j, n] / 2
                ahead[i, n] = total
            for j in range(count):
                ahead[i, count + j] += by_rate[i, j]
            for a in range(len(action)):
                ahead[i, size + a] += s.factors[i * wide + 1 + count + count * count + a]
            for p in range(len(turned)):
                at = w.angles[p] if p < len(w.angles) else w.linear[p - len(w.angles)]
                total = kind(0)
                for m in range(wide):
                    total += turned[p, i * wide + m] * s.columns[m]
                ahead[i, at] += total
                ahead[i, count + at] += w.half[0] * total
        along[:] = ahead
    for i in range(count):
        for n in range(size + len(action)):
            found[i, n] += share * along[i, n]
