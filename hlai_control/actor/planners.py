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

"""Which planner: all of them by the names of the setting ``planner.kind``."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hlai_control.actor.adjoint import AdjointPlanner
from hlai_control.actor.captured import CapturedPlanner
from hlai_control.actor.carried import CarriedLayout
from hlai_control.actor.cem import CemPlanner
from hlai_control.actor.constrained import ConstrainedPlanner
from hlai_control.actor.ddp import DdpPlanner
from hlai_control.actor.device_adjoint import DeviceAdjointPlanner
from hlai_control.actor.device_ddp import DeviceDdpPlanner
from hlai_control.actor.device_hybrid import DeviceHybridPlanner
from hlai_control.actor.hybrid import HybridPlanner
from hlai_control.actor.icem import IcemPlanner
from hlai_control.actor.mppi import MppiPlanner
from hlai_control.actor.searching import DevicePlanner
from hlai_control.layout import Layout
from hlai_control.protocols import Planner
from hlai_control.settings import (
    AdjointSettings,
    CemSettings,
    ConstraintSettings,
    CuriositySettings,
    DdpSettings,
    HybridSettings,
    IcemSettings,
    MppiSettings,
    PlannerSettings,
    RiskSettings,
)


@dataclass(frozen=True)
class PlanningSettings:
    """
    What plans are made with: all planners, so that one may take another's place as it runs.

    :param planner: which one, and what they share.
    :param risk: over which scenarios energies are averaged.
    :param curiosity: what it costs to learn nothing.
    """

    planner: PlannerSettings = PlannerSettings()
    hybrid: HybridSettings = HybridSettings()
    ddp: DdpSettings = DdpSettings()
    adjoint: AdjointSettings = AdjointSettings()
    cem: CemSettings = CemSettings()
    icem: IcemSettings = IcemSettings()
    mppi: MppiSettings = MppiSettings()
    risk: RiskSettings = RiskSettings()
    curiosity: CuriositySettings = CuriositySettings()
    constraint: ConstraintSettings = ConstraintSettings()

    def configured(self, kind: str, horizon: int) -> 'PlanningSettings':
        """
        Change what a configuration may change.

        :param kind: name of the planner; empty: as it is.
        :param horizon: T [ticks]; 0: as it is.
        :raises SettingsError: if a value is not valid.
        """
        return replace(self, planner=replace(self.planner, kind=kind or self.planner.kind,
                                             horizon=horizon or self.planner.horizon))


Maker = Callable[[Layout], Planner]


def make_planner(layout: Layout, settings: PlanningSettings) -> Planner:
    """
    Make the planner that the settings name, able to keep to constraints, for the CPU.

    :param layout: limits of the commands.
    """
    planner = settings.planner
    own: dict[str, Maker] = {
        'hybrid': lambda robot: HybridPlanner(robot, planner, settings.hybrid, settings.ddp),
        'ddp': lambda robot: DdpPlanner(robot, planner.horizon, settings.ddp),
        'adjoint': lambda robot: AdjointPlanner(robot, planner.horizon, settings.adjoint)}
    make = {**own, **_searches(settings)}[planner.kind]
    return ConstrainedPlanner(layout, planner.horizon, make, settings.constraint)


def make_device_planner(layout: Layout, settings: PlanningSettings) -> Planner:
    """
    Make the planner that the settings name for another device than the CPU.

    Its searches are recorded, but for two cases. Within constraints each round
    has new multipliers and reads how far it came: its searches run as they
    are. And second-order steps that follow each scenario on its own
    (``risk``, or no ``ddp.merge``) have their backward pass on the CPU, as in
    :func:`make_planner`: several explicit transfers per refinement.

    :param layout: limits of the commands.
    """
    planner, risk = settings.planner, settings.risk
    single = risk.tail != 1.0 or risk.latents > 0 or not settings.ddp.merge
    if planner.kind in ('hybrid', 'ddp') and single:
        return make_planner(layout, settings)
    own: dict[str, Callable[[Layout], DevicePlanner]] = {
        'hybrid': lambda robot: DeviceHybridPlanner(
            robot, planner, settings.hybrid, settings.ddp),
        'ddp': lambda robot: DeviceDdpPlanner(robot, planner.horizon, settings.ddp),
        'adjoint': lambda robot: DeviceAdjointPlanner(
            robot, planner.horizon, settings.adjoint)}
    make = {**own, **_searches(settings)}[planner.kind]

    def recorded(robot: Layout) -> Planner:
        search = make(robot)
        return search if isinstance(robot, CarriedLayout) else CapturedPlanner(search)
    return ConstrainedPlanner(layout, planner.horizon, recorded, settings.constraint)


def _searches(settings: PlanningSettings) -> dict[str, Callable[[Layout], DevicePlanner]]:
    """Return what is one and the same on every device."""
    planner = settings.planner
    return {'mppi': lambda robot: MppiPlanner(robot, planner, settings.mppi),
            'icem': lambda robot: IcemPlanner(robot, planner, settings.icem),
            'cem': lambda robot: CemPlanner(robot, planner, settings.cem)}
