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
Controllers to compare with: do nothing, push at random, and what an engineer would write.

The classical one knows the plant; ours never does. Numpy only.
"""

from collections.abc import Callable, Sequence
from math import cos, sin, sqrt
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hlai_control.cost.task import TaskSpec
from hlai_control.robots.circulating import Circulating
from hlai_control.robots.double_pole import FollowedSwingUp
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.resolved_rate import ResolvedRate

Vector = NDArray[np.float64]


class Controller(Protocol):
    """Answers a measured state with a command."""

    def act(self, state: Vector) -> Vector:
        """
        Answer one state.

        :param state: S values, positions then rates, as measured.
        :returns: A values within the limits.
        """


@runtime_checkable
class Aimed(Protocol):
    """A controller that is told its goal."""

    def aim(self, task: TaskSpec) -> None:
        """Take a goal, at first and whenever it moves."""


class DoNothing:
    """Sends zero for ever."""

    def __init__(self, manifest: RobotManifest, _seed: int) -> None:
        """Keep the size."""
        self._zero = np.zeros(len(manifest.actuators))

    def act(self, _state: Vector) -> Vector:
        """Answer with zero."""
        return self._zero


class RandomPushes:
    """Sends independent uniform commands over the whole range."""

    def __init__(self, manifest: RobotManifest, seed: int) -> None:
        """Keep the limits and a generator of its own."""
        self._low = np.array([item.low for item in manifest.actuators])
        self._high = np.array([item.high for item in manifest.actuators])
        self._generator = np.random.default_rng([abs(seed), int(seed < 0), 0x5eed])

    def act(self, _state: Vector) -> Vector:
        """Answer with a random command."""
        return self._generator.uniform(self._low, self._high)


class CartPole:
    """
    The published plant, uniform pole, angle 0 hanging (Deisenroth 2010, appendix C).

    :param cart: mass of the cart [kg].
    :param pole: mass of the pole [kg].
    :param length: of the pole [m].
    :param friction: of the cart [N s/m].
    """

    def __init__(self, cart: float = 0.5, pole: float = 0.5, length: float = 0.5,
                 friction: float = 0.1, gravity: float = 9.81) -> None:
        """Keep the constants."""
        self.cart, self.pole, self.length = cart, pole, length
        self.friction, self.gravity = friction, gravity

    def derivative(self, state: Vector, force: float) -> Vector:
        """Return d/dt of (x, angle, dx/dt, dangle/dt)."""
        _, angle, speed, spin = state
        m, length, total = self.pole, self.length, self.cart + self.pole
        s, c, push = sin(angle), cos(angle), force - self.friction * speed
        below = 4.0 * total - 3.0 * m * c * c
        along = (2.0 * m * length * spin ** 2 * s + 3.0 * m * self.gravity * s * c
                 + 4.0 * push) / below
        around = (-3.0 * m * length * spin ** 2 * s * c - 6.0 * total * self.gravity * s
                  - 6.0 * push * c) / (length * below)
        return np.array([speed, spin, along, around])

    def ahead(self, state: Vector, force: float, time_s: float, steps: int = 10) -> Vector:
        """Integrate with Runge-Kutta's fourth-order rule."""
        h = time_s / steps
        for _ in range(steps):
            k1 = self.derivative(state, force)
            k2 = self.derivative(state + 0.5 * h * k1, force)
            k3 = self.derivative(state + 0.5 * h * k2, force)
            k4 = self.derivative(state + h * k3, force)
            state = state + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        return state


