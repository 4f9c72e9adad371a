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


"""Frames: where they are agrees with another library's physics, slopes with differences."""

import numpy as np
import pybullet
import pytest
import torch

from hlai_control.cost.constraint_spec import ConstraintSpec, KEEP_OUT, LIMIT
from hlai_control.cost.constraints import TaskConstraints
from hlai_control.cost.function import TaskCost
from hlai_control.cost.kinematics import Kinematics, Named
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.errors import DocumentError
from hlai_control.resources import robot_path
from hlai_control.robots.manifest import load_robot

PANDA = load_robot('panda').layout
# A slide, then a hinge: the tip of the pole, half a metre from it.
FRAMES = 'frames:\n  - {name: tip, link: pole, offset: [0.0, 0.0, -0.5]}\n'
CARTPOLE = robot_path('cartpole').read_text(encoding='utf-8')


@pytest.fixture(name='load')
def _load(tmp_path):
    def load(frames: str):
        urdf = robot_path('cartpole').with_suffix('.urdf')
        (tmp_path / urdf.name).write_text(urdf.read_text(encoding='utf-8'), encoding='utf-8')
        path = tmp_path / 'robot.yaml'
        path.write_text(CARTPOLE.replace('simulation:', frames + 'simulation:', 1),
                        encoding='utf-8')
        return load_robot(str(path))
    return load


def states(layout, count: int) -> torch.Tensor:
    """Draw states, the same ones each time."""
    made = torch.Generator().manual_seed(5)
    return torch.randn(count, layout.state_size, dtype=torch.float64, generator=made)


def test_the_tip_of_a_pole_is_where_trigonometry_says(load):
    named = Named(load(FRAMES).layout)
    found = named.of(np.array([0.3, 0.7, 0.0, 0.0]))
    assert found['cart.x'] == 0.3
    # The slide and the hinge are in the plane x, z; the pole hangs at angle 0.
    assert found['tip.x'] - 0.3 == pytest.approx(0.5 * np.sin(0.7), abs=1e-6)
    assert found['tip.z'] - named.of(np.zeros(4))['tip.z'] == pytest.approx(
        0.5 * (1.0 - np.cos(0.7)), abs=1e-6)


def test_frames_of_an_arm_are_where_pybullet_puts_its_links():
    robot = load_robot('panda')
    client = pybullet.connect(pybullet.DIRECT)
    try:
        body = pybullet.loadURDF(str(robot.simulation.urdf), useFixedBase=True,
                                 physicsClientId=client)
        infos = [pybullet.getJointInfo(body, at, physicsClientId=client)
                 for at in range(pybullet.getNumJoints(body, physicsClientId=client))]
        joints = {info[1].decode(): info[0] for info in infos}
        links = {info[12].decode(): info[0] for info in infos}
        for state in states(PANDA, 4).numpy():
            for name, place in zip(robot.joints, state, strict=False):
                pybullet.resetJointState(body, joints[name], place, physicsClientId=client)
            found = Named(PANDA).of(state)
            for frame, link, offset in (('hand', 'panda_grasptarget', (0.0, 0.0, 0.0)),
                                        ('palm_left', 'panda_hand', (0.0, 0.05, 0.03))):
                at = pybullet.getLinkState(body, links[link], computeForwardKinematics=True,
                                           physicsClientId=client)
                turned = np.array(pybullet.getMatrixFromQuaternion(at[5])).reshape(3, 3)
                assert [found[f'{frame}.{axis}'] for axis in 'xyz'] == pytest.approx(
                    np.array(at[4]) + turned @ offset, abs=1e-5)
                assert [[found[f'{frame}.{axis}_axis.{part}'] for axis in 'xyz']
                        for part in 'xyz'] == [pytest.approx(row, abs=1e-5) for row in turned]
    finally:
        pybullet.disconnect(physicsClientId=client)


@pytest.mark.parametrize('robot', ['panda', 'cartpole'])
def test_the_jacobian_is_that_of_finite_differences(robot, load):
    layout = PANDA if robot == 'panda' else load(FRAMES).layout
    # Not in the layout's order, and not all.
    kinematics = Kinematics(layout, layout.places[7:1:-1])
    at, size = states(layout, 3), 1e-6
    values, slopes = kinematics.expansion(at)
    assert torch.equal(values, kinematics.of(at))
    for column in range(layout.state_size):
        step = size * torch.eye(layout.state_size, dtype=torch.float64)[column]
        found = (kinematics.of(at + step) - kinematics.of(at - step)) / (2.0 * size)
        torch.testing.assert_close(slopes[:, :, column], found, atol=1e-8, rtol=1e-6)


def test_leading_axes_are_kept():
    kinematics = Kinematics(PANDA, ('hand.z', 'wrist.x'))
    many = states(PANDA, 6).reshape(2, 3, -1)
    assert torch.equal(kinematics.of(many)[1, 2], kinematics.of(many[1, 2]))


