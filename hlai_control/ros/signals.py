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
Signals: stamped, named vectors, carried by ``sensor_msgs/JointState``.

Values travel in ``position``; ``name`` says which is which, so that order
never matters. Stamps are integer nanoseconds of the measurement's time.
Everything that cannot be used raises a SignalError whose text is the reason
counted in ``/diagnostics``.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from builtin_interfaces.msg import Time
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from hlai_control.errors import SignalError
from hlai_control.readings import named_values

NS_PER_S = 1_000_000_000
MAX_STAMP_S = 2 ** 31


@dataclass(frozen=True)
class Signal:
    """
    One named vector at one moment.

    :param stamp_ns: time of the measurement it belongs to [ns].
    :param names: one flat name per value.
    :param values: float64 vector of the same length.
    """

    stamp_ns: int
    names: tuple[str, ...]
    values: NDArray[np.float64]


def stamp_to_ns(stamp: Time) -> int:
    """Return a ROS stamp as integer nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    """
    Return integer nanoseconds as a ROS stamp.

    :raises SignalError: if ROS's 32 bits of seconds cannot hold it; rclpy
        would send zero instead.
    """
    if not -MAX_STAMP_S <= stamp_ns // NS_PER_S < MAX_STAMP_S:
        raise SignalError('stamp out of range')
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def to_message(signal: Signal) -> JointState:
    """
    Pack a signal.

    :raises SignalError: if a value is not finite, or there is not one for
        each name, or the stamp is out of range; such never reach a wire.
    """
    if signal.values.shape != (len(signal.names),):
        raise SignalError('wrong length of output')
    if not np.isfinite(signal.values).all():
        raise SignalError('non-finite output')
    message = JointState()
    message.header.stamp = ns_to_stamp(signal.stamp_ns)
    message.name = list(signal.names)
    message.position = array('d', np.ascontiguousarray(signal.values, np.float64).tobytes())
    return message


def from_message(message: JointState, names: Sequence[str]) -> Signal:
    """
    Unpack a signal, reordered to ``names``; further names are ignored.

    :param message: as received, from anybody.
    :param names: the values wanted, in this order.
    :raises SignalError: wrong length, missing or duplicated name, non-finite.
    """
    values = named_values(message.name, message.position, names)
    return Signal(stamp_to_ns(message.header.stamp), tuple(names), values)