class EnergySwingUp:
    """
    Energy shaping far from upright, a linear-quadratic regulator near it.

    Pumps the pole's energy towards that of the upright rest (Astrom and
    Furuta 2000, *Swinging up a pendulum by energy control*), keeps the cart
    near the centre, and compensates the action delay with the plant's model.
    Rates that nothing measures are differences of positions.
    """

    CATCH_ANGLE, CATCH_SPIN = 0.5, 9.0
    PUMP, CENTRE, DAMP = 16.0, 20.0, 1.0

    def __init__(self, manifest: RobotManifest, _seed: int) -> None:
        """Solve the Riccati equation about upright."""
        self._plant, self._period_s = CartPole(), manifest.period_s
        self._limit = manifest.actuators[0].high
        self._pending = [0.0] * manifest.delay_ticks
        self._gain = self._regulator()
        self._before: Vector | None = None

    def act(self, state: Vector) -> Vector:
        """Answer one state."""
        state = self._with_rates(state)
        for force in self._pending:
            state = self._plant.ahead(state, force, self._period_s)
        force = float(np.clip(self._force(state), -self._limit, self._limit))
        if self._pending:
            self._pending = [*self._pending[1:], force]
        return np.array([force])

    def _with_rates(self, state: Vector) -> Vector:
        place, rates = np.split(state, 2)
        moved = np.zeros_like(place) if self._before is None else place - self._before
        self._before = place
        return np.concatenate([place, np.where(np.isnan(rates), moved / self._period_s, rates)])

    def _force(self, state: Vector) -> float:
        place, angle, speed, spin = state
        lean = angle % (2.0 * np.pi) - np.pi
        if abs(lean) < self.CATCH_ANGLE and abs(spin) < self.CATCH_SPIN:
            return float(-self._gain @ np.array([place, lean, speed, spin]))
        plant = self._plant
        inertia = plant.pole * plant.length ** 2 / 3.0
        energy = (0.5 * inertia * spin ** 2
                  - 0.5 * plant.pole * plant.gravity * plant.length * (1.0 + cos(angle)))
        # A push against cos(angle) * spin adds energy; at rest begin somewhere.
        direction = -1.0 if spin * cos(angle) >= 0.0 else 1.0
        pump = -self.PUMP * energy * direction
        return pump - self.CENTRE * place - self.DAMP * speed

    def _regulator(self) -> Vector:
        upright, size = np.array([0.0, np.pi, 0.0, 0.0]), 1e-5
        flow = [(self._plant.ahead(upright + size * axis, 0.0, self._period_s)
                 - self._plant.ahead(upright - size * axis, 0.0, self._period_s)) / (2.0 * size)
                for axis in np.eye(4)]
        a = np.array(flow).T
        b = ((self._plant.ahead(upright, size, self._period_s)
              - self._plant.ahead(upright, -size, self._period_s)) / (2.0 * size))[:, None]
        q, r = np.diag([2.0, 10.0, 0.2, 0.2]), np.array([[0.05]])
        p = q.copy()
        for _ in range(2000):
            k = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
            p = q + a.T @ p @ (a - b @ k)
        return k[0]


class RodSwingUp:
    """
    The same for a rod of 1 kg and 1 m that a weak motor turns at its end, angle 0 hanging.

    Pumps energy with all of the torque; near upright, where the torque can hold
    the rod, a linear-quadratic regulator catches it. The delay is compensated
    with the rod's equation of motion.
    """

    MASS, LENGTH = 1.0, 1.0
    CATCH_ANGLE, CATCH_SPIN = 0.35, 1.2

    def __init__(self, manifest: RobotManifest, _seed: int) -> None:
        """Keep limit and delay; the gains solve the Riccati equation about upright."""
        self._limit, self._period_s = manifest.actuators[0].high, manifest.period_s
        self._pending = [0.0] * manifest.delay_ticks
        self.inertia = self.MASS * self.LENGTH ** 2 / 3.0
        self.weight = 0.5 * self.MASS * manifest.simulation.gravity * self.LENGTH
        # Closed form of the continuous regulator with weights 10, 1 and 1 on lean, spin, torque.
        lean = self.weight + sqrt(self.weight ** 2 + 10.0)
        self.gain = np.array([lean, sqrt(2.0 * self.inertia * lean + 1.0)])

    def act(self, state: Vector) -> Vector:
        """Answer one state."""
        angle, spin = state
        for torque in self._pending:
            angle, spin = self._ahead(angle, spin, torque)
        torque = float(np.clip(self._torque(angle, spin), -self._limit, self._limit))
        if self._pending:
            self._pending = [*self._pending[1:], torque]
        return np.array([torque])

    def _torque(self, angle: float, spin: float) -> float:
        lean = angle % (2.0 * np.pi) - np.pi
        if abs(lean) < self.CATCH_ANGLE and abs(spin + 3.8 * lean) < self.CATCH_SPIN:
            return float(-self.gain @ np.array([lean, spin]))
        energy = 0.5 * self.inertia * spin ** 2 - self.weight * (1.0 + cos(angle))
        wanted = -1.0 if energy > 0.0 else 1.0
        return wanted * self._limit * (1.0 if spin >= 0.0 else -1.0)

    def _ahead(self, angle: float, spin: float, torque: float) -> tuple[float, float]:
        h = self._period_s / 20
        for _ in range(20):
            spin += h * (torque - self.weight * sin(angle)) / self.inertia
            angle += h * spin
        return angle, spin


Make = Callable[[RobotManifest, int], Controller]

# What an engineer would write, by robot and task; others have no such row.
CLASSICAL: dict[tuple[str, str], Make] = {('cartpole', 'swingup'): EnergySwingUp,
                                          ('cartpole_positions', 'swingup'): EnergySwingUp,
                                          ('double_cartpole_50hz', 'double_swingup'):
                                              FollowedSwingUp,
                                          ('pendulum', 'pendulum_swingup'): RodSwingUp,
                                          ('pendulum_gym', 'pendulum_gym'): RodSwingUp,
                                          ('panda', 'panda_reach'): ResolvedRate,
                                          ('panda', 'panda_past'): ResolvedRate,
                                          ('husky', 'husky_drive'): Circulating}


def rows(robot: str, task: str) -> Sequence[tuple[str, Make]]:
    """Return the controllers to compare with, by the name of their row."""
    found: list[tuple[str, Make]] = [('do nothing', DoNothing), ('random', RandomPushes)]
    if (robot, task) in CLASSICAL:
        found.append(('classical', CLASSICAL[robot, task]))
    return found
