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
Endpoints of a node, and whether all peers of the graph have joined them.

Tick 0 of a run may only be released when every subscription of the graph
description is matched; each node answers for its own endpoints, because
discovery seen from elsewhere says nothing about them.
"""

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from hlai_control.errors import HlaiError
from hlai_control.graph import publisher_of, SIMULATED, subscribers_of
from hlai_control.ros.diagnostics import Diagnostics


class Peers:
    """
    Creates, guards and destroys the publishers and subscriptions of a node.

    :param node: the node that owns the endpoints.
    :param diagnostics: where a callback's HlaiError is counted by its text.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics) -> None:
        """Begin without endpoints."""
        self._node = node
        self._diagnostics = diagnostics
        # A robot that is there already has drivers and controllers of any name.
        self._simulated = not node.has_parameter('simulation') or bool(
            node.get_parameter('simulation').value)
        self._publishers: list[tuple[str, Publisher]] = []
        self._subscriptions: list[tuple[str, Subscription]] = []

    def speak(self, kind: Any, topic: str, qos: QoSProfile, name: str | None = None) -> Publisher:
        """
        Create a publisher.

        :param name: the topic's name on the wire if it differs from its
            name in the graph (the manifest may rename robot topics).
        """
        publisher = self._node.create_publisher(kind, name or topic, qos)
        self._publishers.append((topic, publisher))
        return publisher

    def listen(self, kind: Any, topic: str, callback: Callable[[Any], None], qos: QoSProfile,
               name: str | None = None) -> None:
        """
        Subscribe; what the callback refuses is counted, never propagated.

        :param name: the topic's name on the wire if it differs.
        """
        def guarded(message: Any) -> None:
            self._node.handled += 1  # type: ignore[attr-defined]
            try:
                callback(message)
            except HlaiError as error:
                self._diagnostics.count(f'{topic}: {error}')

        def incompatible(_event: Any) -> None:
            self._diagnostics.count(f'{topic}: a publisher offers an incompatible QoS')

        subscription = self._node.create_subscription(
            kind, name or topic, guarded, qos,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=incompatible))
        self._subscriptions.append((topic, subscription))

    def missing(self) -> tuple[str, ...]:
        """Return one text per endpoint that still waits for a peer."""
        waits = [f'{topic}: {absent}' for topic, publisher in self._publishers
                 if (absent := self._absent(topic, publisher))]
        waits += [f'{topic}: no publisher (expected: {publisher_of(topic)})'
                  for topic, subscription in self._subscriptions
                  if publisher_of(topic) and subscription.get_publisher_count() == 0]
        return tuple(waits)

    def _absent(self, topic: str, publisher: Publisher) -> str:
        """
        Name the nodes of the graph that have not joined a topic, empty if all have.

        Others may listen, too: so those who are known must be the expected
        ones, and then every endpoint that is known must be matched, but for
        those whose QoS can never match.
        """
        known = [info.node_name
                 for info in self._node.get_subscriptions_info_by_topic(publisher.topic_name)
                 if _can_match(publisher.qos_profile, info.qos_profile)]
        expected, matched = self._expected(topic), publisher.get_subscription_count()
        absent = [name for name in expected if name not in known]
        if not expected and subscribers_of(topic) and not matched:
            return 'no subscriber (expected: a controller of the robot)'
        if expected and not absent and matched < len(known):
            return f'{matched} of {len(known)} matched'
        return f'no {", ".join(absent)}' if absent else ''

    def _expected(self, topic: str) -> tuple[str, ...]:
        """Name the nodes of the graph that must have joined a topic."""
        return tuple(name for name in subscribers_of(topic)
                     if self._simulated or name not in SIMULATED)

    def close(self) -> None:
        """Destroy all endpoints."""
        for _, publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        for _, subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._publishers, self._subscriptions = [], []


def _can_match(offered: QoSProfile, requested: QoSProfile) -> bool:
    """Whether a publisher offers at least what a subscription requests."""
    # rclpy's own check calls the infinite deadlines that discovery reports a mismatch.
    wants_more = (
        (requested.reliability, offered.reliability)
        == (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT),
        (requested.durability, offered.durability)
        == (DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE))
    return not any(wants_more)
