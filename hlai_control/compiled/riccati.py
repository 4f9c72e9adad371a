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

"""The recursion of the backward pass as compiled loops: matrices of a few rows, one by one."""

from numba import njit
import numpy as np

from hlai_control.compiled.kept import kept

Array = np.ndarray

# Division by zero gives inf or NaN.
part = njit(error_model='numpy')

# Newton steps of one box-constrained quadratic programme, and of each of its line searches.
_STEPS = 20
# Slopes below this share of the greatest one count as zero.
_ZERO = 1e-12


@kept
def recursion(forward: Array, gradient: Array, hessian: Array, low: Array, high: Array,
              damping: float, steps: Array, gains: Array) -> float:
    """
    Solve the local problem from its end; see ``feedback.backward``.

    :param forward: T S N; N = S + A.
    :param gradient: T N, the terminal value's already in the last.
    :param hessian: T N N, the same.
    :param steps: T A, filled in.
    :param gains: T A S, filled in.
    :returns: by how much the full steps change the quadratic model; infinite if some step is
        not convex.
    """
    horizon, states, width = forward.shape
    actions = width - states
    slope, curve = np.zeros(states), np.zeros((states, states))
    q, qq, half = np.empty(width), np.empty((width, width)), np.empty((states, width))
    bent, free = np.empty((actions, actions)), np.empty(actions, np.bool_)
    change = 0.0
    for t in range(horizon - 1, -1, -1):
        expand(forward[t], gradient[t], hessian[t], slope, curve, q, qq, half)
        mean = 0.0
        for a in range(actions):
            mean += qq[states + a, states + a] / actions
        for a in range(actions):
            for b in range(actions):
                bent[a, b] = qq[states + a, states + b]
            if damping:
                bent[a, a] += damping * (mean + 1e-12)
        if not box_qp(bent, q[states:], low[t], high[t], steps[t], free):
            return np.inf
        feed_back(bent, qq, free, gains[t])
        for a in range(actions):
            change += q[states + a] * steps[t, a]
            for b in range(actions):
                change += 0.5 * steps[t, a] * qq[states + a, states + b] * steps[t, b]
        look_back(q, qq, steps[t], gains[t], slope, curve)
    return change


@part
def expand(forward: Array, gradient: Array, hessian: Array, slope: Array, curve: Array,
           q: Array, qq: Array, half: Array) -> None:
    """Leave gradient + F' slope in q, and hessian + F' curve F in qq."""
    states, width = forward.shape
    for n in range(width):
        q[n] = gradient[n]
        for i in range(states):
            q[n] += forward[i, n] * slope[i]
    for i in range(states):
        for n in range(width):
            half[i, n] = 0.0
        for j in range(states):
            for n in range(width):
                half[i, n] += curve[i, j] * forward[j, n]
    for n in range(width):
        for m in range(width):
            qq[n, m] = hessian[n, m]
        for i in range(states):
            for m in range(width):
                qq[n, m] += forward[i, n] * half[i, m]


@part
def look_back(q: Array, qq: Array, step: Array, gain: Array, slope: Array, curve: Array) -> None:
    """Leave in slope and curve those of the value one step earlier, under the undamped problem."""
    states, actions = len(slope), len(step)
    toward, across = np.empty(actions), np.empty((actions, states))
    for a in range(actions):
        toward[a] = q[states + a]
        for b in range(actions):
            toward[a] += qq[states + a, states + b] * step[b]
        for i in range(states):
            across[a, i] = qq[states + a, i]
            for b in range(actions):
                across[a, i] += qq[states + a, states + b] * gain[b, i]
    for i in range(states):
        slope[i] = q[i]
        for a in range(actions):
            slope[i] += gain[a, i] * toward[a] + qq[states + a, i] * step[a]
        for j in range(i + 1):
            total = 0.5 * (qq[i, j] + qq[j, i])
            for a in range(actions):
                total += 0.5 * (gain[a, i] * across[a, j] + gain[a, j] * across[a, i]
                                + qq[states + a, i] * gain[a, j]
                                + qq[states + a, j] * gain[a, i])
            curve[i, j], curve[j, i] = total, total


