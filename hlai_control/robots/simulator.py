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
A robot in PyBullet, without ROS and without a clock: command in, state out.

One :class:`Simulator` is one physics client of its own, so that several in a
process do not meet. Equal seed and commands give equal bits. What Bullet
adds on its own is taken away: damping of links (0.04 by default), motors that
hold each joint, and the inertia that it forgets when a mass changes. Force is
integrated by semi-implicit Euler steps, whose error falls with ``step_s``.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
import hashlib

import numpy as np
from numpy.typing import NDArray
import pybullet

from hlai_control.errors import SettingsError, SignalError
from hlai_control.robots.faults import SensorFaults
from hlai_control.robots.manifest import MAX_DELAY_TICKS, RobotManifest
from hlai_control.robots.parts import ODOMETRY, PARTS, TWIST
from hlai_control.robots.simulation import Obstacle
from hlai_control.robots.wheels import Wheels

# Motors on axes that nearly coincide, such as an arm's first and third, settle slowly.
SOLVER_ITERATIONS = 500
_POST_M = 1.0  # height of obstacles that stand on the ground
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """
    The joints at the end of one control period, in the manifest's order.

    :param position: as the sensors say [m or rad]; NaN: not measured.
    :param velocity: as the sensors say [m/s or rad/s]; NaN: not measured.
    :param true_position: without noise.
    :param true_velocity: without noise.
    :param effort: command of each joint's actuator in the period, after
        delay and limits, in the actuator's unit; zero without an actuator.
    """

    position: Vector
    velocity: Vector
    true_position: Vector
    true_velocity: Vector
    effort: Vector


