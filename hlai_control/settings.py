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

from dataclasses import dataclass, field, fields
from typing import Any

from hlai_control.errors import SettingsError


def setting(default: Any, low: float, high: float, doc: str) -> Any:
    """
    Declare one field with its range.

    :param default: the default value; its type is the parameter's type.
    :param low: least valid value (inclusive).
    :param high: greatest valid value (inclusive).
    :param doc: one sentence with the unit, shown by ``ros2 param describe``.
    """
    return field(default=default, metadata={'low': low, 'high': high, 'doc': doc})


def choice(default: Any, options: tuple[Any, ...], doc: str) -> Any:
    """
    Declare one field that takes one of a few values.

    :param default: the default value; its type is the parameter's type.
    :param options: the valid values, of one type.
    :param doc: one sentence, shown by ``ros2 param describe``.
    """
    return field(default=default, metadata={'options': options, 'doc': doc})


class Settings:
    """Base of all settings: checks each declared range on construction."""

    def __post_init__(self) -> None:
        """
        Check every field against its range or its options.

        :raises SettingsError: naming the field, the value and what is valid.
        """
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if 'options' in item.metadata:
                if value not in item.metadata['options']:
                    raise SettingsError(
                        f'{type(self).__name__}.{item.name} = {value!r} is not one of '
                        f'{", ".join(map(str, item.metadata["options"]))}: '
                        f'{item.metadata["doc"]}')
                continue
            low, high = item.metadata['low'], item.metadata['high']
            if not low <= value <= high:  # also refuses NaN
                raise SettingsError(
                    f'{type(self).__name__}.{item.name} = {value!r} is outside '
                    f'{low} .. {high}: {item.metadata["doc"]}')


@dataclass(frozen=True)
class PerceptionSettings(Settings):
    """Of the state estimator."""

    acceleration_std: float = setting(
        20.0, 1e-3, 1e6, 'Expected accelerations, 1 sigma [m/s^2 or rad/s^2].')


@dataclass(frozen=True)
class WorldModelSettings(Settings):
    """Of the ensemble and its training."""

    members: int = setting(4, 1, 16, 'Ensemble members E.')
    hidden: int = setting(32, 4, 1024, 'Units in each of the two hidden layers.')
    learning_rate: float = setting(3e-3, 1e-6, 1.0, 'Adam step size.')
    batch: int = setting(64, 1, 65536, 'Transitions per member and update.')
    ridge: float = setting(
        0.03, 1e-9, 1e6, 'Penalty on squared coefficients of the dynamics, beside squared '
        'errors in units of the typical acceleration.')
    window: int = setting(512, 8, 65536, 'Transitions that the coefficients are fitted to.')


@dataclass(frozen=True)
class CriticSettings(Settings):
    """Of the value function and its training."""

    members: int = setting(3, 1, 16, 'Value networks E, each fitted to its own share of data.')
    pessimism: float = setting(
        0.0, 0.0, 10.0, "Standard deviations of the members' values that are added to their mean.")
    trace: float = setting(
        0.95, 0.0, 1.0, 'Lambda of TD(lambda) along imagined roll-outs; 0: one step, 1: all.')
    hidden: int = setting(48, 4, 1024, 'Units in each of the two hidden layers.')
    learning_rate: float = setting(2e-3, 1e-6, 1.0, 'Adam step size.')
    batch: int = setting(64, 1, 65536, 'Start states per update.')
    imagined_steps: int = setting(5, 1, 100, 'Length of imagined roll-outs [ticks].')
    practised: int = setting(256, 1, 65536, 'Planned states per update on plans.')
    target_rate: float = setting(0.05, 1e-4, 1.0, 'Polyak rate of the target network.')


@dataclass(frozen=True)
class PolicySettings(Settings):
    """Of the policy and its training (``actor/policy.py``, ``actor/policy_learner.py``)."""

    hidden: int = setting(48, 4, 1024, 'Units in each of the two hidden layers.')
    learning_rate: float = setting(2e-3, 1e-6, 1.0, 'Adam step size.')
    batch: int = setting(32, 1, 65536, 'Start states per update.')
    imagined_steps: int = setting(12, 1, 100, 'Length of imagined roll-outs [ticks].')
    uncertainty: float = setting(
        0.5, 0.0, 1e3, "Standard deviations of the members' costs added to their mean (PPUU).")
    propose: bool = choice(
        False, (True, False), "Plans may begin from the policy's commands, if these cost less.")


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


@dataclass(frozen=True)
class ScheduleSettings(Settings):
    """How learners keep pace with the robot; see docs/architecture.md, Time."""

    updates: int = setting(5, 0, 10_000, 'World model updates U per transition.')
    critic_updates: int = setting(2, 0, 10_000, 'Critic updates per transition.')
    plans: int = setting(0, 0, 1000, 'Plans per transition that critic and policy learn from.')
    practice: int = setting(
        6, 0, 10_000, 'Updates on such plans per transition, of critic and policy each.')
    policy_updates: int = setting(
        0, 0, 10_000, 'Updates of the policy by backprop through the world model per transition.')
    publish_every: int = setting(2, 1, 1000, 'Ticks P between published versions.')
    due_after: int = setting(2, 1, 1000, 'Ticks D until a version must be in use.')
    explore_ticks: int = setting(
        6, 1, 100_000, 'Transitions made at random before the first world model is used.')

    @property
    def acting(self) -> bool:
        """Whether there is a policy at all: somebody teaches it."""
        return self.plans > 0 or self.policy_updates > 0


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


# The prefix of each class's ROS parameters, ``world_model.hidden``; the same in
# every node, so that whoever loads an artefact knows its sizes.
GROUPS: dict[str, type[Settings]] = {
    'perception': PerceptionSettings,
    'world_model': WorldModelSettings,
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
