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

"""What a user may change about planning."""

from dataclasses import dataclass

from hlai_control.errors import SettingsError
from hlai_control.settings.declaring import choice, setting, Settings

# The planners by name (``actor/planners.py``).
PLANNERS = ('hybrid', 'ddp', 'adjoint', 'mppi', 'icem', 'cem')
NOISES = ('coloured', 'spline')
DEVICES = ('cpu', 'cuda', 'auto')


@dataclass(frozen=True)
class PlannerSettings(Settings):
    """Of all planners, and of the noise with which most of them search."""

    kind: str = choice('hybrid', PLANNERS, f'Planner: {", ".join(PLANNERS)}.')
    device: str = choice(
        'cpu', DEVICES, 'Where the actor plans: cpu, cuda (the GPU), or auto (the GPU if there '
        'is one). Worth it from thousands of candidates or large networks on.')
    horizon: int = setting(16, 1, 500, 'Horizon T [planning steps].')
    stride: int = setting(
        1, 1, 100, 'Control periods per planning step: a fast loop looks as far ahead as a slow '
        'one, at the same effort; each command is then planned to last so long.')
    candidates: int = setting(128, 4, 1_000_000, 'Candidates K per iteration.')
    elites: int = setting(24, 2, 100_000, 'Candidates that shape the next iteration.')
    iterations: int = setting(3, 1, 100, 'Refinements per tick.')
    noise: str = choice(
        'coloured', NOISES, 'Noise of the search: coloured (a spectrum), or spline (smooth).')
    colour: float = setting(
        1.0, 0.0, 4.0, 'Exponent beta of the spectrum 1/f^beta of coloured noise; 0: white.')
    knots: int = setting(5, 1, 500, 'Control points of spline noise over one horizon.')
    spread: float = setting(0.5, 1e-3, 10.0, 'Initial std, as a fraction of the half range.')

    def __post_init__(self) -> None:
        """
        Check the ranges, and that there are candidates enough.

        :raises SettingsError: naming both settings.
        """
        super().__post_init__()
        if self.elites > self.candidates:
            raise SettingsError(f'PlannerSettings.elites = {self.elites} exceeds candidates = '
                                f'{self.candidates}; lower elites or raise candidates')


@dataclass(frozen=True)
class AdjointSettings(Settings):
    """Of the planner that follows the gradient (``actor/adjoint.py``)."""

    memory: int = setting(8, 1, 100, 'Steps that the quasi-Newton rule remembers.')
    step_sizes: int = setting(8, 1, 64, 'Step sizes tried at once, each half the one before.')


@dataclass(frozen=True)
class DdpSettings(Settings):
    """Of the second-order planner (``actor/ddp.py``)."""

    merge: bool = choice(
        True, (True, False), "Plan on the mean of the members' next states; false: on the mean "
        'of their energies, each member on a trajectory of its own.')
    step_sizes: int = setting(6, 1, 64, 'Step sizes tried at once, each half the one before.')


@dataclass(frozen=True)
class CemSettings(Settings):
    """Of the cross-entropy method (``actor/cem.py``), beside PlannerSettings."""

    momentum: float = setting(
        0.1, 0.0, 0.99, 'Weight of the old mean and std beside those of the elites.')


@dataclass(frozen=True)
class IcemSettings(Settings):
    """Of the improved cross-entropy method (``actor/icem.py``), beside PlannerSettings."""

    kept: float = setting(
        0.3, 0.0, 1.0, 'Fraction of the elites kept, within a tick and from tick to tick.')
    decay: float = setting(
        1.25, 1.0, 10.0, 'Factor by which the number of candidates falls per iteration.')
    shrink: float = setting(
        0.8, 0.0, 1.0, 'The std keeps at least this fraction per iteration.')


@dataclass(frozen=True)
class MppiSettings(Settings):
    """Of the planner that averages (``actor/mppi.py``), beside PlannerSettings."""

    temperature: float = setting(
        0.1, 1e-6, 1e3, 'Lambda, as a fraction of the mean excess over the best energy.')


@dataclass(frozen=True)
class HybridSettings(Settings):
    """Of the planner that proposes, then refines (``actor/hybrid.py``)."""

    samples: int = setting(32, 0, 100_000, 'Random proposals beside a warm start.')
    cold_samples: int = setting(56, 0, 100_000, 'Random proposals without a warm start.')
    swings: int = setting(
        0, 0, 100_000, 'Proposals that feed rates back, to swing or to brake; warm or not.')
    starts: int = setting(
        3, 1, 100, 'Of the later proposals without a warm start, how many are refined.')


@dataclass(frozen=True)
class RiskSettings(Settings):
    """Of the scenarios, members and draws of z, that judge a plan (``actor/risk.py``)."""

    tail: float = setting(
        1.0, 0.0, 1.0, 'Share of the scenarios, the worst ones, whose energies are averaged '
        '(CVaR); 1: the mean over all, 0: the worst one alone.')
    latents: int = setting(
        0, 0, 1000, 'Draws of the noise z per member; 0: its mode, no noise.')


@dataclass(frozen=True)
class CuriositySettings(Settings):
    """Of the search for what the world model does not know (``actor/curiosity.py``)."""

    weight: float = setting(
        0.0, 0.0, 1e6, 'Cost per nat of information that a control period could have brought '
        'and does not; 0: not curious.')
    exploring: float = setting(1.0, 0.0, 1e6, 'The same in mode explore.')


@dataclass(frozen=True)
class ConstraintSettings(Settings):
    """Of planning within constraints (``actor/constrained.py``)."""

    weight: float = setting(
        10.0, 1e-6, 1e6, 'First weight of squared violations, which are of order one.')
    refinements: int = setting(
        3, 1, 1000, 'Refinements between two updates of the multipliers.')
    tolerance: float = setting(
        1e-3, 0.0, 1.0, 'Violation that still counts as none, as a fraction of the limit.')
