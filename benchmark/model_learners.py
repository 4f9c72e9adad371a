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
The learners that ``model_throughput.py`` compares, each behind the same three calls.

mbrl's and torchrl's parts are used as their documentation shows: mbrl's
ensemble is trained by its ``ModelTrainer`` on its ``BootstrapIterator``, with
the settings of its ``pets_cartpole`` example; torchrl's is tensordict's
``EnsembleModule`` of its ``MLP``, on batches of its ``TensorDictReplayBuffer``.
Both get angles as sine and cosine and scaled inputs, and predict differences
of states, torchrl's in units of their spread.
"""

from collections.abc import Callable
from typing import Any, Protocol

from mbrl.models import GaussianMLP, ModelTrainer, OneDTransitionRewardModel
from mbrl.types import TransitionBatch
from mbrl.util.replay_buffer import BootstrapIterator
import numpy as np
from tensordict import TensorDict
from tensordict.nn import EnsembleModule, NormalParamExtractor, TensorDictModule
import torch
from torch import nn, Tensor
from torchrl.data import LazyTensorStorage, SamplerWithoutReplacement, TensorDictReplayBuffer
from torchrl.modules import IndependentNormal, MLP

from hlai_control.layout import Layout
from hlai_control.settings import WorldModelSettings
from hlai_control.types import Batch, generator
from hlai_control.world_model.learner import WorldModelLearner

ANGLE = 1  # of the state's columns
# As `hlai train` does: the coefficients are fitted to so many transitions.
WINDOW = 8192
# Of mbrl's example pets_cartpole.
PETS_RATE, PETS_DECAY, PETS_BATCH, PETS_LAYERS, PETS_WIDTH = 7.5e-4, 3e-5, 256, 4, 200


class Contestant(Protocol):
    """One learner on one data set."""

    def train(self) -> int:
        """Train for a moment; return the rows that each member has looked at."""
        ...

    def hand_out(self) -> None:
        """Do what is needed before the newest model can be used; counts as training."""
        ...

    def predict(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the next state, of each member (E, B, S)."""
        ...