@part
def feed_back(bent: Array, qq: Array, free: Array, gain: Array) -> None:
    """Gain = -bent^-1 Qux on the free components; rows at an active limit are zero."""
    actions, states = gain.shape
    root, column = np.empty_like(bent), np.empty(actions)
    # A part of a matrix that has a root has one, too.
    factorise(bent, free, root)
    for i in range(states):
        for a in range(actions):
            column[a] = -qq[states + a, i]
        solve(root, free, column)
        for a in range(actions):
            gain[a, i] = column[a]


@kept
def box_qp(hessian: Array, gradient: Array, low: Array, high: Array, x: Array,
           free: Array) -> bool:
    """
    Minimise x' H x / 2 + g' x within limits; see ``feedback.box_qp``.

    :param x: filled in.
    :param free: filled in.
    :returns: false if H is not positive definite.
    """
    size = len(x)
    root, slope, move = np.empty_like(hessian), np.empty(size), np.empty(size)
    free[:] = True
    if not factorise(hessian, free, root):
        return False
    largest = 0.0
    for i in range(size):
        x[i] = -gradient[i]
        largest = max(largest, abs(gradient[i]))
    solve(root, free, x)
    for i in range(size):
        x[i] = clipped(x[i], low[i], high[i])
    for _ in range(_STEPS):
        worst = -1.0
        for i in range(size):
            slope[i] = gradient[i]
            for j in range(size):
                slope[i] += hessian[i, j] * x[j]
            free[i] = not ((x[i] <= low[i] and slope[i] > 0.0)
                           or (x[i] >= high[i] and slope[i] < 0.0))
            if free[i]:
                worst = max(worst, abs(slope[i]))
            move[i] = -slope[i]
        if worst <= _ZERO * (1.0 + largest):
            break
        factorise(hessian, free, root)
        solve(root, free, move)
        if not search(hessian, gradient, slope, x, move, low, high):
            break
    return True


@part
def search(hessian: Array, gradient: Array, slope: Array, x: Array, move: Array, low: Array,
           high: Array) -> bool:
    """Move x by Armijo's rule along the projected path; false if nothing is gained."""
    size, factor, other = len(x), 1.0, np.empty(len(x))
    for _ in range(_STEPS):
        gained, promised = 0.0, 0.0
        for i in range(size):
            other[i] = clipped(x[i] + factor * move[i], low[i], high[i])
            promised += slope[i] * (other[i] - x[i])
        for i in range(size):
            for j in range(size):
                gained += 0.5 * (other[i] - x[i]) * hessian[i, j] * (other[j] - x[j])
        if gained + promised < 0.1 * promised:
            x[:] = other
            return True
        factor *= 0.5
    return False


@part
def clipped(value: float, low: float, high: float) -> float:
    """Clip; NaN stays NaN, which a minimum need not say."""
    return low if value < low else high if value > high else value


@part
def factorise(matrix: Array, free: Array, root: Array) -> bool:
    """
    Factorise the free part of a symmetric matrix into L D L', after Cholesky.

    :param root: L below the diagonal and D on it, filled in.
    :returns: false if that part is not positive definite, or not finite.
    """
    for i in range(len(matrix)):
        for j in range(i + 1):
            if not (free[i] and free[j]):
                continue
            total = matrix[i, j]
            for k in range(j):
                if free[k]:
                    total -= root[i, k] * root[j, k] * root[k, k]
            if i > j:
                root[i, j] = total / root[j, j]
            elif total > 0.0:
                root[i, i] = total
            else:  # also NaN
                return False
    return True


@part
def solve(root: Array, free: Array, values: Array) -> None:
    """Solve in place for the free components; the others become zero."""
    size = len(values)
    for i in range(size):
        for k in range(i):
            if free[i] and free[k]:
                values[i] -= root[i, k] * values[k]
        if not free[i]:
            values[i] = 0.0
    for i in range(size - 1, -1, -1):
        if free[i]:
            values[i] /= root[i, i]
        for k in range(i + 1, size):
            if free[i] and free[k]:
                values[i] -= root[k, i] * values[k]
