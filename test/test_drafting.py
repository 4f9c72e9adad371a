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


"""Robots that nobody described: what a URDF says is in the manifest, and the rest is asked."""

from math import inf
from pathlib import Path

import pybullet_data
import pytest

from hlai_control.cost.task import load_task
from hlai_control.errors import UsageError
from hlai_control.parent.init_robot import init_robot
from hlai_control.robots.drafting import draft, MARK
from hlai_control.robots.manifest import load_robot

MODELS = Path(pybullet_data.getDataPath())
URDF = """<robot name="my-robot 2">
  <link name="base"/><link name="a"/><link name="b"/><link name="c"/><link name="d"/>
  <joint name="lift" type="prismatic"><parent link="base"/><child link="a"/>
    <limit lower="0.1" upper="0.9" velocity="0.2" effort="50"/><dynamics damping="2.5"/></joint>
  <joint name="turn/1" type="revolute"><parent link="a"/><child link="b"/>
    <limit lower="-2.0" upper="1.5" velocity="8.0" effort="12"/></joint>
  <joint name="wheel" type="continuous"><parent link="b"/><child link="c"/></joint>
  <joint name="finger" type="prismatic"><parent link="b"/><child link="d"/>
    <limit lower="0" upper="0.1" velocity="1" effort="1"/><mimic joint="lift"/></joint>
  %s
</robot>
"""
CONTROL = """<ros2_control name="it" type="system">
  <joint name="lift"><command_interface name="effort"/></joint>
  <joint name="turn/1"><command_interface name="position"/><command_interface name="effort"/>
  </joint></ros2_control>"""


def made(tmp_path: Path, text: str = URDF % '', *more: str):
    (tmp_path / 'it.urdf').write_text(text, encoding='utf-8')
    assert init_robot([f'urdf:={tmp_path}/it.urdf', f'out:={tmp_path}/it.yaml', *more]) == 0
    robot = load_robot(str(tmp_path / 'it.yaml'))
    return robot, load_task(str(tmp_path / 'it_pose.yaml'), robot)


def test_what_the_urdf_says_is_in_the_manifest(tmp_path, capsys):
    robot, task = made(tmp_path)
    assert robot.name == 'my_robot_2' and robot.joints == ('lift', 'turn/1', 'wheel')
    lift, turn, wheel = robot.coordinates
    assert (lift.name, lift.kind, lift.low, lift.high, lift.velocity_limit) == (
        'lift.x', 'linear', 0.1, 0.9, 0.2)
    assert (turn.name, turn.kind, turn.low, turn.high) == ('turn_1.angle', 'angle', -2.0, 1.5)
    assert (wheel.low, wheel.high, wheel.velocity_limit) == (-inf, inf, inf)
    # Half of what the drives can do, and never fast at first.
    assert [item.high for item in robot.actuators] == [0.1, 1.0, 1.0]
    assert all(item.low == -item.high for item in robot.actuators)
    assert dict(robot.simulation.joint_damping) == {'lift': 2.5, 'turn/1': 0.0, 'wheel': 0.0}
    assert robot.simulation.initial == (0.5, 0.0, 0.0)
    for item, goal in zip(robot.coordinates, task.goal, strict=False):
        assert item.name == goal.coordinate and item.low < goal.value < item.high
    said = capsys.readouterr().out
    text = (tmp_path / 'it.yaml').read_text(encoding='utf-8')
    assert 'finger mimics another' in said
    assert all(line.split(f'# {MARK}: ')[1] in said for line in text.splitlines()
               if f'# {MARK}: ' in line)


def test_ros2_control_says_what_is_driven(tmp_path):
    robot, _ = made(tmp_path, URDF % CONTROL, 'interface:=effort')
    assert [(item.joint, item.interface, item.high) for item in robot.actuators] == [
        ('lift', 'effort', 25.0), ('turn/1', 'effort', 6.0)]
    with pytest.raises(UsageError, match='position and other'):
        draft(tmp_path / 'it.urdf', '', 'velocity', 20.0, 'it.urdf')


def test_positions_are_held(tmp_path):
    robot, _ = made(tmp_path, URDF % '', 'interface:=position', 'rate_hz:=30', 'name:=other')
    assert robot.safe_command == 'hold' and robot.name == 'other'
    assert [(item.low, item.high) for item in robot.actuators] == [
        (0.1, 0.9), (-2.0, 1.5), (-3.0, 3.0)]


@pytest.mark.parametrize(('model', 'joints'), [
    ('kuka_iiwa/model.urdf', 7), ('xarm/xarm6_robot.urdf', 6), ('franka_panda/panda.urdf', 8)])
def test_models_of_others_can_be_used_as_they_are(tmp_path, model, joints):
    out = tmp_path / 'it.yaml'
    assert init_robot([f'urdf:={MODELS / model}', f'out:={out}']) == 0
    robot = load_robot(str(out))
    assert len(robot.actuators) == joints
    load_task(str(tmp_path / 'it_pose.yaml'), robot)


@pytest.mark.parametrize(('text', 'said'), [
    ('<robot', 'xacro'), ('<sdf/>', '<sdf>'), ('<robot name="a"/>', 'none moves'),
    ('<robot><joint name="j" type="floating"/></robot>', 'j is floating')])
def test_what_is_no_robot_is_refused(tmp_path, text, said):
    with pytest.raises(UsageError, match=said):
        made(tmp_path, text)
    assert not (tmp_path / 'it.yaml').exists()


def test_nothing_is_written_over(tmp_path):
    made(tmp_path)
    before = (tmp_path / 'it.yaml').read_bytes()
    with pytest.raises(UsageError, match='exists'):
        made(tmp_path)
    assert (tmp_path / 'it.yaml').read_bytes() == before


@pytest.mark.parametrize('arguments', [
    [], ['urdf:=it.urdf', 'rate_hz:=0'], ['urdf:=it.urdf', 'interface:=torque'],
    ['urdf:=missing.urdf'], ['urdf:=it.urdf', 'planner.horizon:=3']])
def test_wrong_arguments_are_refused(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'it.urdf').write_text(URDF % '', encoding='utf-8')
    with pytest.raises(UsageError, match='valid'):
        init_robot(arguments)
