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
The backward pass of second-order planning without ever leaving the device.

The same arithmetic as ``feedback.py``, in tensor operations alone: no pivoting,
no convergence that is asked for, no library routine that reports to the host.
All loops have fixed lengths, so that a CUDA graph can hold them.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
import torch
from torch import Tensor

# Newton steps of one box-constrained quadratic programme, and halvings in each.
_NEWTON, _HALVINGS = 10, 20
_ARMIJO = 0.1


@dataclass(frozen=True)
class Local:
    """
    A quadratic model along a trajectory; the terminal value is in the last step.

    :param forward: d s' / d(s, a).
    :param gradient: of the discounted stage costs.
    :param hessian: the same, positive semi-definite.
    """

    forward: Float[Tensor, 'T S N']
    gradient: Float[Tensor, 'T N']
    hessian: Float[Tensor, 'T N N']


@dataclass(frozen=True)
class DevicePolicy:
    """
    a[t] = actions[t] + alpha steps[t] + gains[t] (s - states[t]).

    :param promised: by how much the full step changes the quadratic model of F.
    :param convex: whether all steps had a minimum; if not, the rest means nothing.
    """

    steps: Float[Tensor, 'T A']
    gains: Float[Tensor, 'T A S']
    promised: Float[Tensor, '']
    convex: Bool[Tensor, '']


def device_backward(local: Local, low: Float[Tensor, 'T A'], high: Float[Tensor, 'T A'],
                    damping: Float[Tensor, '']) -> DevicePolicy:
    """
    Solve the local problem from its end; see ``feedback.backward``.

    :param low: least admissible step, limit minus action.
    :param high: greatest admissible step.
    :param damping: 0 for the undamped problem.
    """
    horizon, size, width = local.forward.shape
    eye = torch.eye(width - size, dtype=low.dtype, device=low.device)
    slope, curve = low.new_zeros(size), low.new_zeros(size, size)
    promised = low.new_zeros(())
    convex = torch.ones((), dtype=torch.bool, device=low.device)
    steps, gains = list[Tensor](), list[Tensor]()
    for t in range(horizon - 1, -1, -1):
        forward = local.forward[t]
        q = local.gradient[t] + slope @ forward
        qq = local.hessian[t] + forward.mT @ curve @ forward
        quu, qux = qq[size:, size:], qq[size:, :size]
        mean = quu.diagonal().mean()
        bent = quu + damping * (mean + 1e-12) * eye
        step, free, fine = device_box_qp(bent, q[size:], low[t], high[t])
        promised = promised + step @ (q[size:] + 0.5 * quu @ step)
        # Only free components feed back; the others keep to their limit.
        gain = -free.unsqueeze(-1) * solve(_masked(bent, free), qux * free.unsqueeze(-1))[0]
        slope = q[:size] + gain.mT @ (quu @ step + q[size:]) + qux.mT @ step
        curve = qq[:size, :size] + gain.mT @ (quu @ gain + qux) + qux.mT @ gain
        curve = 0.5 * (curve + curve.mT)
        convex = convex & fine
        steps.append(step)
        gains.append(gain)
    made = torch.stack(steps[::-1]), torch.stack(gains[::-1])
    return DevicePolicy(*made, promised, convex & torch.isfinite(made[0]).all()
                        & torch.isfinite(made[1]).all())


def device_box_qp(hessian: Float[Tensor, 'A A'], gradient: Float[Tensor, ' A'],
                  low: Float[Tensor, ' A'], high: Float[Tensor, ' A']
                  ) -> tuple[Float[Tensor, ' A'], Float[Tensor, ' A'], Bool[Tensor, '']]:
    """
    Minimise x' H x / 2 + g' x within limits, by a fixed number of projected Newton steps.

    Tassa, Mansard and Todorov 2014, algorithm 1; one actuator needs but clipping.

    :returns: the minimiser, 1 for each component that is free (not at a limit
        with the gradient pushing outwards) and 0 for the others, and whether
        H is positive definite.
    """
    found, positive = solve(hessian, gradient.unsqueeze(-1))
    x = torch.clamp(-found[:, 0], low, high)
    for _ in range(_NEWTON if len(gradient) > 1 else 0):
        slope = gradient + hessian @ x
        free = _free(x, slope, low, high)
        move = -free * solve(_masked(hessian, free), (free * slope).unsqueeze(-1))[0][:, 0]
        x = _searched(hessian, gradient, x, move, low, high)
    return x, _free(x, gradient + hessian @ x, low, high), positive


def solve(matrix: Float[Tensor, 'A A'], sides: Float[Tensor, 'A M']
          ) -> tuple[Float[Tensor, 'A M'], Bool[Tensor, '']]:
    """
    Solve a positive definite system by elimination (Gauss-Jordan), which needs no pivoting.

    :returns: the solution, and whether all pivots were positive.
    """
    size = len(matrix)
    rows = torch.cat([matrix, sides], dim=1)
    eye = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    positive = torch.ones((), dtype=torch.bool, device=matrix.device)
    for i in range(size):
        pivot = rows[i, i]
        positive = positive & (pivot > 0.0)
        scaled = rows[i] / pivot
        rows = rows - (rows[:, i] - eye[i]).unsqueeze(-1) * scaled
    return rows[:, size:], positive


def device_projected(matrices: Float[Tensor, 'B N N']) -> Float[Tensor, 'B N N']:
    """
    Move symmetric matrices to the nearest positive semi-definite ones.

    That is (H + abs H) / 2, with abs H = H sign H, and the sign by the iteration
    of Newton and Schulz (Higham 2008, *Functions of matrices*, section 5.3):
    products alone, where eigenvalues would be computed by a routine that the
    host waits for. An eigenvalue smaller than the greatest by more than the
    type's precision may keep its sign; it is nothing then.
    """
    norm = matrices.flatten(1).norm(dim=1)[:, None, None]
    sign = matrices / norm.clamp_min(torch.finfo(matrices.dtype).tiny)
    # A small one grows by 3 / 2 each time: up to the precision, and six more to settle.
    precision = torch.finfo(matrices.dtype).bits
    for _ in range(96 if precision == 64 else 46):
        sign = 1.5 * sign - 0.5 * sign @ sign @ sign
    absolute = matrices @ sign
    return 0.5 * (matrices + 0.5 * (absolute + absolute.mT))


def _free(x: Tensor, slope: Tensor, low: Tensor, high: Tensor) -> Tensor:
    stuck = ((x <= low) & (slope > 0.0)) | ((x >= high) & (slope < 0.0))
    return (~stuck).to(x.dtype)


def _masked(hessian: Tensor, free: Tensor) -> Tensor:
    # The part of the free components; elsewhere one, so that it can be solved.
    return hessian * free * free.unsqueeze(-1) + torch.diag(1.0 - free)


def _searched(hessian: Tensor, gradient: Tensor, x: Tensor, move: Tensor, low: Tensor,
              high: Tensor) -> Tensor:
    # Armijo's rule along the projected path, all halvings at once; the longest that meets it.
    sizes = 0.5 ** torch.arange(_HALVINGS, dtype=x.dtype, device=x.device).unsqueeze(-1)
    tried = torch.clamp(x + sizes * move, low, high)
    value = gradient @ x + 0.5 * x @ hessian @ x
    ahead = tried @ gradient + 0.5 * (tried @ hessian * tried).sum(dim=1)
    good = ahead < value + _ARMIJO * (tried - x) @ (gradient + hessian @ x)
    first = good.to(torch.int64).argmax(dim=0, keepdim=True)
    return torch.where(good.any(), tried.index_select(0, first)[0], x)
