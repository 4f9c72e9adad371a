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

"""The loop of one process: the graph's lockstep to the last bit, and the laws of its parts."""

from dataclasses import replace
from itertools import islice

from graph_harness import graph, look_until
import pytest
import torch

from hlai_control.actor.agent import Answer
from hlai_control.bench.body import Body, BodySettings
from hlai_control.bench.loop import steps
from hlai_control.bench.mind import agent_settings, groups, Mind, MindSettings
from hlai_control.configurator.configuration import REACTIVE
from hlai_control.cost.task import load_task
from hlai_control.errors import PlanError, SettingsError, UsageError
from hlai_control.robots.manifest import load_robot
from hlai_control.settings import GuardSettings, SimulationSettings
from hlai_control.types import Estimate

MANIFEST = load_robot('cartpole')
TASK = load_task('swingup', MANIFEST)
LIMIT_S = 12.0


class Constant:
    """Answers always the same, and keeps what it is told."""

    def __init__(self, command):
        self.command, self.told, self.heard = command, [], []

    def answer(self, tick, estimate):
        return Answer(self.command, None, False, '')

    def sent(self, tick, command):
        self.heard.append(command)

    def learn(self, tick, transition):
        self.told.append((tick, transition))


def learned(seed, limit_s):
    """Learn from nothing until solved: when that was, and what was sent."""
    sent = []
    with Body(MANIFEST, TASK, seed) as body:
        for step in steps(body, Mind(MANIFEST, TASK, seed), limit_s):
            sent.append(tuple(step.sent.double().tolist()))
            if body.solved_at_s is not None:
                break
        return body.solved_at_s, sent


@pytest.mark.timeout(400)
def test_the_same_seed_is_the_same_run_as_in_the_lockstep_graph(tmp_path):
    solved_at_s, sent = learned(11, LIMIT_S)
    with graph(tmp_path, 'lockstep', autostart=False) as (run, wire):
        run.observer.begin({'seed': 11})
        run.observer.wait_for_phase('running', 90.0)
        motion = run.observer.motion
        look_until(run, lambda: motion.solved_at_s is not None or motion.motion_s > LIMIT_S,
                   120.0, 'solved')
        run.observer.end_within(30.0)
    assert solved_at_s is not None and motion.solved_at_s == solved_at_s
    # The last of them may have been sent after the graph was asked to end.
    both = list(zip(sent[:-1], wire.applied, strict=False))
    assert len(both) > 60 and all(mine == values[:1] for mine, (_, values) in both)


def test_before_any_version_the_mind_is_told_what_it_waits_for():
    mind = Mind(MANIFEST, TASK, 0)
    nowhere = Estimate(torch.zeros(4), torch.zeros(4))
    assert mind.answer(0, nowhere).exploring
    with pytest.raises(PlanError, match='tick 20 waits for world_model: version 18'):
        mind.answer(20, nowhere)


@pytest.mark.parametrize('delay', [0, 1, 3])
def test_a_transition_has_the_command_that_was_in_effect(delay):
    settings = BodySettings(simulation=SimulationSettings(noise_scale=0.0))
    player = Constant(torch.tensor([4.0]))
    with Body(replace(MANIFEST, delay_ticks=delay), TASK, 0, settings) as body:
        list(islice(steps(body, player, 1.0), 6))
    assert [tick for tick, _ in player.told] == [1, 2, 3, 4, 5]
    assert [float(item.action) for _, item in player.told] == [0.0] * delay + [4.0] * (5 - delay)
    # Before the command takes effect the cart does not move, whatever perception believes.
    assert [abs(float(item.next_state[2])) < 1e-3 for _, item in player.told] == [
        True] * delay + [False] * (5 - delay)


def test_the_guard_limits_what_is_sent_and_the_player_hears_of_it():
    player = Constant(torch.tensor([1000.0]))
    with Body(MANIFEST, TASK, 0, BodySettings(guard=GuardSettings(authority=0.5))) as body:
        first = next(steps(body, player, 1.0))
    assert float(first.sent) == 5.0 and player.heard == [first.sent]


def test_a_player_without_a_command_sends_zero_and_the_cost_is_that_of_hanging():
    with Body(MANIFEST, TASK, 0) as body:
        run = list(steps(body, Constant(None), 1.0))
        assert body.solved_at_s is None
    assert len(run) == 21 and {float(step.sent) for step in run} == {0.0}
    assert [step.cost for step in run] == pytest.approx([2.0] * 21, abs=1e-6)


def test_a_restarted_body_is_a_new_one():
    with Body(MANIFEST, TASK, 3) as body:
        first = [step.estimate.mean.tolist() for step in steps(body, Constant(None), 0.5)]
        body.restart(3)
        again = [step.estimate.mean.tolist() for step in steps(body, Constant(None), 0.5)]
        body.restart(4)
        other = [step.estimate.mean.tolist() for step in steps(body, Constant(None), 0.5)]
    assert again == first and other != first


def test_settings_of_rooms_reach_the_mind():
    made = agent_settings({'planner.horizon': 30, 'schedule.updates': 1, 'policy.hidden': 8})
    assert made.planning.planner.horizon == 30 and made.schedule.updates == 1
    assert made.policy.hidden == 8
    with pytest.raises(SettingsError, match='horizon'):
        groups({'planner.horizon': 0})


def test_a_reactive_mind_answers_with_its_policy_once_it_has_one():
    settings = agent_settings({'schedule.policy_updates': 1, 'schedule.updates': 1,
                               'schedule.critic_updates': 0})
    mind = Mind(MANIFEST, TASK, 0, MindSettings(settings, REACTIVE))
    with Body(MANIFEST, TASK, 0) as body:
        reasons = [step.answer.reason for step in steps(body, mind, 0.6)]
    assert reasons == ['exploring'] * 8 + ['reacting'] * 5


def test_a_robot_that_the_loop_cannot_perceive_is_refused():
    robot = load_robot('cartpole_positions')
    with pytest.raises(UsageError, match='cartpole_positions, of which not every .*hlai eval'):
        Body(robot, load_task('swingup', robot), 0)
