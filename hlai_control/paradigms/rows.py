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
What is compared: the lecture's paradigms as rows, and the robots that they learn to move.

Data only, no torch: the command line reads it as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
import json
from pathlib import Path
from typing import TypeVar

import yaml

from hlai_control.cost.task import load_task
from hlai_control.errors import UsageError
from hlai_control.parent.arguments import resolved
from hlai_control.resources import robot_path, task_path
from hlai_control.robots.manifest import load_robot

T = TypeVar('T')
CONTROLLER, MIND, SAC = 'controller', 'mind', 'sac'


@dataclass(frozen=True)
class Row:
    """
    One paradigm.

    :param name: on the command line and in files.
    :param title: in tables.
    :param lecture: what it is in the lecture's terms.
    :param kind: who plays it: a fixed controller, a mind of ours, or SAC.
    :param mode: of the mind's configuration, see ``configurator/configuration.py``.
    :param rooms: its settings, by parameter name.
    :param values_only: whether planners see nothing of the cost but its value.
    """

    name: str
    title: str
    lecture: str
    kind: str
    mode: str = 'run'
    rooms: Mapping[str, object] = field(default_factory=dict)
    values_only: bool = False


@dataclass(frozen=True)
class System:
    """
    One robot with its task.

    :param budget_s: motion seconds for each row, by its name; '' for the others.
    """

    robot: str
    task: str
    budget_s: Mapping[str, float]

    def budget(self, row: Row) -> float:
        """Return the motion seconds that a row may take."""
        return self.budget_s.get(row.name, self.budget_s[''])


# Every run lasts at least so long, and its final cost is the mean over the end of it [s].
LEAST_S, FINAL_S = 10.0, 3.0

ROWS = (
    Row('nothing', 'do nothing', 'a[t] = 0', CONTROLLER),
    Row('random', 'random', 'a[t] drawn anew at every tick', CONTROLLER),
    Row('classical', 'classical',
        'energy pumping and a linear-quadratic regulator, by an engineer who knows the plant',
        CONTROLLER),
    Row('agent', 'our full agent (defaults)',
        'all six modules: plans by gradient and curvature through G, with the critic at the end',
        MIND),
    Row('mpc', 'MPC by adjoint',
        'argmin over a[1..T] of sum C(s[t]) by backprop through G (Kelley-Bryson)', MIND,
        rooms={'planner.kind': 'adjoint', 'schedule.critic_updates': 0}),
    Row('black_box_planner', 'model-based, black-box cost',
        'G is learned, C(s) is not differentiable: sampled plans (iCEM) see its value only', MIND,
        rooms={'planner.kind': 'icem', 'schedule.critic_updates': 0}, values_only=True),
    Row('policy', 'policy by the intrinsic objective',
        'a[t] = P(s[t]); P learns by backprop of C through G, no plans', MIND, 'reactive',
        {'schedule.policy_updates': 4}),
    Row('black_box_policy', 'model-based policy, black-box cost',
        'a[t] = P(s[t]); P imitates sampled plans (iCEM) through G that see the value of C only',
        MIND, 'reactive', {'schedule.plans': 3, 'planner.kind': 'icem'}, values_only=True),
    Row('sac', 'model-free RL (SAC)',
        'a[t] = P(s[t]); neither G nor C is known, the world answers with a number', SAC),
)

SYSTEMS = (
    System('pendulum', 'pendulum_swingup',
           {'': 20.0, 'policy': 30.0, 'black_box_policy': 30.0, 'sac': 1000.0}),
    System('cartpole', 'swingup',
           {'': 20.0, 'policy': 30.0, 'black_box_policy': 30.0, 'sac': 2500.0}),
)


def rows_named(names: str) -> tuple[Row, ...]:
    """
    Find rows by their names.

    :param names: joined by commas; empty: all.
    :raises UsageError: naming what is not one, and the valid ones.
    """
    return _named(names, 'rows', {row.name: row for row in ROWS})


def systems_named(names: str) -> tuple[System, ...]:
    """
    Find robots by their names.

    :param names: joined by commas; empty: all.
    :raises UsageError: naming what is not one, and the valid ones.
    """
    return _named(names, 'robots', {system.robot: system for system in SYSTEMS})


def identity(system: System, row: Row, budget_s: float) -> dict[str, object]:
    """
    Return what runs of a row must share to stand in one table: all that they are set to.

    :param budget_s: motion seconds of a run at most.
    """
    task = load_task(system.task, load_robot(system.robot))
    return {'budget_s': budget_s, 'mode': row.mode, 'values_only': row.values_only,
            'robot': _digest(robot_path(system.robot)), 'task': _digest(task_path(system.task)),
            **(resolved(task.rooms(row.rooms)) if row.kind == MIND else {})}


def _digest(path: Path) -> str:
    """Sum up what a file says, apart from comments and from settings, which only minds have."""
    read = yaml.safe_load(path.read_text(encoding='utf-8'))
    read.pop('settings', None)
    said = json.dumps(read, sort_keys=True)
    return sha256(said.encode()).hexdigest()[:16]


def _named(names: str, key: str, valid: Mapping[str, T]) -> tuple[T, ...]:
    wanted = names.split(',') if names else list(valid)
    wrong = [name for name in wanted if name not in valid]
    if wrong:
        raise UsageError(f'{key}:={names}: there is no {", ".join(map(repr, wrong))}; valid: '
                         + ', '.join(valid) + ', joined by commas')
    return tuple(one for name, one in valid.items() if name in wanted)
