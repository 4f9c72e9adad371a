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

"""Which world model and which learner the settings ask for."""

from typing import TypeAlias

import torch

from hlai_control.layout import Layout
from hlai_control.learning.crew import Crew
from hlai_control.settings import WorldModelSettings
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.hypotheses import Hypotheses
from hlai_control.world_model.hypotheses_learner import HypothesesLearner
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.mixture import MixtureDynamics
from hlai_control.world_model.mixture_learner import MixtureLearner
from hlai_control.world_model.structure import StructuredDynamics

WorldModel: TypeAlias = StructuredDynamics | Hypotheses
Learner: TypeAlias = WorldModelLearner | HypothesesLearner


def make_dynamics(layout: Layout, settings: WorldModelSettings,
                  generator: torch.Generator) -> WorldModel:
    """
    Make an untrained world model of the kind ``world_model.latent``.

    :param generator: draws the initial weights.
    """
    if settings.holds_mechanism(layout):
        return Hypotheses(layout, settings, generator)
    kind = {'gaussian': EnsembleDynamics, 'mixture': MixtureDynamics}[settings.latent]
    return kind(layout, settings, generator)


def make_learner(layout: Layout, settings: WorldModelSettings, generator: torch.Generator,
                 crew: Crew | None = None) -> Learner:
    """
    Make a learner of the kind ``world_model.latent`` that has seen nothing.

    :param generator: draws initial weights and batches.
    :param crew: the processes that train it together; None: this one alone.
    """
    if settings.holds_mechanism(layout):
        return HypothesesLearner(layout, settings, generator, crew)
    kind = {'gaussian': WorldModelLearner, 'mixture': MixtureLearner}[settings.latent]
    return kind(layout, settings, generator, crew)
