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


"""The robot as a process: barrier, real time, services, parameters, and bad input."""

from array import array
from math import inf, nan
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from robot_probe import robot
from std_msgs.msg import Float64MultiArray

from hlai_control.robots.manifest import load_robot
from hlai_control.robots.simulator import Simulator

ROBOT = load_robot('cartpole')
PERIOD_NS = ROBOT.period_ns


def _expected(seed: int, commands: list[float]) -> list[list[float]]:
    simulator = Simulator(ROBOT, seed)
    rows = [simulator.measure()]
    for command in commands:
        simulator.step([command])
        rows.append(simulator.measure())
    simulator.close()
    return [[*row.position, *row.velocity, *row.effort] for row in rows]


def _rows(probe) -> list[list[float]]:
    return [[*s.position, *s.velocity, *s.effort] for s in probe.states]


def _run(probe, commands: list[float]) -> None:
    first = len(probe.states)
    probe.pause(False)
    for k, command in enumerate(commands):
        probe.until(lambda k=k: len(probe.states) > first + k, f'measurement {k}')
        probe.answer(k * PERIOD_NS, command)
    probe.until(lambda: len(probe.states) > first + len(commands), 'the last measurement')


def test_lockstep_is_a_barrier_and_equal_to_the_last_bit():
    commands = np.random.default_rng(3).uniform(-10.0, 10.0, 30).tolist()
    with robot(mode='lockstep', seed=7) as probe:
        assert probe.states == [] and '<robot name="cartpole">' in probe.descriptions[0]
        _run(probe, commands)
        assert probe.stamps() == [k * PERIOD_NS for k in range(31)]
        assert list(probe.states[0].name) == ['cart_slide', 'pole_hinge']
        assert _rows(probe) == _expected(7, commands)
        probe.until(lambda: probe.clocks and probe.clocks[-1] == 30 * PERIOD_NS, '/clock')
        # Old, future and duplicated answers are dropped; the right one still counts.
        for stamp in (29 * PERIOD_NS, 0, 31 * PERIOD_NS, 30 * PERIOD_NS + 1):
            probe.answer(stamp, 9.0)
        probe.counted('guard/applied: old stamp', 2)
        probe.counted('guard/applied: future stamp', 2)
        probe.pause(True)
        probe.answer(30 * PERIOD_NS, 1.0)
        probe.answer(30 * PERIOD_NS, 2.0)
        probe.counted('guard/applied: duplicated stamp')
        assert len(probe.states) == 31
        probe.pause(False)
        probe.until(lambda: len(probe.states) == 32, 'the tick after the pause')
        assert _rows(probe) == _expected(7, [*commands, 1.0])
        # A second run of the same process is the same as a first one.
        probe.states.clear()
        assert probe.set('seed', 8).successful
        assert probe.trigger('reset').message.endswith('paused')
        _run(probe, commands)
        assert _rows(probe) == _expected(8, commands)


def test_lockstep_steps_one_tick_at_a_time_and_names_who_owes_it():
    with robot(mode='lockstep', simulation__stall_s=0.5) as probe:
        assert probe.trigger('step').success
        probe.until(lambda: len(probe.states) == 1, 'tick 0')
        assert 'guard/applied for tick 0' in probe.trigger('step').message
        probe.answer(0, 1.0)
        probe.until(lambda: len(probe.states) == 2, 'tick 1')
        probe.answer(PERIOD_NS, 1.0)
        probe.pause(False)
        assert not probe.trigger('step').success
        probe.until(lambda: 'guard/applied for tick 2' in probe.message, 'report of the stall')
        assert len(probe.states) == 3


def test_settings_change_while_it_runs_and_wrong_ones_are_refused():
    with robot(mode='lockstep') as probe:
        assert probe.set('simulation.noise_scale', 0.0).successful
        assert probe.set('simulation.action_delay_ticks', 0).successful
        _run(probe, [5.0, -5.0])
        # Noise was drawn before the scale changed for tick 0 only; no delay any more.
        assert [state.effort[0] for state in probe.states] == [0.0, 5.0, -5.0]
        simulator = Simulator(ROBOT, 0)
        simulator.noise_scale, simulator.delay_ticks = 0.0, 0
        simulator.step([5.0])
        assert list(probe.states[1].position) == simulator.measure().true_position.tolist()
        simulator.close()
        for name, value in (('noise_scale', -1.0), ('noise_scale', nan), ('payload_kg', 1e9),
                            ('friction_scale', -0.1), ('action_delay_ticks', 65)):
            result = probe.set(f'simulation.{name}', value)
            assert not result.successful and result.reason
        result = probe.set('simulation.frozen_sensor', 'pole')
        assert not result.successful and 'valid: cart.x, pole.angle' in result.reason
        held = probe.states[-1].position[1]
        assert probe.set('simulation.frozen_sensor', 'pole.angle').successful
        for tick in (2, 3, 4):
            probe.answer(tick * PERIOD_NS, 10.0)
            probe.until(lambda tick=tick: len(probe.states) > tick + 1, f'tick {tick + 1}')
        assert [state.position[1] for state in probe.states[3:]] == [held] * 3


