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
The few QoS profiles of the graph, by kind of topic (docs/architecture.md).

Commands and control inputs carry the newest value only; learners and
recorders must lose nothing for at least five seconds; functions are latched.
"""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

LEARNER_DEPTH_S = 5.0
# In lockstep a consumer may still need a version that its publisher has
# already followed up, so function topics keep a few (docs/decisions/0003).
FUNCTION_DEPTH = 8


def _reliable(depth: int, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth,
                      reliability=ReliabilityPolicy.RELIABLE, durability=durability)


CONTROL = _reliable(1, DurabilityPolicy.VOLATILE)
VIEW = _reliable(5, DurabilityPolicy.VOLATILE)
LATCHED = _reliable(1, DurabilityPolicy.TRANSIENT_LOCAL)
FUNCTION = _reliable(FUNCTION_DEPTH, DurabilityPolicy.TRANSIENT_LOCAL)
SENSOR = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10,
                    reliability=ReliabilityPolicy.BEST_EFFORT,
                    durability=DurabilityPolicy.VOLATILE)
DIAGNOSTICS = _reliable(50, DurabilityPolicy.VOLATILE)


def learner(rate_hz: float) -> QoSProfile:
    """
    Profile of signals that learners read: reliable, 5 s deep.

    :param rate_hz: control rate [Hz].
    :returns: the profile, used by publisher and subscription alike.
    """
    return _reliable(max(10, round(LEARNER_DEPTH_S * rate_hz)), DurabilityPolicy.VOLATILE)
