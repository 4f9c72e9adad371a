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
Adam, without what ``torch.optim`` brings along.

Its first optimiser imports the compiler of torch and sympy: 1.3 s of processor
time in each process that learns, of the seven that a robot's start takes.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import nn, Tensor

_BETAS, _EPSILON = (0.9, 0.999), 1e-8
_KEYS = ('step', 'exp_avg', 'exp_avg_sq')


class Adam:
    """
    Kingma and Ba 2015, *Adam: a method for stochastic optimization*.

    One fused kernel per step; equal to ``torch.optim.Adam(fused=True)`` with
    its defaults to the last bit.

    :param parameters: what to improve; those without a gradient are left alone.
    :param rate: step size.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        """Begin without any memory of gradients."""
        self._parameters, self.rate = tuple(parameters), rate
        self._state: dict[int, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Make one step against the gradients at hand."""
        parameters, gradients, states = list[Tensor](), list[Tensor](), list[dict[str, Tensor]]()
        for number, parameter in enumerate(self._parameters):
            if parameter.grad is None:
                continue
            if number not in self._state:
                self._state[number] = {
                    'step': torch.zeros((), dtype=torch.float32, device=parameter.device),
                    'exp_avg': torch.zeros_like(parameter),
                    'exp_avg_sq': torch.zeros_like(parameter)}
            parameters.append(parameter)
            gradients.append(parameter.grad)
            states.append(self._state[number])
        if not parameters:
            return
        steps, means, squares = ([state[key] for state in states] for key in _KEYS)
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters, gradients, means, squares, [], steps, lr=self.rate, beta1=_BETAS[0],
            beta2=_BETAS[1], weight_decay=0.0, eps=_EPSILON, amsgrad=False, maximize=False)

    def state(self) -> dict[str, Tensor]:
        """Copy its memory, by number of the parameter and name."""
        return {f'{number}.{key}': value.clone() for number, state in self._state.items()
                for key, value in state.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a memory; of parameters that there are no longer nothing is taken."""
        self._state = {}
        for name, value in state.items():
            number, _, key = name.partition('.')
            if int(number) < len(self._parameters):
                self._state.setdefault(int(number), {})[key] = value.clone()
