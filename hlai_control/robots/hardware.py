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
How a robot's drivers are spoken to, as its manifest says: topics, and which controller.

A forward command controller takes numbers, a robot behind topic_based hardware joint
states, and a joint trajectory controller points that each new trajectory replaces:
:class:`Streaming` says where they lie. No ROS here: ``ros/wire.py`` makes messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from hlai_control.documents import Value

Vector = NDArray[np.float64]
KINDS = ('forward', 'joint_state', 'joint_trajectory')
TWIST_KINDS = ('twist_stamped', 'twist')
END_VELOCITIES = ('zero', 'accepted')
# A reference may be ahead of the joint by what the joint goes in so many points' times.
_AHEAD = 3.0


@dataclass(frozen=True)
class Topics:
    """Names of the topics that the robot's own drivers use; empty: it has none."""

    joint_states: str
    command: str
    robot_description: str
    odometry: str = ''


@dataclass(frozen=True)
class Controller:
    """
    What listens to the commands.

    :param kind: ``forward``, ``joint_state`` or ``joint_trajectory``; of a mobile base
        ``twist_stamped`` or ``twist``.
    :param time_from_start_s: when a trajectory's one point is reached; after it the
        controller holds, whoever is dead [s].
    :param end_velocity: whether the controller accepts that this point is passed with
        a velocity (``allow_nonzero_velocity_at_trajectory_end``).
    """

    kind: str = 'forward'
    time_from_start_s: float = 0.0
    end_velocity: bool = False


def read_topics(value: Value, has_base: bool) -> Topics:
    """
    Read a manifest's entry ``topics``.

    :param has_base: whether odometry tells of some coordinates.
    :raises DocumentError: naming what is wrong and what is valid.
    """
    fields = value.section(('joint_states', 'command', 'robot_description',
                            *(('odometry',) if has_base else ())))
    return Topics(**{key: _topic(item) for key, item in fields.items()})


def _topic(value: Value) -> str:
    text = value.text()
    words = text.removeprefix('/').split('/')
    if not all(word.isidentifier() and word.isascii() for word in words):
        raise value.error("a ROS topic name: words of letters, digits and '_' joined by '/'")
    return text


def read_controller(value: Value, interfaces: Sequence[str], period_s: float) -> Controller:
    """
    Read a manifest's entry ``controller``.

    :param value: the entry.
    :param interfaces: of the actuators.
    :param period_s: the control period.
    :raises DocumentError: naming what is wrong and what is valid.
    """
    if 'twist' in interfaces:
        return Controller(value.section(('kind',))['kind'].choice(TWIST_KINDS))
    fields = value.section(('kind',), ('time_from_start_s', 'end_velocity'))
    kind = fields['kind'].choice(KINDS)
    if kind != 'forward' and len(set(interfaces)) > 1:
        raise fields['kind'].error('forward, since the actuators have several interfaces')
    if kind != 'joint_trajectory':
        return Controller(value.section(('kind',))['kind'].choice(KINDS))
    if 'effort' in interfaces:
        raise fields['kind'].error('forward or joint_state; a trajectory has places and '
                                   'speeds, no efforts')
    fields = value.section(('kind', 'time_from_start_s', 'end_velocity'))
    return Controller(kind, fields['time_from_start_s'].number(period_s, 60.0),
                      fields['end_velocity'].choice(END_VELOCITIES) == 'accepted')


def standard_controller(interfaces: Sequence[str]) -> Controller:
    """Return what listens to the commands of a manifest that does not say."""
    return Controller(TWIST_KINDS[0] if 'twist' in interfaces else KINDS[0])


@dataclass(frozen=True)
class Point:
    """
    One point of a joint trajectory, of A joints.

    :param positions: where the joints are to be [rad or m].
    :param velocities: how fast they pass it [rad/s or m/s].
    """

    positions: tuple[float, ...]
    velocities: tuple[float, ...]


@dataclass(frozen=True)
class Reference:
    """
    Where a trajectory controller was sent, the memory of :func:`stream`.

    :param positions: its reference when the last point was sent.
    :param velocities: with which it went on from there.
    """

    positions: Vector
    velocities: Vector


@dataclass(frozen=True)
class Streaming:
    """
    Points of a trajectory that is replaced at each command.

    :param controller: of kind ``joint_trajectory``.
    :param is_position: whether commands are positions; otherwise they are velocities.
    :param low: least position of each joint.
    :param high: greatest position.
    :param speed: greatest command, if commands are velocities.
    """

    controller: Controller
    is_position: bool
    low: Vector
    high: Vector
    speed: Vector

    def point(self, values: Sequence[float], measured: Sequence[float], elapsed_s: float,
              before: Reference | None) -> tuple[Point, Reference] | None:
        """
        Say which point is next.

        Positions are where the robot is to be, and the velocity is that of the way
        there. Velocities are integrated: from the reference, not from the joint,
        which would creep under a load, but never further ahead of the joint than
        it can follow.

        :param values: A finite commands.
        :param measured: A positions; NaN: not known.
        :param elapsed_s: since the last point was sent.
        :param before: what the last call gave, None at first.
        :returns: None if nobody has told yet where the robot is.
        """
        span_s = self.controller.time_from_start_s
        place = np.array(measured, dtype=np.float64)
        if before is None and not np.isfinite(place).all():
            return None
        gone_s = min(max(elapsed_s, 0.0), span_s)
        at = place if before is None else before.positions + gone_s * before.velocities
        command = np.array(values, dtype=np.float64)
        if self.is_position:
            target, velocity = command, (command - at) / span_s
        else:
            slack = _AHEAD * span_s * self.speed
            known = np.where(np.isfinite(place), place, at)
            at = np.clip(np.clip(at, known - slack, known + slack), self.low, self.high)
            target = np.clip(at + span_s * command, self.low, self.high)
            velocity = (target - at) / span_s
        passed = velocity if self.controller.end_velocity else np.zeros_like(velocity)
        return (Point(tuple(target.tolist()), tuple(passed.tolist())), Reference(at, velocity))


def without_guard(controller: Controller, timeout_s: float | None) -> str:
    """
    Say what a robot does when the guard dies.

    :param controller: what executes commands.
    :param timeout_s: after so long without a command it stops; None: never.
    """
    held_s = math.inf if timeout_s is None else timeout_s
    if controller.kind == 'joint_trajectory':
        held_s = min(controller.time_from_start_s, held_s)
    return ('the controller holds the last command for ever' if math.isinf(held_s)
            else f'the controller stops the robot within {held_s:g} s')
