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


"""Bases that drive: odometry in, twists out, and a world model that turns with the base."""

from math import cos, pi, sin

from geometry_msgs.msg import Twist, TwistStamped
from graph_harness import graph, look_until
from nav_msgs.msg import Odometry
import numpy as np
import pytest
import torch

from hlai_control.actor.objective import _jacobians
from hlai_control.cost.task import load_task
from hlai_control.errors import DocumentError, SignalError
from hlai_control.graph import STATE
from hlai_control.perception.kalman import KalmanEstimator
from hlai_control.resources import robot_path
from hlai_control.robots.circulating import Circulating
from hlai_control.robots.guard import Candidate, Guard, Measured, Situation
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.reasons import Reason
from hlai_control.robots.simulator import Simulator
from hlai_control.robots.trial import trial
from hlai_control.ros.joint_states import JointReader
from hlai_control.ros.odometry import as_joint_states, as_odometry
from hlai_control.ros.signals import ns_to_stamp
from hlai_control.ros.wire import make_wire
from hlai_control.settings import GuardSettings, PerceptionSettings, WorldModelSettings
from hlai_control.types import generator, Transition
from hlai_control.world_model.ensemble import EnsembleDynamics
from hlai_control.world_model.learner import WorldModelLearner

HUSKY = load_robot('husky')
LAYOUT = HUSKY.layout
TEXT = robot_path('husky').read_text(encoding='utf-8')


@pytest.fixture(name='simulator')
def _simulator():
    made = Simulator(HUSKY, 0)
    yield made
    made.close()


@pytest.fixture(name='load')
def _load(tmp_path):
    def load(old: str, new: str):
        assert old in TEXT, f'the manifest no longer says {old!r}'
        path = tmp_path / 'robot.yaml'
        path.write_text(TEXT.replace(old, new, 1), encoding='utf-8')
        return load_robot(str(path))
    return load


def turned(state: torch.Tensor, angle: float) -> torch.Tensor:
    """Turn the world in which a base's state was told, about its origin."""
    found = state.clone()
    found[..., 0] = cos(angle) * state[..., 0] - sin(angle) * state[..., 1]
    found[..., 1] = sin(angle) * state[..., 0] + cos(angle) * state[..., 1]
    found[..., 2] = state[..., 2] + angle
    return found


def drawn_dynamics() -> EnsembleDynamics:
    """Make a world model of some base."""
    made = EnsembleDynamics(LAYOUT, WorldModelSettings(hidden=8), generator(0, 'x'))
    made.coefficients.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(1))
    made.fold()
    return made


def test_a_husky_is_told_by_odometry_and_commanded_by_twists():
    assert LAYOUT.positions == ('base.x', 'base.y', 'base.yaw') and LAYOUT.heading == (0, 1, 2)
    assert LAYOUT.action_units == ('m/s', 'rad/s') and LAYOUT.drives == (-1, -1)
    assert HUSKY.topics.odometry == 'odom' and HUSKY.driven == (-1, -1)


def test_it_drives_ahead_and_turns_to_the_left(simulator):
    for _ in range(40):
        simulator.step((0.5, 0.0))
    ahead = simulator.measure()
    assert 0.7 < ahead.true_position[0] < 1.1 and abs(ahead.true_position[1]) < 0.05
    assert ahead.true_velocity == pytest.approx([0.54, 0.0, 0.0], abs=0.05)
    for _ in range(100):
        simulator.step((0.0, 1.0))
    around = simulator.measure()
    assert around.true_velocity[2] > 0.2 and 0.5 < around.true_position[2] < pi


def test_its_speeds_are_those_of_its_own_frame(simulator):
    simulator.reset(0, (1.0, 2.0, 0.5 * pi))
    for _ in range(20):
        simulator.step((0.5, 0.0))
    sensed = simulator.measure()
    # Looking along y it moves along y, and calls that ahead.
    assert sensed.true_position[0] == pytest.approx(1.0, abs=0.05)
    assert sensed.true_position[1] > 2.2 and sensed.true_velocity[0] > 0.4
    assert abs(sensed.true_velocity[1]) < 0.05


