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

"""What a user may change about perceiving and learning."""

from dataclasses import dataclass
from math import ceil

from hlai_control.layout import is_mechanism, Layout
from hlai_control.settings.declaring import choice, setting, Settings


@dataclass(frozen=True)
class PerceptionSettings(Settings):
    """Of the state estimator."""

    acceleration_std: float = setting(
        20.0, 1e-3, 1e6, 'Expected accelerations, 1 sigma [m/s^2 or rad/s^2].')
    rate_std: float = setting(
        10.0, 1e-6, 1e6, 'Expected rates at the start, 1 sigma [m/s or rad/s]; only of robots '
        'with a coordinate whose rate nothing measures.')
    window: int = setting(
        60, 2, 10_000, 'Newest ticks whose states are found anew at each; only of such robots.')


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
    loss_steps: int = setting(
        1, 1, 100, 'Consecutive steps that features are trained to foresee, each from its own '
        'prediction of the one before; of a mixture only the first.')
    window: int = setting(512, 8, 65536, 'Transitions that the coefficients are fitted to.')
    revised: int = setting(
        300, 2, 10_000, 'Newest transitions that are found anew at each tick, where a rate has no '
        'sensor.')
    latent: str = choice(
        'gaussian', ('gaussian', 'mixture'), 'What the latent z can express: noise around one '
        'outcome, or several outcomes, each with its probability and its noise.')
    modes: int = setting(2, 2, 8, 'Outcomes J of a mixture.')
    mechanism: bool = choice(
        True, (True, False), 'Also identify it as rigid bodies, where all commands are forces, '
        'and believe what predicts better.')

    def holds_mechanism(self, layout: Layout) -> bool:
        """
        Tell whether a robot's world model holds a mechanism beside the ensemble.

        Steps that are found anew in hindsight, and mixtures, are the ensemble's alone so far.
        """
        return (self.mechanism and self.latent == 'gaussian' and is_mechanism(layout)
                and not layout.is_blind)


@dataclass(frozen=True)
class SurpriseSettings(Settings):
    """Of alarms: the world model is wrong by more than it used to be, a sensor is frozen."""

    patience_s: float = setting(
        3600.0, 1.0, 1e9, 'Time between false alarms, on average, at least [s].')
    old: float = setting(
        0.05, 0.0, 1.0, 'After an alarm, weight of what was learned before it, 0 to 1; 1: an '
        'alarm changes nothing.')

    def patience_ticks(self, period_s: float) -> int:
        """Return the control periods that shall pass between false alarms."""
        return max(2, ceil(self.patience_s / period_s))


@dataclass(frozen=True)
class CriticSettings(Settings):
    """Of the value function and its training."""

    members: int = setting(3, 1, 16, 'Value networks E, each fitted to its own share of data.')
    pessimism: float = setting(
        0.0, 0.0, 10.0, "Standard deviations of the members' values that are added to their mean.")
    trace: float = setting(
        0.95, 0.0, 1.0, 'Lambda of TD(lambda) along imagined roll-outs; 0: one step, 1: all.')
    hidden: int = setting(48, 4, 1024, 'Units in each of the two hidden layers.')
    learning_rate: float = setting(2e-3, 1e-6, 1.0, 'Adam step size along imagined steps.')
    practice_rate: float = setting(5e-3, 1e-6, 1.0, 'Adam step size on plans.')
    batch: int = setting(64, 1, 65536, 'Start states per update.')
    imagined_steps: int = setting(5, 1, 100, 'Length of imagined roll-outs [ticks].')
    practised: int = setting(128, 1, 65536, 'Planned states per update on plans.')
    horizon: int = setting(
        16, 1, 500, 'Horizon of the plans that teach critic and policy [ticks].')
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


@dataclass(frozen=True)
class ScheduleSettings(Settings):
    """How learners keep pace with the robot; see docs/architecture.md, Time."""

    updates: int = setting(5, 0, 10_000, 'World model updates U per transition.')
    critic_updates: int = setting(2, 0, 10_000, 'Critic updates per transition.')
    plans: int = setting(
        0, 0, 1000, 'Plans per transition that critic and policy learn from: the first from the '
        'newest state, the second from a state put together anew, further ones from where the '
        'policy leads in imagination.')
    practice: int = setting(
        10, 0, 10_000, 'Updates on such plans per transition, of critic and policy each.')
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
