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

"""What a user may change about running: guard, simulated robot, configurator."""

from dataclasses import dataclass

from hlai_control.settings.declaring import choice, named, setting, Settings
from hlai_control.settings.planning import PLANNERS


@dataclass(frozen=True)
class GuardSettings(Settings):
    """Of the guard, between actor and hardware."""

    silence_s: float = setting(
        0.15, 0.01, 60.0, 'Without a new command for so long, the safe command is sent [s].')
    blind_s: float = setting(
        0.25, 0.01, 60.0, 'Without a new measurement for so long, it is sent as well [s].')
    stale_ticks: int = setting(
        2, 0, 1000, 'Ticks by which a command may lag behind the newest measurement.')
    ramp_s: float = setting(
        0.0, 0.0, 60.0, 'Time from arming until the full authority is reached [s].')
    authority: float = setting(
        1.0, 0.0, 1.0, 'Fraction of the limits that may be used; 0.2 on new hardware.')


@dataclass(frozen=True)
class SimulationSettings(Settings):
    """Of the simulated robot; all may change while it runs."""

    noise_scale: float = setting(1.0, 0.0, 100.0, "Factor on the manifest's sensor noise.")
    action_delay_ticks: int = setting(
        -1, -1, 64, 'Ticks from a command to its effect; -1: as the manifest states.')
    payload_kg: float = setting(0.0, 0.0, 1000.0, 'Mass added to the last link [kg].')
    friction_scale: float = setting(1.0, 0.0, 100.0, "Factor on the manifest's joint damping.")
    frozen_sensor: str = named(
        '', 'a measured coordinate, or empty', 'Sensor that repeats its last reading.')
    biased_sensor: str = named(
        '', 'a measured coordinate, or empty', 'Sensor to which sensor_bias is added.')
    sensor_bias: float = setting(0.0, -1000.0, 1000.0, 'Added to it, in its unit.')
    stall_s: float = setting(
        10.0, 0.1, 3600.0, 'Lockstep: report who owes the tick after so long [s].')


@dataclass(frozen=True)
class ConfiguratorSettings(Settings):
    """What the configurator sets the engine up with, and how it brings nodes up."""

    planner: str = choice('', ('', *PLANNERS), "Planner; empty: the actor's own.")
    horizon: int = setting(0, 0, 500, "Planning horizon [planning steps]; 0: the actor's own.")
    iterations: int = setting(0, 0, 100, "Refinements per plan; 0: the actor's own.")
    # A request that is lost costs one timeout, a lost answer much less (ros/managers.py); a node
    # that configures may take several.
    call_timeout_s: float = setting(4.0, 0.1, 600.0, 'Bound of one lifecycle call [s].')
    attempts: int = setting(8, 1, 100, 'Tries of one lifecycle call.')
    start_timeout_s: float = setting(60.0, 1.0, 3600.0, 'Bound for a process to appear [s].')
