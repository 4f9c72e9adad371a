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
Swing-up of a double pendulum on a cart by who knows the plant: a planned motion, followed.

An iterative linear-quadratic regulator finds the motion before the first tick (Li and Todorov
2004; limits as in Tassa, Mansard and Todorov 2014), linear feedback with gains of its own at
each tick keeps to it. Numpy only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hlai_control.robots.manifest import RobotManifest

Vector = NDArray[np.float64]

UPRIGHT = np.array([0.0, np.pi, 0.0, 0.0, 0.0, 0.0])
# Of the search: a small price along the way, a large one for not ending upright at rest.
_ALONG, _EFFORT = np.diag([0.01, 0.01, 0.01, 0.001, 0.001, 0.001]), 0.002
_END = np.diag([100.0, 500.0, 500.0, 20.0, 20.0, 20.0])
# Where the rail's price begins [m], what it is, and the share of the force that is planned with:
# the rest is for the feedback.
_RAIL, _RAIL_PRICE, _PLANNED = 1.5, 100.0, 0.9
_ITERATIONS, _SWING_S = 80, 3.0
# The first guess: 3 N to and fro, once in 1.5 s.
_GUESS, _GUESS_S = 3.0, 1.5
# Of the feedback that keeps to the motion.
_KEEP, _KEEP_EFFORT = np.diag([2.0, 10.0, 10.0, 0.2, 0.2, 0.2]), 0.05


class DoublePole:
    """
    The published plant with 0.6 m rods (Deisenroth 2010, appendix C).

    Cart and both uniform poles 0.5 kg each, friction of the cart 0.1 N s/m. A state is
    (x, angle of pole 1, angle between the poles) and their rates; angle 0 is hanging, angle
    between the poles 0 is in line.
    """

    MASS, LENGTH, FRICTION, GRAVITY = 0.5, 0.6, 0.1, 9.81

    def derivative(self, states: Vector, forces: Vector) -> Vector:
        """
        Return d/dt of B states.

        :param states: shape (B, 6).
        :param forces: shape (B,) [N].
        """
        m, half, gravity = self.MASS, 0.5 * self.LENGTH, self.GRAVITY
        inertia, across = m * self.LENGTH ** 2 / 12.0, m * self.LENGTH * half
        first, second = m * half + m * self.LENGTH, m * half
        speed, spin = states[:, 3], states[:, 4]
        one, two, turn = states[:, 1], states[:, 1] + states[:, 2], spin + states[:, 5]
        mass = np.empty((len(states), 3, 3))
        mass[:, 0, 0], mass[:, 1, 1] = 3.0 * m, inertia + m * half ** 2 + m * self.LENGTH ** 2
        mass[:, 2, 2] = inertia + m * half ** 2
        mass[:, 0, 1] = mass[:, 1, 0] = first * np.cos(one)
        mass[:, 0, 2] = mass[:, 2, 0] = second * np.cos(two)
        mass[:, 1, 2] = mass[:, 2, 1] = across * np.cos(one - two)
        bend = across * np.sin(one - two)
        pull = np.stack([
            forces - self.FRICTION * speed + first * spin ** 2 * np.sin(one)
            + second * turn ** 2 * np.sin(two),
            -first * gravity * np.sin(one) - bend * turn ** 2,
            -second * gravity * np.sin(two) + bend * spin ** 2], axis=1)
        found = np.linalg.solve(mass, pull[:, :, None])[:, :, 0]
        # Accelerations of angles against the vertical; a state has the angle between the poles.
        found[:, 2] -= found[:, 1]
        return np.concatenate([states[:, 3:], found], axis=1)

    def ahead(self, states: Vector, forces: Vector, time_s: float) -> Vector:
        """Integrate B states by one step of Runge-Kutta's fourth-order rule."""
        k1 = self.derivative(states, forces)
        k2 = self.derivative(states + 0.5 * time_s * k1, forces)
        k3 = self.derivative(states + 0.5 * time_s * k2, forces)
        k4 = self.derivative(states + time_s * k3, forces)
        return states + time_s / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)

    def slopes(self, states: Vector, forces: Vector, time_s: float) -> tuple[Vector, Vector]:
        """
        Differentiate one step at each of T states, by central differences.

        :returns: with regard to states (T, 6, 6) and forces (T, 6).
        """
        size, joint = 1e-5, np.concatenate([states, forces[:, None]], axis=1)
        moved = joint[:, None] + size * np.concatenate([np.eye(7), -np.eye(7)])
        flat = moved.reshape(-1, 7)
        ends = self.ahead(flat[:, :6], flat[:, 6], time_s).reshape(len(states), 14, 6)
        slope = ((ends[:, :7] - ends[:, 7:]) / (2.0 * size)).transpose(0, 2, 1)
        return slope[:, :, :6], slope[:, :, 6]


@dataclass(frozen=True)
class Swing:
    """
    A motion from hanging at rest.

    :param states: T + 1 of them, shape (T + 1, 6).
    :param forces: shape (T,) [N].
    :param energy: what the search made small.
    """

    states: Vector
    forces: Vector
    energy: float