@pytest.mark.parametrize('angle', [0.7, -2.5, pi])
def test_the_world_model_turns_with_the_world(angle):
    dynamics, state = drawn_dynamics(), torch.randn(4, 6, 6)
    action = torch.randn(6, 2)
    with torch.no_grad():
        here, there = (dynamics.step(one, action) for one in (state, turned(state, angle)))
    torch.testing.assert_close(there, turned(here, angle), atol=2e-5, rtol=1e-5)


def test_compiled_loops_drive_as_its_steps_do():
    dynamics, start, base = drawn_dynamics(), torch.randn(6), torch.randn(3, 5, 2)
    wide = torch.full((2,), 9.0)
    with torch.no_grad():
        _, states = dynamics.follow(start, base, torch.zeros(4, 5, 6), torch.zeros(4, 5, 2, 6),
                                    torch.zeros(3), -wide, wide)
        state = start.expand(4, 3, 6)
        for t in range(5):
            state = dynamics.step(state, base[:, t])
            torch.testing.assert_close(state, states[:, :, t + 1], atol=2e-4, rtol=1e-4)
        found = dynamics.linearise(states[:, 0, :-1].contiguous(), base[0])
    torch.testing.assert_close(found, _jacobians(dynamics, states[:, 0, :-1], base[0], None),
                               atol=1e-5, rtol=1e-4)


def test_what_was_learned_looking_one_way_holds_looking_another(simulator):
    learner = WorldModelLearner(LAYOUT, WorldModelSettings(hidden=4), generator(0, 'x'))
    random = np.random.default_rng(0)
    simulator.noise_scale = 0.0

    def motion(ticks: int, yaw: float):
        simulator.reset(0, (0.0, 0.0, yaw))
        last = None
        for tick in range(ticks):
            sensed = simulator.measure()
            state = torch.tensor(np.concatenate([sensed.true_position, sensed.true_velocity]),
                                 dtype=torch.float32)
            if tick % 10 == 0:
                command = random.uniform([-1.0, -1.0], [1.0, 1.0])
            simulator.delay_ticks = 0
            if last is not None:
                yield Transition(last[0], last[1], state)
            last = (state, torch.tensor(command, dtype=torch.float32))
            simulator.step(command)
    for transition in motion(200, 0.0):
        learner.add(transition)
    for _ in range(200):
        learner.update()
    with torch.no_grad():
        errors, moved = zip(*((
            dynamics.step(one.state.expand(4, 1, -1), one.action[None]).mean(dim=(0, 1))
            - one.next_state, one.next_state - one.state)
            for dynamics in (learner.dynamics,) for one in motion(60, 2.0)), strict=True)
    # Looking along x it learned; looking back and to the left, the way ahead is another.
    error, way = (torch.stack(part)[:, :2].square().mean().sqrt() for part in (errors, moved))
    assert error < 0.25 * way


def test_perception_follows_a_base_through_whole_turns():
    estimator, yaw, found = KalmanEstimator(LAYOUT, PerceptionSettings()), 0.0, None
    for tick in range(200):
        if tick:
            estimator.predict()
        # A circle: 0.5 m/s ahead while it turns by 1 rad/s.
        yaw = 0.05 * tick
        wrapped = (yaw + pi) % (2.0 * pi) - pi
        found = estimator.correct(torch.tensor(
            [0.5 * sin(yaw), 0.5 * (1.0 - cos(yaw)), wrapped, 0.5, 0.0, 1.0]))
    assert found is not None
    assert found.mean.tolist() == pytest.approx(
        [0.5 * sin(yaw), 0.5 * (1.0 - cos(yaw)), yaw, 0.5, 0.0, 1.0], abs=0.02)


def test_odometry_there_and_back():
    stamp = ns_to_stamp(1_234_567_890)
    said = as_joint_states(as_odometry(stamp, (1.0, -2.0, 2.5), (0.3, 0.0, -0.7)))
    assert list(said.name) == list(HUSKY.joints) and said.header.stamp == stamp
    assert list(said.position) == pytest.approx([1.0, -2.0, 2.5])
    assert list(said.velocity) == [0.3, 0.0, -0.7]
    values = JointReader(HUSKY).read(said)
    assert values is not None and values.tolist() == pytest.approx([1, -2, 2.5, 0.3, 0, -0.7])


