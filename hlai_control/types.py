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
What travels between the pure modules: frozen values, never dictionaries.

Axis letters, fixed once for the whole package:

====== =====================================================
B      batch (training samples, or any leading axes)
K      candidate action sequences of a sampling planner
E      members of an ensemble; of trajectories: scenarios, see ``actor/risk.py``
T      time steps of a horizon
S      state coordinates (positions, then rates)
A      actuators
Z      components of the latent z
C      cost terms
J      modes of a mixture
====== =====================================================
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Float
import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """
    The state as perception believes it, at the stamp of the measurement.

    :param mean: S coordinates, positions then rates.
    :param std: S standard deviations, same units.
    """

    mean: Float[Tensor, ' S']
    std: Float[Tensor, ' S']


@dataclass(frozen=True)
class Plan:
    """
    An action sequence and what the agent expects of it.

    :param actions: the commands, within the limits.
    :param states: the predicted mean states; ``states[0]`` is the start.
    :param energy: F, discounted stage costs plus the critic's terminal value.
    :param anticipated: the critic's value of ``states[T]``.
    :param iterations: refinements made within the budget.
    :param rejected: candidates that lost because they were not finite.
    :param gains: feedback ``a[t] = actions[t] + gains[t] (s - states[t])``,
        or None if the planner makes none.
    :param elites: further good sequences, best first, from which a sampling
        planner goes on at the next tick; None if it keeps none.
    :param multipliers: of the constraints, at s[0] .. s[T]; None without any.
    :param violation: the worst remaining violation of a constraint, in its
        own unit; 0 if all are satisfied.
    :param violated: name of that constraint, empty if there is none.
    :param progress: the least energy before any refinement and after each;
        within constraints those of the round that the plan comes from, with
        the penalty; empty if nothing is refined.
    :param first: the first command on the host, if it was read together with
        the energy; all else stays on the device of the plan.
    :param unrefined: for how many plans in a row there was no time to refine.
    """

    actions: Float[Tensor, 'T A']
    states: Float[Tensor, 'T1 S']
    energy: float
    anticipated: float
    iterations: int
    rejected: int
    gains: Float[Tensor, 'T A S'] | None = None
    elites: Float[Tensor, 'N T A'] | None = None
    multipliers: Float[Tensor, 'T1 G'] | None = None
    violation: float = 0.0
    violated: str = ''
    progress: tuple[float, ...] = ()
    first: Float[Tensor, ' A'] | None = None
    unrefined: int = 0

    @property
    def command(self) -> Float[Tensor, ' A']:
        """Return the first command, on the host."""
        return self.actions[0].cpu() if self.first is None else self.first

    @property
    def proposed(self) -> float:
        """Return the energy before any refinement, infinite if nothing proposed was finite."""
        return self.progress[0] if self.progress else self.energy

    @property
    def gained(self) -> float:
        """Return by how much refinement lowered it."""
        return self.progress[0] - self.progress[-1] if self.progress else 0.0

    @property
    def feasible(self) -> bool:
        """Whether it keeps to all constraints."""
        return not self.violated


@dataclass(frozen=True)
class Outcomes:
    """
    What may follow a state and an action: ``s' = mean[j] + std[j] e``, e ~ N(0, I).

    :param log_chance: log of the probability of each mode j.
    :param mean: where each leads.
    :param std: what one unit of e adds to each coordinate, same units.
    """

    log_chance: Float[Tensor, 'E *B J']
    mean: Float[Tensor, 'E *B J S']
    std: Float[Tensor, 'E *B J S']


def _all() -> float:
    return 1.0


@dataclass(frozen=True)
class Budget:
    """
    How much effort one plan may take; whichever bound comes first ends it.

    Pure code reads no clock: in real time the actor's node passes one as
    ``left``; in lockstep only ``iterations`` counts, so that the same seed
    gives the same plan on any machine.

    :param iterations: refinements at most, 1 or more.
    :param left: share of the time that is left, 1 when it began; asked between
        refinements.
    """

    iterations: int
    left: Callable[[], float] = field(default=_all)

    def expired(self) -> bool:
        """Whether the time is up, which ends the plan."""
        return self.left() <= 0.0


@dataclass(frozen=True)
class Transition:
    """
    One step of the real robot, delay already aligned.

    :param state: estimate at the beginning of the step.
    :param action: the command in effect during the step.
    :param next_state: estimate at the end of the step.
    """

    state: Float[Tensor, ' S']
    action: Float[Tensor, ' A']
    next_state: Float[Tensor, ' S']


@dataclass(frozen=True)
class Batch:
    """Transitions as tensors, each row one :class:`Transition`."""

    state: Float[Tensor, 'B S']
    action: Float[Tensor, 'B A']
    next_state: Float[Tensor, 'B S']


def generator(seed: int, module: str) -> torch.Generator:
    """
    Random numbers of one module, independent of every other module's.

    :param seed: the run's seed, any integer.
    :param module: name of the module, ``'actor'``.
    :returns: a CPU generator, equal for equal arguments on every machine.
    """
    import hashlib
    digest = hashlib.sha256(f'{module}:{seed}'.encode()).digest()
    made = torch.Generator()
    made.manual_seed(int.from_bytes(digest[:7], 'big'))
    return made