class SwingSearch:
    """
    Finds a motion that ends upright at rest.

    :param plant: the plant.
    :param period_s: time for which each force acts.
    :param limit: of the force [N].
    """

    def __init__(self, plant: DoublePole, period_s: float, limit: float) -> None:
        """Keep the problem."""
        self._plant, self._period_s, self._limit = plant, period_s, limit

    def find(self) -> Swing:
        """Descend from a push to and fro."""
        count, damping = round(_SWING_S / self._period_s), 1.0
        guess = _GUESS * np.sin(2.0 * np.pi / _GUESS_S * self._period_s * np.arange(count))
        still = Swing(np.zeros((count + 1, 6)), guess, np.inf)
        best = self._rolled(still, np.zeros(count), np.zeros((count, 6)), np.zeros(1))
        sizes = np.power(0.5, np.arange(10, dtype=np.float64))
        for _ in range(_ITERATIONS):
            found = self._rolled(best, *self._direction(best, damping), sizes)
            damping = max(damping / 3.0, 1e-6) if found.energy < best.energy else 5.0 * damping
            best = min(best, found, key=lambda one: one.energy)
        return best

    def _rolled(self, base: Swing, steps: Vector, gains: Vector, sizes: Vector) -> Swing:
        """Follow a changed motion with each of K step sizes, and return the best of them."""
        state, energies = np.tile(base.states[0], (len(sizes), 1)), np.zeros(len(sizes))
        states, forces = [state], []
        for t, force in enumerate(base.forces):
            pushes = np.clip(force + sizes * steps[t] + (state - base.states[t]) @ gains[t],
                             -self._limit, self._limit)
            beyond = np.maximum(np.abs(state[:, 0]) - _RAIL, 0.0)
            energies += 0.5 * (_quadratic(state - UPRIGHT, _ALONG) + _EFFORT * pushes ** 2
                               + _RAIL_PRICE * beyond ** 2)
            state = self._plant.ahead(state, pushes, self._period_s)
            states.append(state)
            forces.append(pushes)
        energies = np.nan_to_num(energies + 0.5 * _quadratic(state - UPRIGHT, _END), nan=np.inf)
        least = int(np.argmin(energies))
        return Swing(np.array(states)[:, least], np.array(forces)[:, least],
                     float(energies[least]))

    def _direction(self, base: Swing, damping: float) -> tuple[Vector, Vector]:
        """Return the change of each force, and its gains on the state's."""
        steps, gains = np.zeros(len(base.forces)), np.zeros((len(base.forces), 6))
        flows, pushes = self._plant.slopes(base.states[:-1], base.forces, self._period_s)
        slope, curve = _END @ (base.states[-1] - UPRIGHT), _END
        for t in reversed(range(len(steps))):
            a, b, force = flows[t], pushes[t], base.forces[t]
            along, place = _ALONG.copy(), base.states[t, 0]
            slope_b, slope = _EFFORT * force + b @ slope, a.T @ slope
            slope += _ALONG @ (base.states[t] - UPRIGHT)
            if abs(place) > _RAIL:
                slope[0] += _RAIL_PRICE * (place - np.sign(place) * _RAIL)
                along[0, 0] += _RAIL_PRICE
            mixed, curve_b = b @ curve @ a, _EFFORT + b @ curve @ b + damping
            wanted = -slope_b / curve_b
            steps[t] = np.clip(wanted, -self._limit - force, self._limit - force)
            if steps[t] == wanted:  # at a limit, no feedback
                gains[t] = -mixed / curve_b
            k = gains[t]
            slope = slope + k * curve_b * steps[t] + k * slope_b + mixed * steps[t]
            curve = along + a.T @ curve @ a + curve_b * np.outer(k, k)
            curve += np.outer(k, mixed) + np.outer(mixed, k)
        return steps, gains


class FollowedSwingUp:
    """
    Follows a motion that was found for its plant, then balances; without any delay.

    Gains are those of the linear-quadratic regulator along the motion, and after it of the one
    about upright.

    :param manifest: limit of the force, and the period.
    """

    def __init__(self, manifest: RobotManifest, _seed: int) -> None:
        """Find the motion and the gains."""
        plant, self._limit = DoublePole(), manifest.actuators[0].high
        self._tick, period_s = 0, manifest.period_s
        self.swing = SwingSearch(plant, period_s, _PLANNED * self._limit).find()
        self.curve, self.gain = _balance(plant, period_s)
        self._gains = _gains(plant, self.swing, self.curve, period_s)

    def act(self, state: Vector) -> Vector:
        """Answer one state."""
        tick, self._tick = self._tick, self._tick + 1
        wanted, force, gain = UPRIGHT, 0.0, self.gain
        if tick < len(self._gains):
            wanted, force = self.swing.states[tick], float(self.swing.forces[tick])
            gain = self._gains[tick]
        error = state - wanted
        error[1:3] = np.remainder(error[1:3] + np.pi, 2.0 * np.pi) - np.pi
        return np.clip(np.array([force - gain @ error]), -self._limit, self._limit)


def _balance(plant: DoublePole, period_s: float) -> tuple[Vector, Vector]:
    """Solve the Riccati equation about upright: curvature of the energy, and gains."""
    flows, pushes = plant.slopes(UPRIGHT[None], np.zeros(1), period_s)
    curve, gain = _KEEP, np.zeros(6)
    for _ in range(3000):
        curve, gain = _before(curve, flows[0], pushes[0])
    return curve, gain


def _gains(plant: DoublePole, swing: Swing, curve: Vector, period_s: float) -> Vector:
    """Return the gains along a motion, shape (T, 6)."""
    flows, pushes = plant.slopes(swing.states[:-1], swing.forces, period_s)
    gains = []
    for a, b in zip(flows[::-1], pushes[::-1], strict=True):
        curve, gain = _before(curve, a, b)
        gains.append(gain)
    return np.array(gains[::-1])


def _before(curve: Vector, a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """Make one step of the Riccati recursion, towards the past."""
    gain = (b @ curve @ a) / (_KEEP_EFFORT + b @ curve @ b)
    return _KEEP + a.T @ curve @ (a - np.outer(b, gain)), gain


def _quadratic(states: Vector, weights: Vector) -> Vector:
    return ((states @ weights) * states).sum(axis=1)