class Ours:
    """The learner that runs in the world model's node, with its default settings."""

    updates = 10

    def __init__(self, layout: Layout, data: Batch, seed: int) -> None:
        """Remember the data."""
        self._settings = WorldModelSettings(window=max(512, min(WINDOW, len(data.state))))
        self._learner = WorldModelLearner(layout, self._settings, generator(seed, 'world_model'))
        self._learner.extend(data)

    def train(self) -> int:
        """Make a few updates."""
        for _ in range(self.updates):
            self._learner.update()
        return self.updates * self._settings.batch

    def hand_out(self) -> None:
        """Fit the coefficients."""
        self._dynamics = self._learner.dynamics

    def predict(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Take the spread as what one unit of the latent does."""
        start = state.expand(self._dynamics.members, -1, -1)
        mean = self._dynamics.step(start, action)
        return mean, self._dynamics.step(start, action, torch.ones_like(start)) - mean


class Mbrl:
    """
    mbrl's Gaussian ensemble.

    :param members: E.
    :param layers: hidden layers.
    :param width: units in each.
    :param batch: rows per update.
    :param rate: of Adam.
    :param decay: of weights.
    """

    def __init__(self, data: Batch, seed: int, members: int, layers: int = PETS_LAYERS,
                 width: int = PETS_WIDTH, batch: int = PETS_BATCH, rate: float = PETS_RATE,
                 decay: float = PETS_DECAY) -> None:
        """Draw weights and fit the scales."""
        torch.manual_seed(seed)
        size = data.state.shape[1]
        network = GaussianMLP(size + 2, size, 'cpu', layers, members, width,
                              activation_fn_cfg={'_target_': 'torch.nn.SiLU'})
        self._model = OneDTransitionRewardModel(
            network, target_is_delta=True, normalize=True, normalize_double_precision=True,
            learned_rewards=False, obs_process_fn=_seen)
        rows, zeros = len(data.state), np.zeros(len(data.state), dtype=np.float32)
        transitions = TransitionBatch(*(part.numpy() for part in (
            data.state, data.action, data.next_state)), zeros, zeros, zeros)
        self._model.update_normalizer(transitions)
        self._rows = rows
        self._data = BootstrapIterator(transitions, batch, members, shuffle_each_epoch=True,
                                       permute_indices=False, rng=np.random.default_rng(seed))
        self._trainer = ModelTrainer(self._model, optim_lr=rate, weight_decay=decay)

    def train(self) -> int:
        """Make one epoch."""
        self._trainer.train(self._data, num_epochs=1, evaluate=False, silent=True)
        return self._rows

    def hand_out(self) -> None:
        """Nothing is needed."""

    def predict(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Ask all members."""
        inputs = self._model.input_normalizer.normalize(torch.cat([_seen(state), action], dim=-1))
        mean, log_variance = self._model(inputs.float())
        return state + mean, (0.5 * log_variance).exp()


class TorchRl:
    """
    An ensemble of torchrl's networks.

    :param members: E.
    :param cells: units of the hidden layers; None: torchrl's own.
    :param batch: rows per update.
    :param rate: of Adam.
    """

    updates = 8

    def __init__(self, data: Batch, seed: int, members: int, cells: list[int] | None,
                 batch: int, rate: float, activation: Callable[[], nn.Module]) -> None:
        """Draw weights, fit the scales, and store the data."""
        torch.manual_seed(seed)
        size = data.state.shape[1]
        shape: dict[str, Any] = {} if cells is None else {'num_cells': cells}
        network = nn.Sequential(
            MLP(in_features=size + 2, out_features=2 * size, activation_class=activation,
                **shape), NormalParamExtractor())
        self._ensemble = EnsembleModule(TensorDictModule(
            network, in_keys=['inputs'], out_keys=['loc', 'scale']), num_copies=members)
        inputs, change = self._inputs(data.state, data.action), data.next_state - data.state
        self._mean, self._std = inputs.mean(dim=0), inputs.std(dim=0)
        self._unit = change.std(dim=0)
        self._buffer = TensorDictReplayBuffer(
            storage=LazyTensorStorage(len(data.state)), sampler=SamplerWithoutReplacement(),
            batch_size=batch)
        self._buffer.extend(TensorDict({'inputs': (inputs - self._mean) / self._std,
                                        'target': change / self._unit},
                                       batch_size=[len(data.state)]))
        self._optimiser = torch.optim.Adam(self._ensemble.parameters(), lr=rate)

    def train(self) -> int:
        """Make a few updates."""
        rows = 0
        for _ in range(self.updates):
            batch = self._buffer.sample()
            ahead = self._ensemble(batch.select('inputs'))
            loss = -IndependentNormal(ahead['loc'], ahead['scale']).log_prob(
                batch['target']).mean()
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            rows += len(batch)
        return rows

    def hand_out(self) -> None:
        """Nothing is needed."""

    def predict(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Ask all members."""
        inputs = (self._inputs(state, action) - self._mean) / self._std
        ahead = self._ensemble(TensorDict({'inputs': inputs}, batch_size=[len(inputs)]))
        return state + self._unit * ahead['loc'], self._unit * ahead['scale']

    @staticmethod
    def _inputs(state: Tensor, action: Tensor) -> Tensor:
        return torch.cat([_seen(state), action], dim=-1)


def contestants(layout: Layout, data: Batch, seed: int) -> dict[str, Callable[[], Contestant]]:
    """Return how each is made, by the name of its row; making it counts as training."""
    pets = [PETS_WIDTH] * PETS_LAYERS
    ours = WorldModelSettings()
    own = {'batch': ours.batch, 'rate': ours.learning_rate}
    return {
        'hlai_control': lambda: Ours(layout, data, seed),
        'mbrl, 7 of 4 x 200 (its example)': lambda: Mbrl(data, seed, 7),
        'mbrl, 4 of 4 x 200': lambda: Mbrl(data, seed, 4),
        'mbrl, 4 of 2 x 32 (our size)': lambda: Mbrl(data, seed, 4, 2, 32, decay=0.0, **own),
        'torchrl, 4 of 3 x 32 (its MLP)': lambda: TorchRl(
            data, seed, 4, None, activation=nn.Tanh, **own),
        'torchrl, 4 of 4 x 200': lambda: TorchRl(
            data, seed, 4, pets, PETS_BATCH, PETS_RATE, nn.SiLU),
        'torchrl, 4 of 2 x 32 (our size)': lambda: TorchRl(
            data, seed, 4, [32, 32], activation=nn.SiLU, **own),
    }


def _seen(state: Any) -> Any:
    library = torch if isinstance(state, Tensor) else np
    angle = state[..., ANGLE:ANGLE + 1]
    return library.concatenate([state[..., :ANGLE], library.sin(angle), library.cos(angle),
                                state[..., ANGLE + 1:]], -1)