def test_bad_messages_are_counted_and_never_acted_upon():
    generator = random.Random(5)
    with robot(mode='lockstep') as probe:
        probe.pause(False)
        probe.until(lambda: probe.states, 'tick 0')
        bad = [((), ()), (('cart.force',), ()), (('cart.force',), (1.0, 2.0)),
               (('cart.force',) * 2, (1.0, 1.0)), (('other',), (1.0,)), ((), (1.0,))]
        bad += [(('cart.force',), (value,)) for value in (nan, inf, -inf)]
        for names, values in bad:
            probe.answer(0, *values, names=names)
        for _ in range(30):
            size = generator.randrange(5)
            values = [generator.choice([nan, inf, 1e308, 5e-324, 1.0]) for _ in range(size)]
            probe.answer(generator.randrange(1, 2 ** 60), *values,
                         names=tuple('x' for _ in range(generator.randrange(4))))
        probe.counted('guard/applied: wrong length', 3)
        probe.counted('guard/applied: non-finite', 3)
        probe.counted('guard/applied: duplicated name')
        for values in ((), (1.0, 2.0), (nan,), (inf,)):
            for _ in range(2):
                probe.command.publish(Float64MultiArray(data=array('d', values)))
            probe.counted('command: ' + ('wrong length' if len(values) != 1 else 'non-finite'))
        assert len(probe.states) == 1
        probe.answer(0, 3.0, 0.0, names=('cart.force', 'reason'))
        probe.until(lambda: len(probe.states) == 2, 'tick 1')
        assert probe.stamps() == [0, PERIOD_NS]


def test_real_time_keeps_pace_and_holds_the_last_command():
    with robot(mode='realtime') as probe:
        assert probe.states == []
        probe.pause(False)
        probe.until(lambda: probe.states, 'tick 0')
        began = time.monotonic()
        probe.command.publish(Float64MultiArray(data=array('d', [4.0])))
        probe.until(lambda: len(probe.states) >= 41, '41 measurements')
        assert 1.8 < time.monotonic() - began < 2.6
        stamps = np.array(probe.stamps())
        steps = np.diff(stamps) // PERIOD_NS
        assert (np.diff(stamps) % PERIOD_NS == 0).all() and (steps >= 1).all()
        assert steps.sum() <= 1.3 * len(steps)  # a loaded machine skips; it never bursts
        # One command: zero before it, and held for ever after, as the manifest says.
        efforts = [state.effort[0] for state in probe.states]
        assert efforts == sorted(efforts) and efforts[0] == 0.0 and efforts[-1] == 4.0
        # Stamps are the steady clock, which is this machine's.
        assert abs(time.monotonic() - stamps[-1] * 1e-9) < 0.5
        probe.pause(True)
        seen = len(probe.states)
        assert probe.trigger('step').success
        probe.until(lambda: len(probe.states) == seen + 1, 'one tick')
        assert probe.trigger('reset').success
        probe.pause(False)
        probe.until(lambda: len(probe.states) >= seen + 3, 'more ticks')
        after = probe.states[seen + 1]
        assert np.abs(after.position).max() < 0.1 and after.effort[0] == 0.0
        gaps = np.diff(probe.stamps()[seen:seen + 2])
        assert (gaps >= 2 * PERIOD_NS).all()  # learners must not pair across a reset


def test_real_time_factor_scales_stamps():
    with robot(mode='realtime', real_time_factor=4.0, start_paused='false') as probe:
        probe.until(lambda: len(probe.states) >= 3, 'measurements')
        began, first = time.monotonic(), probe.stamps()[-1]
        probe.until(lambda: probe.stamps()[-1] - first > 4 * 10 ** 9, '4 s of motion')
        assert 0.9 < time.monotonic() - began < 1.6


@pytest.mark.parametrize(('parameter', 'text'), [
    ('robot:=cartpol', 'did you mean cartpole'), ('mode:=fast', 'valid: realtime, lockstep'),
    ('simulation.noise_scale:=-1.0', 'noise_scale'),
    ('simulation.biased_sensor:=pole', 'valid: cart.x, pole.angle'),
    ('real_time_factor:=0.0', 'above 0')])
def test_wrong_arguments_are_refused_with_what_is_valid(parameter, text):
    done = subprocess.run([sys.executable, '-m', 'hlai_control.robots.node', '--ros-args',
                           '-p', parameter], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and text in done.stderr
