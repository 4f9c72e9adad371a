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

"""The sequential half of second-order planning: the backward pass with control limits."""

from dataclasses import dataclass

from jaxtyping import Bool, Float64
import numpy as np

from hlai_control.actor.objective import Curvatures, Slopes
from hlai_control.compiled import riccati

Array = np.ndarray


@dataclass(frozen=True)
class Policy:
    """
    a[t] = actions[t] + alpha feedforward[t] + sum over E of feedback[t] (s - states[t]).

    :param feedforward: the full step, within the limits.
    :param feedback: gains on each member's deviation; a row at an active
        limit is zero.
    :param promised: by how much the full step changes the quadratic model of F.
    """

    feedforward: Float64[Array, 'T A']
    feedback: Float64[Array, 'E T A S']
    promised: float


def backward(slopes: Slopes, curvatures: Curvatures, low: Float64[Array, 'T A'],
             high: Float64[Array, 'T A'], damping: float) -> Policy | None:
    """
    Solve the local problem from its end: control-limited DDP.

    Tassa, Mansard and Todorov 2014, *Control-limited differential dynamic
    programming*, with the Gauss-Newton approximation of the dynamics (iLQR);
    the members' states are stacked into one. Dynamic programming on a
    quadratic model: ``Q = l + F' V' F``, with the step limited as in their
    section III. Damping is that of Levenberg and Marquardt, in proportion to
    the mean curvature with regard to the action: the more of it, the shorter
    the step, and the weaker the feedback.

    :param low: least admissible step, limit minus action.
    :param high: greatest admissible step.
    :param damping: 0 for the undamped problem.
    :returns: None if the problem is not convex, or not finite.
    """
    members, horizon, size, both = slopes.jacobian.shape
    states, actions = members * size, both - size
    forward, gradient, hessian = _stacked(slopes, curvatures)
    # The terminal value may look at the last action, too: it passes through unchanged.
    step = np.vstack([forward[-1], np.eye(actions, states + actions, states)])
    gradient[-1] += _last(slopes.last_gradient, size) @ step
    hessian[-1] += step.T @ _last_curve(curvatures.last_hessian, size) @ step
    steps, gains = np.empty((horizon, actions)), np.empty((horizon, actions, states))
    promised = riccati.recursion(forward, gradient, hessian, low, high, damping, steps, gains)
    if promised == np.inf:
        return None
    if not (np.isfinite(steps).all() and np.isfinite(gains).all()):
        return None
    split = gains.reshape(horizon, actions, members, size).transpose(2, 0, 1, 3)
    return Policy(steps, split, promised)


def box_qp(hessian: Float64[Array, 'A A'], gradient: Float64[Array, ' A'],
           low: Float64[Array, ' A'], high: Float64[Array, ' A']
           ) -> tuple[Float64[Array, ' A'], Bool[Array, ' A']] | None:
    """
    Minimise x' H x / 2 + g' x within limits, by projected Newton steps.

    Bertsekas 1982; Tassa, Mansard and Todorov 2014, algorithm 1.

    :returns: the minimiser, and which components are not at a limit with
        the gradient pushing outwards; None if H is not positive definite.
    """
    x, free = np.empty_like(gradient), np.empty(len(gradient), np.bool_)
    return (x, free) if riccati.box_qp(hessian, gradient, low, high, x, free) else None


def _stacked(slopes: Slopes, curvatures: Curvatures) -> tuple[Array, Array, Array]:
    """Put the members' states side by side; costs add up, the action is shared."""
    members, horizon, size, both = slopes.jacobian.shape
    if members == 1:
        return (np.ascontiguousarray(slopes.jacobian[0]), slopes.gradient[0].copy(),
                curvatures.hessian[0].copy())
    states = members * size
    width = states + both - size
    forward = np.zeros((horizon, states, width))
    gradient, hessian = np.zeros((horizon, width)), np.zeros((horizon, width, width))
    for member in range(members):
        rows = np.arange(member * size, (member + 1) * size)
        columns = np.concatenate([rows, np.arange(states, width)])
        forward[:, rows[:, None], columns] = slopes.jacobian[member]
        gradient[:, columns] += slopes.gradient[member]
        hessian[:, columns[:, None], columns] += curvatures.hessian[member]
    return forward, gradient, hessian


def _last(gradient: Array, size: int) -> Array:
    return np.concatenate([gradient[:, :size].ravel(), gradient[:, size:].sum(axis=0)])


def _last_curve(hessian: Array, size: int) -> Array:
    members, both, _ = hessian.shape
    states = members * size
    full = np.zeros((states + both - size, states + both - size))
    for member in range(members):
        rows = np.arange(member * size, (member + 1) * size)
        columns = np.concatenate([rows, np.arange(states, len(full))])
        full[columns[:, None], columns] += hessian[member]
    return full
