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
The launch file and the graph's description agree.

launch is part of a full ROS install only, so the file is read, not executed.
"""

import ast
from dataclasses import fields

import pytest
from sources import imports, ROOT, tree

from hlai_control.graph import NODES
from hlai_control.ros.parameters import Run

LAUNCH = ROOT / 'launch' / 'hlai.launch.py'


def constant(name: str) -> ast.expr:
    return next(node.value for node in tree(LAUNCH).body if isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name)


def arguments() -> dict[str, tuple[str, str]]:
    """Return the default and the description of each launch argument."""
    return {name: (default, text)
            for name, default, text in ast.literal_eval(constant('ARGUMENTS'))}


def run_parameters() -> dict[str, str]:
    """Return the type's name of each parameter that the nodes get."""
    table = constant('RUN')
    assert isinstance(table, ast.Dict)
    return {ast.literal_eval(key): ast.unparse(value)
            for key, value in zip(table.keys, table.values, strict=True) if key is not None}


def calls(function: str) -> list[ast.Call]:
    return [node for node in ast.walk(tree(LAUNCH)) if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name) and node.func.id == function]


def test_it_starts_what_the_graph_describes_and_names_no_node_itself() -> None:
    assert 'hlai_control.graph.NODES' in imports(LAUNCH)
    words = {node.value for node in ast.walk(tree(LAUNCH))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    # 'robot' is also a launch argument.
    assert words & {spec.name for spec in NODES} <= {'robot'}


def test_nodes_get_exactly_what_every_run_agrees_on() -> None:
    assert run_parameters() == {item.name: item.type.__name__ for item in fields(Run)}
    assert run_parameters().keys() <= arguments().keys()


def test_every_argument_is_described_and_used() -> None:
    assert all(text.endswith('.') and len(text) > 10 for _, text in arguments().values())
    used = {call.args[0].value for kind in ('LaunchConfiguration', 'hardware')
            for call in calls(kind) if isinstance(call.args[0], ast.Constant)}
    assert used | run_parameters().keys() == arguments().keys()


def test_hardware_gets_the_whole_but_its_simulator() -> None:
    text = LAUNCH.with_name('hardware.launch.py').read_text(encoding='utf-8')
    assert "'hlai.launch.py'" in text and "{'simulation': 'false'}" in text
    assert 0.0 < float(arguments()['authority'][0]) <= 0.2 and float(arguments()['ramp_s'][0]) > 0


@pytest.mark.parametrize('name', [spec.name for spec in NODES])
def test_every_node_has_a_module_with_a_main(name: str) -> None:
    spec = next(spec for spec in NODES if spec.name == name)
    path = ROOT.joinpath(*spec.module.split('.')).with_suffix('.py')
    assert path.is_file(), f'{spec.module} is in graph.NODES and does not exist'
    assert any(isinstance(node, ast.FunctionDef) and node.name == 'main'
               for node in tree(path).body), f'{spec.module} has no main()'