class Simulator:
    """
    One robot, one control period per :meth:`step`.

    :param manifest: the robot.
    :param seed: of the sensor noise, any integer.
    :param obstacles: that stand around it.

    ``jointed`` and ``based`` are the indices of the coordinates that joints are, and of x, y
    and yaw of a base.
    """

    def __init__(self, manifest: RobotManifest, seed: int,
                 obstacles: Sequence[Obstacle] = ()) -> None:
        """Load the model and rest at the initial position."""
        self._manifest, self._obstacles = manifest, tuple(obstacles)
        self._client = pybullet.connect(pybullet.DIRECT)
        if self._client < 0:
            raise SettingsError('PyBullet has no client left; close simulators no longer used')
        self._delay_ticks = manifest.delay_ticks
        self._noise_scale, self._friction_scale, self._payload_kg = 1.0, 1.0, 0.0
        self._std = np.array(manifest.layout.noise_std)
        self.sensors = SensorFaults(manifest.layout)
        self.jointed = [at for at, item in enumerate(manifest.coordinates) if not item.of_base]
        based = {item.joint.removeprefix(ODOMETRY): at
                 for at, item in enumerate(manifest.coordinates) if item.of_base}
        self.based = [based[part] for part in PARTS if part in based]
        self._low = np.array([item.low for item in manifest.actuators])
        self._high = np.array([item.high for item in manifest.actuators])
        self.reset(seed)

    def close(self) -> None:
        """Free the physics client; the simulator is of no use after."""
        pybullet.disconnect(physicsClientId=self._client)

    def reset(self, seed: int, initial: Sequence[float] | None = None) -> None:
        """
        Begin again at tick 0, as a new simulator with this seed would.

        Delay, noise scale, friction, payload and faults of sensors stay as they are.

        :param seed: of the sensor noise, any integer.
        :param initial: position of each coordinate at rest; None: the manifest's.
        :raises SettingsError: if ``initial`` has another length or is not finite.
        """
        places = np.array(self._manifest.simulation.initial if initial is None else initial,
                          dtype=np.float64)
        if places.shape != (len(self._manifest.coordinates),) or not np.isfinite(places).all():
            raise SettingsError(f'initial = {initial!r}; valid: {len(self._manifest.coordinates)} '
                                'finite positions')
        digest = hashlib.sha256(f'robot:{seed}'.encode()).digest()
        self._random = np.random.default_rng(int.from_bytes(digest[:16], 'big'))
        self._commands: deque[Vector] = deque(maxlen=MAX_DELAY_TICKS + 1)
        self._load()
        for joint, place in zip(self._joints, places[self.jointed], strict=True):
            pybullet.resetJointState(self._body, joint, place, 0.0, physicsClientId=self._client)
        if self._wheels is not None:
            self._wheels.place(*places[self.based])
        self._measurement = self._sense(np.zeros(len(self._manifest.actuators)))

    def step(self, command: Sequence[float] | Vector) -> None:
        """
        Advance one control period.

        With a delay of d ticks the command given at tick k acts during the
        interval [k + d, k + d + 1); before the first one arrives, zero acts.

        :param command: one value per actuator; clamped to its limits, as
            ros2_control does.
        :raises SignalError: if it has another length or is not finite.
        """
        given = np.array(command, dtype=np.float64)
        if given.shape != self._low.shape:
            raise SignalError('wrong length')
        if not np.isfinite(given).all():
            raise SignalError('non-finite')
        self._commands.append(given.clip(self._low, self._high))
        acting = self._acting()
        for _ in range(self._manifest.simulation.substeps):
            self._drive(acting)
            pybullet.stepSimulation(physicsClientId=self._client)
        self._measurement = self._sense(acting)

    @property
    def touched(self) -> tuple[str, ...]:
        """Names of the obstacles that the robot touches at this tick."""
        return tuple(item.name for item, body in zip(self._obstacles, self._standing, strict=True)
                     if pybullet.getContactPoints(self._body, body,
                                                  physicsClientId=self._client))

    def measure(self) -> Measurement:
        """Return the measurement of this tick; asking twice gives the same."""
        return self._measurement

    @property
    def delay_ticks(self) -> int:
        """Ticks from a command to its effect; a change keeps those on their way."""
        return self._delay_ticks

    @delay_ticks.setter
    def delay_ticks(self, ticks: int) -> None:
        if not 0 <= ticks <= MAX_DELAY_TICKS:
            raise SettingsError(f'delay_ticks = {ticks}; valid: 0 to {MAX_DELAY_TICKS}')
        self._delay_ticks = ticks

    @property
    def noise_scale(self) -> float:
        """Factor on the manifest's sensor noise, from the next step on."""
        return self._noise_scale

    @noise_scale.setter
    def noise_scale(self, scale: float) -> None:
        self._noise_scale = _at_least_zero('noise_scale', scale)

    @property
    def friction_scale(self) -> float:
        """Factor on the manifest's joint damping."""
        return self._friction_scale

    @friction_scale.setter
    def friction_scale(self, scale: float) -> None:
        self._friction_scale = _at_least_zero('friction_scale', scale)
        self._set_dynamics()

    @property
    def payload_kg(self) -> float:
        """Point mass added at the last link's centre of mass [kg]."""
        return self._payload_kg

    @payload_kg.setter
    def payload_kg(self, mass: float) -> None:
        self._payload_kg = _at_least_zero('payload_kg', mass)
        self._set_dynamics()

    def _load(self) -> None:
        """Load everything anew: only so is a reset equal to a fresh start to the last bit."""
        simulation = self._manifest.simulation
        pybullet.resetSimulation(physicsClientId=self._client)
        pybullet.setGravity(0.0, 0.0, -simulation.gravity, physicsClientId=self._client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=self._manifest.period_s / simulation.substeps, numSubSteps=0,
            deterministicOverlappingPairs=1, numSolverIterations=SOLVER_ITERATIONS,
            physicsClientId=self._client)
        self._body = pybullet.loadURDF(
            str(simulation.urdf), useFixedBase=simulation.base is None,
            flags=pybullet.URDF_USE_INERTIA_FROM_FILE, physicsClientId=self._client)
        count = pybullet.getNumJoints(self._body, physicsClientId=self._client)
        infos = [pybullet.getJointInfo(self._body, joint, physicsClientId=self._client)
                 for joint in range(count)]
        index = {info[1].decode(): joint for joint, info in enumerate(infos)}
        self._joints = [index[self._manifest.joints[at]] for at in self.jointed]
        self._actuated = [index[item.joint] for item in self._manifest.actuators
                          if item.interface != 'twist']
        self._wheels = None if simulation.base is None else Wheels(
            self._client, self._body, simulation.base, index)
        self._strength = [infos[joint][10] for joint in self._actuated]
        lag_s, step_s = simulation.velocity_lag_s, self._manifest.period_s / simulation.substeps
        # Share of the speed error that a velocity motor takes away in one physics step.
        self._velocity_gain = 1.0 if lag_s is None else min(1.0, step_s / lag_s)
        self._links = [pybullet.getDynamicsInfo(self._body, link, physicsClientId=self._client)
                       for link in range(count)]
        for joint in self._joints:  # Bullet's default motors hold every joint, others for good
            pybullet.setJointMotorControl2(self._body, joint, pybullet.VELOCITY_CONTROL,
                                           force=0.0, physicsClientId=self._client)
        self._set_dynamics()
        self._standing = [_stand(item, self._client) for item in self._obstacles]

    def _set_dynamics(self) -> None:
        for link in range(-1, len(self._links)):
            pybullet.changeDynamics(self._body, link, linearDamping=0.0, angularDamping=0.0,
                                    physicsClientId=self._client)
        damping = dict(self._manifest.simulation.joint_damping)
        top_speed = dict(self._manifest.simulation.top_speed)
        for joint, at in zip(self._joints, self.jointed, strict=True):
            name = self._manifest.joints[at]
            pybullet.changeDynamics(self._body, joint, physicsClientId=self._client,
                                    jointDamping=damping[name] * self._friction_scale)
            if name in top_speed:
                pybullet.changeDynamics(self._body, joint, maxJointVelocity=top_speed[name],
                                        physicsClientId=self._client)
        mass, inertia = self._links[-1][0], self._links[-1][2]
        last = len(self._links) - 1
        pybullet.changeDynamics(self._body, last, mass=mass + self._payload_kg,
                                physicsClientId=self._client)
        pybullet.changeDynamics(self._body, last, localInertiaDiagonal=inertia,
                                physicsClientId=self._client)

    def _acting(self) -> Vector:
        if self._delay_ticks < len(self._commands):
            return self._commands[-1 - self._delay_ticks]
        return np.zeros_like(self._low)

    def _drive(self, acting: Vector) -> None:
        if self._wheels is not None:
            manifest = self._manifest
            said = {item.joint.removeprefix(TWIST): value for item, value in zip(
                manifest.actuators, acting, strict=True)}
            self._wheels.drive(said.get('linear.x', 0.0), said.get('angular.z', 0.0),
                               manifest.period_s / manifest.simulation.substeps)
            return
        for joint, item, value, strength in zip(self._actuated, self._manifest.actuators,
                                                acting, self._strength, strict=True):
            common = {'bodyUniqueId': self._body, 'jointIndex': joint,
                      'physicsClientId': self._client}
            if item.interface == 'effort':
                pybullet.setJointMotorControl2(controlMode=pybullet.TORQUE_CONTROL,
                                               force=value, **common)
            elif item.interface == 'velocity':
                pybullet.setJointMotorControl2(controlMode=pybullet.VELOCITY_CONTROL,
                                               targetVelocity=self._followed(joint, value),
                                               force=strength, **common)
            else:
                pybullet.setJointMotorControl2(controlMode=pybullet.POSITION_CONTROL,
                                               targetPosition=value, force=strength, **common)

    def _followed(self, joint: int, speed: float) -> float:
        # Bullet's own gain would add its share to what gravity does to the joint.
        if self._velocity_gain == 1.0:
            return speed
        now: float = pybullet.getJointState(self._body, joint, physicsClientId=self._client)[1]
        return now + self._velocity_gain * (speed - now)

    def _sense(self, acting: Vector) -> Measurement:
        states = pybullet.getJointStates(  # None of no joints
            self._body, self._joints, physicsClientId=self._client) or ()
        position, velocity = (np.zeros(len(self._manifest.coordinates)) for _ in range(2))
        position[self.jointed] = [state[0] for state in states]
        velocity[self.jointed] = [state[1] for state in states]
        if self._wheels is not None:
            place, rate = self._wheels.sense()
            position[self.based], velocity[self.based] = place, rate
        # Drawn whatever the scale, so that a change of scale leaves the sequence alone.
        noise = self._random.standard_normal(self._std.shape) * self._std * self._noise_scale
        effort = np.zeros_like(position)
        for at, value in zip(self._manifest.driven, acting, strict=True):
            if at >= 0:
                effort[at] = value
        count = len(position)
        readings = self.sensors.readings(np.concatenate([position, velocity]) + noise)
        return Measurement(readings[:count], readings[count:], position, velocity, effort)


def _stand(obstacle: Obstacle, client: int) -> int:
    """Put an obstacle into a simulation."""
    ball = len(obstacle.centre) == 3
    size = {'radius': obstacle.radius} | ({} if ball else {'height': _POST_M})
    shape = pybullet.createCollisionShape(
        pybullet.GEOM_SPHERE if ball else pybullet.GEOM_CYLINDER, physicsClientId=client, **size)
    body: int = pybullet.createMultiBody(
        0.0, shape, basePosition=obstacle.centre if ball else [*obstacle.centre, 0.5 * _POST_M],
        physicsClientId=client)
    return body


def _at_least_zero(name: str, value: float) -> float:
    if not 0.0 <= value < float('inf'):
        raise SettingsError(f'{name} = {value!r}; valid: a finite number, at least 0')
    return float(value)
