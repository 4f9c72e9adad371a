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
Settings dataclasses <-> ROS parameters, with ranges, texts and validation.

Parameters are validated when set (refused with a reason) and read when a
node configures itself, so that nothing changes in the middle of a tick.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from hlai_control.errors import HlaiError, SettingsError
from hlai_control.settings import group_of, Settings

S = TypeVar('S', bound=Settings)

LOCKSTEP, REALTIME = 'lockstep', 'realtime'


@dataclass(frozen=True)
class Run:
    """
    What every node of one run agrees on.

    :param robot: name or path of the robot manifest.
    :param task: name or path of the task.
    :param mode: ``lockstep`` or ``realtime``.
    :param seed: seed of every generator of the run.
    :param run_dir: folder of the run's files; empty: keep nothing.
    :param real_time_factor: stamp seconds per steady-clock second.
    :param simulation: whether the robot is this graph's own, simulated one.
    """

    robot: str
    task: str
    mode: str
    seed: int
    run_dir: str
    real_time_factor: float
    simulation: bool

    @property
    def lockstep(self) -> bool:
        """Whether ticks wait for each other instead of for a clock."""
        return self.mode == LOCKSTEP


def declare_run(node: Node) -> None:
    """
    Declare the parameters that :func:`read_run` reads.

    Every node begins here, so this also keeps a request that rclpy cannot
    read from ending its process.
    """
    for service in node.services:
        if service.srv_name.rpartition('/')[2].startswith('set_parameters'):
            service.callback = _refusing(service.callback)
    for name, default, text in (
            ('robot', 'cartpole', 'Robot: a name of config/robots or a path to a YAML file.'),
            ('task', 'swingup', 'Task: a name of config/tasks or a path to a YAML file.'),
            ('mode', REALTIME, 'Time: realtime or lockstep.'),
            ('seed', 0, 'Seed of every random generator, any integer.'),
            ('run_dir', '', 'Folder for the files of the run; empty: keep nothing.'),
            ('real_time_factor', 1.0, 'Simulated seconds per second.'),
            ('simulation', True, 'Whether the robot is simulated by this graph.')):
        node.declare_parameter(name, default, ParameterDescriptor(description=text))


def read_run(node: Node) -> Run:
    """
    Read the run's parameters.

    :raises SettingsError: if ``mode`` is unknown or the factor is not positive
        and finite.
    """
    run = Run(**{item.name: node.get_parameter(item.name).value for item in fields(Run)})
    if run.mode not in (LOCKSTEP, REALTIME):
        raise SettingsError(f'mode = {run.mode!r}; valid: {REALTIME}, {LOCKSTEP}')
    if not 0.0 < run.real_time_factor < float('inf'):
        raise SettingsError(f'real_time_factor = {run.real_time_factor}; valid: a finite number '
                            'above 0')
    if run.lockstep and not run.simulation:
        raise SettingsError('mode = lockstep without a simulation; valid: realtime: no hardware '
                            'waits for an answer')
    return run


def declare(node: Node, kinds: Sequence[type[Settings]]) -> None:
    """
    Declare every field of the settings classes, and refuse wrong values.

    :param node: the node that gets the parameters, ``<group>.<field>``.
    :param kinds: the settings classes that it needs.
    """
    for kind in kinds:
        for item in fields(kind):  # type: ignore[arg-type]
            node.declare_parameter(f'{group_of(kind)}.{item.name}', item.default,
                                   _descriptor(item))

    def validate(changes: list[Parameter]) -> SetParametersResult:
        changed = {parameter.name: parameter.value for parameter in changes}
        try:
            for kind in kinds:
                read(node, kind, changed)
        except (HlaiError, TypeError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    for kind in kinds:
        read(node, kind)  # overrides from the command line have not been checked yet
    node.add_on_set_parameters_callback(validate)


def read(node: Node, kind: type[S], changed: dict[str, object] | None = None) -> S:
    """
    Build the settings from the node's parameters.

    :param node: the node that declared them.
    :param kind: the settings class.
    :param changed: values that are about to replace the declared ones.
    :raises SettingsError: if a value is out of range.
    """
    names = {item.name: f'{group_of(kind)}.{item.name}'
             for item in fields(kind)}  # type: ignore[arg-type]
    changed = changed or {}
    return kind(**{field: changed[name] if name in changed else node.get_parameter(name).value
                   for field, name in names.items()})


def _refusing(change: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    # rclpy raises at a type of value that it does not know.
    def answer(request: Any, response: Any) -> Any:
        try:
            return change(request, response)
        except (TypeError, ValueError) as error:
            refused = SetParametersResult(successful=False, reason=str(error))
            if hasattr(response, 'result'):
                response.result = refused
            else:
                response.results = [refused] * len(request.parameters)
            return response

    return answer


def _descriptor(item) -> ParameterDescriptor:  # type: ignore[no-untyped-def]
    text = item.metadata['doc']
    if 'options' in item.metadata:
        return ParameterDescriptor(description=text, additional_constraints='one of: ' + ', '.join(
            map(str, item.metadata['options'])))
    if 'valid' in item.metadata:
        return ParameterDescriptor(description=text,
                                   additional_constraints=item.metadata['valid'])
    low, high = item.metadata['low'], item.metadata['high']
    if isinstance(item.default, int):
        ranges = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
        return ParameterDescriptor(description=text, integer_range=ranges)
    ranges = [FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)]
    return ParameterDescriptor(description=text, floating_point_range=ranges)
