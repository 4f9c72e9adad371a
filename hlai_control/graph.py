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
The graph of nodes, described once, as plain data.

``hlai up`` and ``launch/hlai.launch.py`` are two thin readers of it, and the
nodes read here how many peers each topic must have before tick 0. No torch,
no ROS, no conditions.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeSpec:
    """
    One process of the graph.

    :param name: node name and console script, the same word everywhere.
    :param module: Python module whose ``main`` runs it.
    :param managed: whether the configurator makes its lifecycle transitions.
    :param simulated: whether hardware takes its place.
    """

    name: str
    module: str
    managed: bool
    simulated: bool = False


@dataclass(frozen=True)
class TopicSpec:
    """
    One topic inside the graph; names are relative to the namespace.

    :param name: topic name, or the manifest's key for a robot topic.
    :param kind: ``signal``, ``function``, ``request`` or ``view``.
    :param publisher: node that publishes it.
    :param subscribers: nodes of the graph that must have joined it.
    """

    name: str
    kind: str
    publisher: str
    subscribers: tuple[str, ...]


# In the order of activation; the way down is the reverse.
NODES: tuple[NodeSpec, ...] = (
    NodeSpec('robot', 'hlai_control.robots.node', managed=False, simulated=True),
    NodeSpec('guard', 'hlai_control.robots.guard_node', managed=False),
    NodeSpec('configurator', 'hlai_control.configurator.node', managed=False),
    NodeSpec('cost', 'hlai_control.cost.node', managed=True),
    NodeSpec('world_model', 'hlai_control.world_model.node', managed=True),
    NodeSpec('critic', 'hlai_control.critic.node', managed=True),
    NodeSpec('actor', 'hlai_control.actor.node', managed=True),
    NodeSpec('perception', 'hlai_control.perception.node', managed=True),
)

MANAGED: tuple[str, ...] = tuple(spec.name for spec in NODES if spec.managed)
SIMULATED: tuple[str, ...] = tuple(spec.name for spec in NODES if spec.simulated)

# Topic names that the rooms share.
STATE = 'perception/state'
COMMAND = 'actor/command'
APPLIED = 'guard/applied'
TIMING = 'actor/timing'
PLAN = 'actor/plan'
PLANNED_COMMANDS = 'actor/plan/commands'
SENSITIVITY = 'actor/plan/sensitivity'
WORLD_MODEL = 'world_model/weights'
SURPRISE = 'world_model/surprise'
INTERVALS = 'world_model/intervals'
CRITIC = 'critic/weights'
POLICY = 'critic/policy'
ANTICIPATED = 'critic/anticipated'
COST = 'cost/specification'
TERMS = 'cost/terms'
CONFIGURATION = 'configurator/configuration'
TASK = 'task'

TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec('joint_states', 'signal', 'robot', ('perception', 'guard')),
    TopicSpec('command', 'signal', 'guard', ('robot',)),
    TopicSpec(STATE, 'signal', 'perception',
              ('actor', 'world_model', 'critic', 'cost', 'configurator')),
    TopicSpec(COMMAND, 'signal', 'actor', ('guard',)),
    TopicSpec(APPLIED, 'signal', 'guard',
              ('robot', 'actor', 'world_model', 'critic', 'cost', 'perception')),
    TopicSpec(TIMING, 'signal', 'actor', ('configurator',)),
    TopicSpec(SURPRISE, 'signal', 'world_model', ('configurator',)),
    TopicSpec(INTERVALS, 'signal', 'world_model', ()),
    TopicSpec(ANTICIPATED, 'signal', 'critic', ('configurator',)),
    TopicSpec(TERMS, 'signal', 'cost', ('configurator',)),
    TopicSpec(PLAN, 'view', 'actor', ()),
    TopicSpec(PLANNED_COMMANDS, 'view', 'actor', ()),
    TopicSpec(SENSITIVITY, 'view', 'actor', ()),
    TopicSpec(WORLD_MODEL, 'function', 'world_model', ('actor', 'critic', 'perception')),
    TopicSpec(CRITIC, 'function', 'critic', ('actor',)),
    TopicSpec(POLICY, 'function', 'critic', ('actor',)),
    TopicSpec(COST, 'function', 'cost', ('actor', 'critic')),
    TopicSpec(CONFIGURATION, 'function', 'configurator', ('actor', 'cost')),
)


def subscribers_of(topic: str) -> tuple[str, ...]:
    """Return the nodes of the graph that must have joined a topic, none if unknown."""
    return next((spec.subscribers for spec in TOPICS if spec.name == topic), ())


def publisher_of(topic: str) -> str | None:
    """Return the node that publishes a topic of the graph, None if unknown."""
    return next((spec.publisher for spec in TOPICS if spec.name == topic), None)