@pytest.mark.parametrize('part', ['x', 'w'])
def test_odometry_that_is_no_number_is_refused(part):
    message = as_odometry(ns_to_stamp(0), (1.0, 2.0, 0.0), (0.0, 0.0, 0.0))
    place = message.pose.pose.position if part == 'x' else message.pose.pose.orientation
    setattr(place, part, float('nan'))
    with pytest.raises(SignalError, match='non-finite'):
        JointReader(HUSKY).read(as_joint_states(message))


def test_an_orientation_that_nobody_filled_in_is_refused():
    message = Odometry()
    message.pose.pose.orientation.w = 0.0
    with pytest.raises(SignalError, match='non-finite'):
        JointReader(HUSKY).read(as_joint_states(message))


@pytest.mark.parametrize(('kind', 'message'), [('twist', Twist), ('twist_stamped', TwistStamped)])
def test_twists_there_and_back(load, kind, message):
    wire = make_wire(load('kind: twist_stamped', f'kind: {kind}'))
    said = wire.encode((0.5, -0.25), (), 0.05, ns_to_stamp(7))
    assert type(said) is message and wire.decode(said, ()) == (0.5, -0.25)
    twist = said if kind == 'twist' else said.twist
    assert (twist.linear.x, twist.angular.z, twist.linear.y) == (0.5, -0.25, 0.0)
    twist.linear.x = float('nan')
    with pytest.raises(SignalError, match='non-finite'):
        wire.decode(said, ())


def test_the_guard_limits_a_twist_and_stops_a_base_that_is_too_fast():
    guard = Guard(HUSKY, GuardSettings())

    def decide(speed: float):
        return guard.decide(Situation(
            Candidate(0, (5.0, 0.3)), Measured(0, (0.0, 0.0, 0.0), (speed, 0.0, 0.0)), 0.0, 0.0,
            0.05, float('inf'), estop=False), (0.0, 0.0))
    assert decide(0.5).values == (1.0, 0.3) and decide(0.5).reason is Reason.CLAMPED
    assert decide(2.5).values == (0.0, 0.0) and decide(2.5).reason is Reason.OVERSPEED


@pytest.mark.parametrize(('old', 'new', 'valid'), [
    ('odometry: yaw', 'odometry: z', 'x, y, yaw'),
    ('odometry: x\n    kind: linear', 'odometry: x\n    kind: angle', 'linear'),
    ('noise_std: 0.005', 'noise_std: none', 'odometry tells'),
    ('twist: linear.x', 'twist: linear.z', 'linear.x'),
    ('  odometry: odom\n', '', 'odometry'),
    ('kind: twist_stamped', 'kind: forward', 'twist_stamped, twist'),
    ('twist: angular.z', 'joint: rear_left_wheel\n    interface: velocity', 'joint of a coord'),
    ('[front_left_wheel, rear', '[front_left_weel, rear', 'did you mean front_left_wheel')])
def test_each_wrong_value_of_a_base_is_refused(load, old, new, valid):
    with pytest.raises(DocumentError, match=valid):
        load(old, new)


def test_the_classical_row_goes_round_the_posts():
    found = trial(HUSKY, load_task('husky_drive', HUSKY), Circulating, 0, 25.0)
    assert found.solved_at_s is not None and found.solved_at_s < 20.0


@pytest.mark.timeout(300)
def test_the_graph_drives_a_base_in_real_time(tmp_path):
    with graph(tmp_path, 'realtime', robot='husky', task='husky_drive',
               **{'schedule.critic_updates': 0, 'world_model.hidden': 4}) as (run, _):
        run.observer.wait_for_phase('running', 120.0)
        begin = dict(run.observer.motion.newest.get(STATE, {}))

        def moved() -> bool:
            now = run.observer.motion.newest.get(STATE, {})
            return bool(now) and np.hypot(now['base.x'] - begin.get('base.x', 0.0),
                                          now['base.y'] - begin.get('base.y', 0.0)) > 0.3
        look_until(run, moved, 60.0, 'moved by its twists')
        deaths = run.processes.deaths()
    assert deaths == {}
