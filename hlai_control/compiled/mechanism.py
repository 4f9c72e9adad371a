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
A mechanism's step as compiled loops, for whole trajectories of few candidates on a CPU.

The function is that of ``RigidBodyDynamics.step``, in float64 throughout, which
costs few operations less exactness.
"""

import math
from typing import NamedTuple

from numba import njit
import numpy as np

from hlai_control.compiled.kept import kept
from hlai_control.compiled.parts import answer, carry, clipped, part

Array = np.ndarray

# Left as a call: it is made four times per step.
called = njit(error_model='numpy')
# Step of the central differences, relative to coordinates above 1 (float64).
_NUDGE = 1e-5


class Weights(NamedTuple):
    """
    What ``RigidBodyDynamics`` knows.

    :param seen: indices of the positions on which the dynamics depend.
    :param angle: which of them are angles.
    :param terms: which factor of each of them a product has: 1, sin or q, cos or q^2.
    :param period: the control period [s].
    """

    seen: Array  # k
    angle: Array  # k
    terms: Array  # F k
    inertia: Array  # E F n n
    potential: Array  # E F
    friction: Array  # E n
    drive: Array  # n A
    fastest: Array  # n
    sharpest: Array  # n
    period: Array  # 1


class Scratch(NamedTuple):
    """Memory for one step of one member."""

    factors: Array  # k 3
    bends: Array  # k 3
    slopes: Array  # k
    bounded: Array  # n
    mass: Array  # n n
    force: Array  # n
    gained: Array  # 4 n, accelerations of the four stages
    place: Array  # n
    speed: Array  # 4 n


@part
def make_scratch(w: Weights) -> Scratch:
    """Reserve it once per call."""
    count, seen = len(w.drive), len(w.seen)
    return Scratch(np.empty((seen, 3)), np.empty((seen, 3)), np.empty(seen), np.empty(count),
                   np.empty((count, count)), np.empty(count), np.empty((4, count)),
                   np.empty(count), np.empty((4, count)))


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
    groups, members, own = len(reference), len(w.inertia), 2 * len(w.drive)
    count, horizon, size = base.shape
    actions = np.empty_like(base)
    states = np.empty((groups, count, horizon + 1, len(start)), base.dtype)
    s, now, ahead = make_scratch(w), np.empty(own), np.empty(own)
    total = np.empty((groups, own))
    for k in range(count):
        for g in range(groups):
            for i in range(len(start)):
                states[g, k, 0, i] = start[i]
        for t in range(horizon):
            answer(states, reference, gains, closed, base, k, t, actions)
            for a in range(size):
                actions[k, t, a] = clipped(actions[k, t, a], low[a], high[a])
            total[:] = 0
            for member in range(members):
                g = member % groups
                for i in range(own):
                    now[i] = states[g, k, t, i]
                step(w, member, now, actions[k, t], s, ahead)
                for i in range(own):
                    total[g, i] += ahead[i] * groups / members
            for g in range(groups):
                for i in range(own):
                    states[g, k, t + 1, i] = total[g, i]
                carry(own, states[g, k, t], actions[k, t], states[g, k, t + 1])
    return actions, states


@kept
def linearise(w: Weights, states: Array, actions: Array) -> Array:
    """
    Differentiate each step by central differences; see ``Trajectories.linearise``.

    :param states: G T S; one member each, or G = 1 for the mean of all.
    :param actions: T A.
    :returns: G T S N.
    """
    groups, horizon, size = states.shape
    members, width = len(w.inertia), actions.shape[1]
    found = np.zeros((groups, horizon, size, size + width), states.dtype)
    s, joint = make_scratch(w), np.empty(size + width)
    after, before = np.empty(size), np.empty(size)
    for g in range(groups):
        for t in range(horizon):
            for i in range(size):
                joint[i] = states[g, t, i]
            for a in range(width):
                joint[size + a] = actions[t, a]
            for n in range(size + width):
                held = joint[n]
                nudge = _NUDGE * max(1.0, abs(held))
                for member in range(g, members, groups):
                    joint[n] = held + nudge
                    step(w, member, joint[:size], joint[size:], s, after)
                    joint[n] = held - nudge
                    step(w, member, joint[:size], joint[size:], s, before)
                    for i in range(size):
                        found[g, t, i, n] += ((after[i] - before[i]) / (2 * nudge)
                                              * groups / members)
                joint[n] = held
    return found


@called
def step(w: Weights, member: int, state: Array, action: Array, s: Scratch,
         ahead: Array) -> None:
    """Leave in ``ahead`` the state one Runge-Kutta step of 4th order later."""
    count, h = len(w.drive), w.period[0]
    for stage in range(4):
        share = 0.0 if stage == 0 else h if stage == 3 else 0.5 * h
        last = stage - 1 if stage else 0
        for i in range(count):
            s.speed[stage, i], s.place[i] = state[count + i], state[i]
            if stage:
                s.speed[stage, i] += share * s.gained[last, i]
                s.place[i] += share * s.speed[last, i]
        accelerate(w, member, s.place, s.speed[stage], action, s, s.gained[stage])
    for i in range(count):
        ahead[i] = state[i] + h / 6.0 * (s.speed[0, i] + 2.0 * s.speed[1, i]
                                         + 2.0 * s.speed[2, i] + s.speed[3, i])
        ahead[count + i] = state[count + i] + h / 6.0 * (
            s.gained[0, i] + 2.0 * s.gained[1, i] + 2.0 * s.gained[2, i] + s.gained[3, i])


@part
def look(w: Weights, place: Array, s: Scratch) -> None:
    """Leave the factors of each position seen, and their slopes."""
    for p in range(len(w.seen)):
        q = place[w.seen[p]]
        s.factors[p, 0], s.bends[p, 0] = 1.0, 0.0
        if w.angle[p]:
            sine, cosine = math.sin(q), math.cos(q)
            s.factors[p, 1], s.bends[p, 1] = sine, cosine
            s.factors[p, 2], s.bends[p, 2] = cosine, -sine
        else:
            s.factors[p, 1], s.bends[p, 1] = q, 1.0
            s.factors[p, 2], s.bends[p, 2] = q * q, 2.0 * q


@called
def accelerate(w: Weights, member: int, place: Array, speed: Array, action: Array, s: Scratch,
               found: Array) -> None:
    """Leave the accelerations in ``found``."""
    count = len(w.drive)
    look(w, place, s)
    for i in range(count):
        s.bounded[i] = clipped(speed[i], -w.fastest[i], w.fastest[i])
        s.force[i] = -w.friction[member, i] * s.bounded[i]
        for a in range(len(action)):
            s.force[i] += w.drive[i, a] * action[a]
        for j in range(count):
            s.mass[i, j] = 0.0
    for f in range(len(w.terms)):
        add_product(w, member, f, s.bounded, s)
    eliminate(s.mass, s.force, found)
    for i in range(count):
        found[i] = clipped(found[i], -w.sharpest[i], w.sharpest[i])


@part
def add_product(w: Weights, member: int, f: int, speed: Array, s: Scratch) -> None:
    """Add one product's share to mass and force."""
    count, seen = len(speed), len(w.seen)
    value, turning = 1.0, 0.0
    for p in range(seen):
        value *= s.factors[p, w.terms[f, p]]
        s.slopes[p] = s.bends[p, w.terms[f, p]]
        for other in range(seen):
            if other != p:
                s.slopes[p] *= s.factors[other, w.terms[f, other]]
        turning += s.slopes[p] * speed[w.seen[p]]
    energy = -w.potential[member, f]
    for i in range(count):
        moved = 0.0
        for j in range(count):
            moved += w.inertia[member, f, i, j] * speed[j]
            s.mass[i, j] += value * w.inertia[member, f, i, j]
        energy += 0.5 * speed[i] * moved
        s.force[i] -= turning * moved
    for p in range(seen):
        s.force[w.seen[p]] += s.slopes[p] * energy


@part
def eliminate(matrix: Array, right: Array, found: Array) -> None:
    """Solve in place, without pivots, which positive matrices do not need."""
    count = len(right)
    for k in range(count):
        for i in range(k + 1, count):
            share = matrix[i, k] / matrix[k, k]
            for j in range(k + 1, count):
                matrix[i, j] -= share * matrix[k, j]
            right[i] -= share * right[k]
    for i in range(count - 1, -1, -1):
        total = right[i]
        for j in range(i + 1, count):
            total -= matrix[i, j] * found[j]
        found[i] = total / matrix[i, i]
