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

"""Trials of whole controllers on the simulated robot, in lockstep's terms."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from hlai_control.cost.solved import HoldTimer
from hlai_control.cost.task import load_task
from hlai_control.robots.classical import CLASSICAL, DoNothing, RandomPushes
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.simulator import Simulator
from hlai_control.robots.trial import Trial, trial

ROBOT = load_robot('cartpole')
TASK = load_task('swingup', ROBOT)
SOLVED = TASK.solved
CLASSIC = CLASSICAL['cartpole', 'swingup']


def test_doing_nothing_hangs_at_rest_and_solves_nothing():
    assert trial(ROBOT, TASK, DoNothing, 3, 2.0) == Trial(3, None, 2.0, 0.0)
    simulator = Simulator(ROBOT, 3)
    for _ in range(40):
        simulator.step(DoNothing(ROBOT, 3).act(np.zeros(4)))
    measured = simulator.measure()
    simulator.close()
    assert np.abs(measured.true_position).max() < 1e-9
    assert np.abs(measured.true_velocity).max() < 1e-9


def test_random_pushes_solve_nothing_and_are_reproducible():
    found = [trial(ROBOT, TASK, RandomPushes, 4, 5.0) for _ in range(2)]
    assert found[0] == found[1] == Trial(4, None, 5.0, 0.0)


@pytest.mark.parametrize('seed', range(5))
def test_the_engineers_controller_solves_it(seed):
    found = trial(ROBOT, TASK, CLASSIC, seed, 12.0)
    assert found.solved_at_s is not None and found.solved_at_s < 9.0
    # It ends as soon as it is solved, the hold included.
    assert found.interaction_s == pytest.approx(found.solved_at_s + SOLVED.hold_s)
    if seed == 0:
        assert trial(ROBOT, TASK, CLASSIC, seed, 12.0) == found
        # A hold that is not over in time does not count.
        cut_s = found.interaction_s - ROBOT.period_s
        assert trial(ROBOT, TASK, CLASSIC, seed, cut_s) == Trial(seed, None, cut_s, 0.0)
        assert trial(ROBOT, TASK, CLASSIC, seed, found.interaction_s) == found


def test_the_outcome_is_that_of_its_measurements():
    """Replayed by hand: the same controller, simulator and timer give the same time."""
    simulator, controller, timer = Simulator(ROBOT, 1), CLASSIC(ROBOT, 1), HoldTimer(SOLVED)
    tick, names = 0, ROBOT.layout.states
    while True:
        measured = simulator.measure()
        state = np.concatenate([measured.position, measured.velocity])
        if timer.update(tick * ROBOT.period_s, dict(zip(names, state.tolist(), strict=True))):
            break
        simulator.step(controller.act(state))
        tick += 1
    angle = measured.true_position[1] % (2.0 * pi)
    simulator.close()
    assert abs(angle - pi) < 0.2
    assert trial(ROBOT, TASK, CLASSIC, 1, 12.0).solved_at_s == timer.solved_at_s


def test_noise_of_another_seed_gives_another_run():
    quiet = replace(ROBOT, coordinates=tuple(
        replace(item, noise_std=0.0, rate_noise_std=0.0) for item in ROBOT.coordinates))
    solved_at = {trial(quiet, TASK, CLASSIC, seed, 12.0).solved_at_s for seed in (0, 1)}
    assert len(solved_at) == 1  # without noise seeds do not matter
