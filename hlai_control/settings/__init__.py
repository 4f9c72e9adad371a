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
Every number that a user may change, as frozen and validated dataclasses.

ROS parameters are declared from these (``ros/parameters.py``), one per
field, with the field's range and text; there is no second source of truth.
No torch here: the configurator and the command line import this module.
"""

from hlai_control.settings.declaring import choice, setting, Settings
from hlai_control.settings.learning import (
    CriticSettings,
    PerceptionSettings,
    PolicySettings,
    ScheduleSettings,
    SurpriseSettings,
    WorldModelSettings,
)
from hlai_control.settings.planning import (
    AdjointSettings,
    CemSettings,
    ConstraintSettings,
    CuriositySettings,
    DdpSettings,
    DEVICES,
    HybridSettings,
    IcemSettings,
    MppiSettings,
    NOISES,
    PLANNERS,
    PlannerSettings,
    RiskSettings,
)
from hlai_control.settings.running import ConfiguratorSettings, GuardSettings, SimulationSettings

__all__ = [
    'AdjointSettings',
    'CemSettings',
    'ConfiguratorSettings',
    'ConstraintSettings',
    'CriticSettings',
    'CuriositySettings',
    'DEVICES',
    'DdpSettings',
    'GROUPS',
    'GuardSettings',
    'HybridSettings',
    'IcemSettings',
    'MppiSettings',
    'NOISES',
    'PLANNERS',
    'PerceptionSettings',
    'PlannerSettings',
    'PolicySettings',
    'RiskSettings',
    'ScheduleSettings',
    'Settings',
    'SimulationSettings',
    'SurpriseSettings',
    'WorldModelSettings',
    'choice',
    'group_of',
    'setting',
]

# The prefix of each class's ROS parameters, ``world_model.hidden``; the same in
# every node, so that whoever loads an artefact knows its sizes.
GROUPS: dict[str, type[Settings]] = {
    'perception': PerceptionSettings,
    'world_model': WorldModelSettings,
    'surprise': SurpriseSettings,
    'critic': CriticSettings,
    'policy': PolicySettings,
    'planner': PlannerSettings,
    'hybrid': HybridSettings,
    'ddp': DdpSettings,
    'adjoint': AdjointSettings,
    'cem': CemSettings,
    'icem': IcemSettings,
    'mppi': MppiSettings,
    'risk': RiskSettings,
    'curiosity': CuriositySettings,
    'constraint': ConstraintSettings,
    'schedule': ScheduleSettings,
    'guard': GuardSettings,
    'simulation': SimulationSettings,
    'configurator': ConfiguratorSettings,
}


def group_of(kind: type[Settings]) -> str:
    """Return the parameter prefix of a settings class."""
    return next(name for name, member in GROUPS.items() if member is kind)
