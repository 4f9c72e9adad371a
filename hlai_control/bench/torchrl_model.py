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

"""The world model as an environment of torchrl; imports torchrl, so only ``peers.py`` may."""

from collections.abc import Callable
from typing import Any

from tensordict import TensorDict
from tensordict.nn import TensorDictModule
import torch
from torch import Tensor
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.envs.model_based import ModelBasedEnvBase
from torchrl.modules import CEMPlanner, MPPIPlanner, ValueOperator
from torchrl.objectives.value import TDLambdaEstimator


class ImaginedEnv(ModelBasedEnvBase):
    """
    A learned model as torchrl's ``ModelBasedEnvBase``; the reward is the cost, negative.

    :param model: steps a batch of states that carry their energy so far.
    :param physical: brings commands into their own units.
    :param actions: A.
    :param horizon: T.
    """

    def __init__(self, model: Any, physical: Callable[[Tensor], Tensor], actions: int,
                 horizon: int) -> None:
        """Describe states, commands and rewards."""
        super().__init__(TensorDictModule(
            self._ahead, in_keys=['hidden', 'action'], out_keys=['hidden', 'reward']))
        self._follow, self._physical, self._horizon = model, physical, horizon
        self.observation_spec = Composite(hidden=Unbounded((model.width,)))
        self.state_spec = Composite(hidden=Unbounded((model.width,)))
        self.action_spec = Bounded(-torch.ones(actions), torch.ones(actions))
        self.reward_spec = Unbounded((1,))
        self._tried: list[Tensor] = []
        self._energy = torch.empty(0)

    def start(self, carried: Tensor) -> TensorDict:
        """Return what a planner is called with."""
        return TensorDict({'hidden': carried}, batch_size=[])

    def best(self) -> Tensor:
        """Return the best sequence (T, A) of the last roll-out."""
        return torch.stack(self._tried, dim=1)[self._energy.argmin()].clone()

    def _ahead(self, hidden: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        t = len(self._tried) % self._horizon
        if t == 0:
            self._tried = []
        self._tried.append(action)
        ahead = self._follow.step(hidden, self._physical(action), t)
        self._energy = ahead[:, -1]
        return ahead, hidden[:, -1:] - ahead[:, -1:]

    def _reset(self, tensordict: TensorDict, **_: Any) -> TensorDict:
        raise NotImplementedError('a planner begins where the robot is')


def planner(environment: ImaginedEnv, weighing: bool, horizon: int, iterations: int,
            candidates: int, kept: int) -> Any:
    """Make torchrl's planner; MPPI weighs by returns, so its value function is zero."""
    if not weighing:
        return CEMPlanner(environment, planning_horizon=horizon, optim_steps=iterations,
                          num_candidates=candidates, top_k=kept)
    zero = torch.nn.Linear(environment.observation_spec['hidden'].shape[-1], 1)
    torch.nn.init.zeros_(zero.weight)
    torch.nn.init.zeros_(zero.bias)
    advantage = TDLambdaEstimator(gamma=1.0, lmbda=1.0, value_network=ValueOperator(
        zero, in_keys=['hidden']))
    return MPPIPlanner(environment, advantage, temperature=1.0, planning_horizon=horizon,
                       optim_steps=iterations, num_candidates=candidates, top_k=kept)