def cost() -> TaskCost:
    """Weigh the hand's height and one of its axes, a joint and a command."""
    return TaskCost(PANDA, CostSpec('a', 0.9, (
        TermSpec('speed', 'quadratic', 'joint2.speed', 0.1),
        TermSpec('height', 'quadratic', 'hand.z', 3.0, goal=0.4),
        TermSpec('bend', 'angle', 'joint4.angle', 0.5, goal=-1.0),
        TermSpec('upright', 'saturating', 'hand.z_axis.z', 2.0, goal=-1.0, width=0.5))))


def test_the_gradient_of_a_cost_of_frames_is_that_of_reverse_passes():
    at, commands = states(PANDA, 4), states(PANDA, 4)[:, :7]
    both = torch.cat([at, commands], dim=1).requires_grad_()
    total = cost().double().stage(both[:, :14], both[:, 14:]).sum()
    gradient, = torch.autograd.grad(total, both)
    found, hessian = cost().double().expansion(at, commands)
    torch.testing.assert_close(found, gradient)
    torch.testing.assert_close(hessian, hessian.mT)


def test_at_a_goal_of_frames_gauss_and_newtons_hessian_is_the_hessian():
    at = states(PANDA, 1)
    names = ('hand.x', 'hand.y', 'wrist.z')
    goals = Kinematics(PANDA, names).of(at)[0].tolist()
    made = TaskCost(PANDA, CostSpec('a', 1.0, tuple(
        TermSpec(name, 'quadratic', name, 1.0 + weight, goal=goal)
        for weight, (name, goal) in enumerate(zip(names, goals, strict=True))))).double()
    made.quadratic_goal = torch.tensor(goals, dtype=torch.float64)
    nothing = torch.zeros(1, 7, dtype=torch.float64)
    exact = torch.autograd.functional.hessian(
        lambda state: made.stage(state.unsqueeze(0), nothing).sum(), at[0])
    torch.testing.assert_close(made.expansion(at, nothing)[1][0, :14, :14], exact)


def test_constraints_on_frames_have_the_slopes_of_finite_differences():
    constraints = TaskConstraints(PANDA, (
        ConstraintSpec('table', LIMIT, ('hand.z',), low=0.1),
        ConstraintSpec('ball', KEEP_OUT, ('wrist.x', 'wrist.y', 'wrist.z'),
                       centre=(0.5, 0.0, 0.4), radius=0.2),
        ConstraintSpec('joint', LIMIT, ('joint1.angle/rate',), low=-1.0, high=1.0)))
    assert constraints.of_state == (True,) * 4
    at, commands, size = states(PANDA, 3), states(PANDA, 3)[:, :7], 1e-6
    slopes = constraints.slopes(at, commands, commands)
    for column in range(14):
        step = size * torch.eye(14, dtype=torch.float64)[column]
        ahead, behind = (constraints.values(at + sign * step, commands, commands)
                         for sign in (1.0, -1.0))
        torch.testing.assert_close(slopes[:, :, column], (ahead - behind) / (2.0 * size),
                                   atol=1e-7, rtol=1e-5)
    assert not slopes[:, :, 14:].any()
    # 0.3 m from the centre of a ball of 0.2 m: half a radius outside.
    place = Named(PANDA).of(at[0].numpy())
    centre = (place['wrist.x'] + 0.3, place['wrist.y'], place['wrist.z'])
    ball = TaskConstraints(PANDA, (ConstraintSpec(
        'ball', KEEP_OUT, ('wrist.x', 'wrist.y', 'wrist.z'), centre=centre, radius=0.2),))
    assert float(ball.values(at[0], commands[0], commands[0])) == pytest.approx(-0.5, abs=1e-5)


@pytest.mark.parametrize(('frames', 'valid'), [
    ('frames:\n  - {name: tip, link: pol}\n', 'did you mean pole'),
    ('frames:\n  - {name: tip, link: rail}\n', 'a link that a joint moves'),
    ('frames:\n  - {name: tip, link: pole, offset: [0.0, 1.0]}\n', 'list of 3'),
    ('frames:\n  - {name: tip, link: pole}\n  - {name: tip, link: cart}\n', 'frame')])
def test_each_wrong_frame_is_refused(frames, valid, load):
    with pytest.raises(DocumentError, match=valid):
        load(frames)


def test_a_joint_that_nobody_senses_may_not_move_a_frame(tmp_path):
    text = robot_path('panda').read_text(encoding='utf-8')
    path = tmp_path / 'robot.yaml'
    path.write_text(text.replace('link: panda_grasptarget', 'link: panda_leftfinger'),
                    encoding='utf-8')
    with pytest.raises(DocumentError, match='panda_finger_joint1'):
        load_robot(str(path))
