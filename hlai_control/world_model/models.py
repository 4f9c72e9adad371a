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

"""Which world model a robot gets, and who teaches it."""

from typing import TypeAlias

import torch

from hlai_control.layout import Layout
from hlai_control.learning.crew import Crew
from hlai_control.settings import WorldModelSettings
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.hypotheses import Hypotheses
from hlai_control.world_model.hypotheses_learner import HypothesesLearner
from hlai_control.world_model.learner import WorldModelLearner
from hlai_control.world_model.mechanism import is_mechanism

WorldModel: TypeAlias = EnsembleDynamics | Hypotheses
Learner: TypeAlias = WorldModelLearner | HypothesesLearner


def make_dynamics(layout: Layout, settings: WorldModelSettings,
                  generator: torch.Generator) -> WorldModel:
    """
    Make a world model that knows nothing.

    :param layout: the robot.
    :param settings: its size.
    :param generator: draws its initial weights.
    """
    kind = Hypotheses if _also_mechanism(layout, settings) else EnsembleDynamics
    return kind(layout, settings, generator)


def make_learner(layout: Layout, settings: WorldModelSettings, generator: torch.Generator,
                 crew: Crew | None = None) -> Learner:
    """
    Make its teacher.

    :param layout: the robot.
    :param settings: sizes, learning rate, ridge.
    :param generator: draws initial weights and batches.
    :param crew: the processes that train it together; None: this one alone.
    """
    kind = HypothesesLearner if _also_mechanism(layout, settings) else WorldModelLearner
    return kind(layout, settings, generator, crew)


def _also_mechanism(layout: Layout, settings: WorldModelSettings) -> bool:
    return settings.mechanism and is_mechanism(layout)
