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

"""The whole graph in real time: processes are killed and inputs are garbage; it stays safe."""

from array import array
import math
import os
import signal
import time

from graph_harness import graph, HARDWARE, look_until
import pytest
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String, UInt8MultiArray

from hlai_control import graph as names
from hlai_control.graph import MANAGED, NODES
from hlai_control.ros.qos import CONTROL, FUNCTION, learner, VIEW
from hlai_control.ros.signals import ns_to_stamp

pytestmark = pytest.mark.timeout(240)

LIMIT_N = 10.0
# 0.15 s of silence, one period of the guard's watch, and room for a loaded machine.
SAFE_WITHIN_S = 0.4
# Without these there is nothing to control with; without the others there is.
STOPPING = ('actor', 'perception')


@pytest.fixture(scope='module')
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp('graph')
    with graph(folder, 'realtime', run_dir=str(folder / 'run')) as (run, wire):
        run.observer.wait_for_phase('running', 90.0)
        look_until(run, lambda: run.observer.motion.newest.get(
            names.TIMING, {}).get('world_model', 0.0) > 0.0, 30.0, 'a first world model')
        yield run, wire


def is_within_limits(commands):
    return all(len(values) == 1 and math.isfinite(values[0]) and abs(values[0]) <= LIMIT_N
               for _, values in commands)


def commands_so_far(run):
    return len(run.observer.motion.latencies)


def state_of(run, name):
    return run.observer.diagnostics.get(name, ('', {}))[1].get('lifecycle')


@pytest.mark.parametrize('name', [spec.name for spec in NODES])
def test_kill_of_any_node_is_safe_and_recovered(live, name):
    run, wire = live
    wire.commands.clear()
    run.observer.diagnostics.pop(name, None)
    others, deaths = run.processes.deaths(), run.processes.deaths().get(name, 0)
    killed_s = time.monotonic()
    os.kill(run.processes.pid(name), signal.SIGKILL)
    look_until(run, lambda: run.processes.deaths().get(name, 0) == deaths + 1, 5.0, 'death')
    before = commands_so_far(run)
    run.observer.look(SAFE_WITHIN_S)
    if name in STOPPING:
        safe = [at_s for at_s, values in wire.commands if values == (0.0,)]
        assert safe and safe[0] - killed_s < SAFE_WITHIN_S
    elif name not in ('robot', 'guard'):
        assert commands_so_far(run) > before, 'control stopped although it need not'
    if name in MANAGED:
        look_until(run, lambda: state_of(run, name) == 'active', 40.0, f'{name} active')
    elif name == 'robot':
        look_until(run, lambda: state_of(run, name) == 'released', 40.0, 'robot released')
    else:
        look_until(run, lambda: name in run.observer.diagnostics, 40.0, f'{name} back')
    after, applied = commands_so_far(run), len(wire.applied)
    look_until(run, lambda: commands_so_far(run) > after + 5 and len(wire.applied) > applied + 5,
               20.0, 'control again')
    assert run.observer.motion.newest[names.TIMING]['exploring'] == 0.0, 'it forgot its model'
    assert is_within_limits(wire.commands)
    assert run.processes.deaths() == {**others, name: deaths + 1}, 'another one died with it'


@pytest.mark.parametrize('name', ['cost', 'robot'])
def test_who_dies_while_the_configurator_waits_for_all_to_join_is_brought_back(live, name):
    run, _ = live
    deaths = run.processes.deaths()
    run.observer.diagnostics.pop('configurator', None)
    os.kill(run.processes.pid('configurator'), signal.SIGKILL)
    look_until(run, lambda: 'configurator' in run.observer.diagnostics, 20.0, 'configurator back')
    os.kill(run.processes.pid(name), signal.SIGKILL)
    run.observer.diagnostics.pop(name, None)
    wanted = 'released' if name == 'robot' else 'active'
    look_until(run, lambda: state_of(run, name) == wanted, 40.0, f'{name} {wanted}')
    look_until(run, lambda: run.observer.phase == 'running', 20.0, 'running')
    after = commands_so_far(run)
    look_until(run, lambda: commands_so_far(run) > after + 5, 20.0, 'control again')
    both = {one: deaths.get(one, 0) + 1 for one in ('configurator', name)}
    assert run.processes.deaths() == {**deaths, **both}


def joint_state(stamp_ns, entries, **fields):
    message = JointState(name=list(entries))
    message.header.stamp = ns_to_stamp(stamp_ns)
    for field, values in fields.items():
        setattr(message, field, array('d', values))
    return message


def bad_signals(entries, now_ns):
    """Every way in which a stamped, named vector can be wrong."""
    size = len(entries)
    good = [0.1] * size
    for stamp_ns in (now_ns, now_ns - 10 ** 9, 0):
        for bad in (math.nan, math.inf, -math.inf):
            values = [bad, *good[1:]]
            yield joint_state(stamp_ns, entries, position=values, velocity=values)
        yield joint_state(stamp_ns, entries, position=good + [1.0], velocity=good + [1.0])
        yield joint_state(stamp_ns, entries, position=good[:-1], velocity=good[:-1])
        yield joint_state(stamp_ns, [entries[0]] * (size + 1), position=good + [1.0],
                          velocity=good + [1.0])
        yield joint_state(stamp_ns, ['nobody'] * size, position=good, velocity=good)
        yield joint_state(stamp_ns, [], position=[], velocity=[])
    # Plausible, but in the past: a replayed message.
    yield joint_state(now_ns - 10 ** 9, entries, position=good, velocity=good)
    yield joint_state(1, entries, position=good, velocity=good)


def test_garbage_on_every_input_is_counted_and_changes_nothing(live):
    run, wire = live
    node, qos = run.observer, learner(20.0)
    state = ('cart.x', 'pole.angle', 'cart.x/rate', 'pole.angle/rate')
    signals = {'joint_states': ('cart_slide', 'pole_hinge'),
               names.STATE: state + tuple(f'{name}/std' for name in state),
               names.COMMAND: ('cart.force',), names.APPLIED: ('cart.force',)}
    blobs = (b'', b'\x00' * 9, b'\xff' * 64, b'{"path": "/nowhere", "sha256": "0"}')
    texts = ('', '{', '[]', '{"version": 1}', 'no such task', 'null', '\x00')
    publishers = {topic: node.create_publisher(JointState, topic, qos) for topic in signals}
    functions = [node.create_publisher(UInt8MultiArray, topic, FUNCTION)
                 for topic in (names.WORLD_MODEL, names.CRITIC)]
    strings = [node.create_publisher(String, topic, FUNCTION)
               for topic in (names.COST, names.CONFIGURATION)]
    strings.append(node.create_publisher(String, names.TASK, VIEW))
    hardware = node.create_publisher(Float64MultiArray, HARDWARE, CONTROL)
    everyone = [*publishers.values(), *functions, *strings, hardware]
    look_until(run, lambda: all(p.get_subscription_count() > 0 for p in everyone), 10.0, 'joined')
    wire.applied.clear()
    before = commands_so_far(run)
    for topic, entries in signals.items():
        for message in bad_signals(entries, run.observer.motion.last_ns):
            publishers[topic].publish(message)
            run.observer.look(0.002)
    for publisher in functions:
        for blob in blobs:
            publisher.publish(UInt8MultiArray(data=array('B', blob)))
    for publisher in strings:
        for text in texts:
            publisher.publish(String(data=text))
    for values in ([], [1.0, 2.0], [math.nan], [math.inf]):
        hardware.publish(Float64MultiArray(data=array('d', values)))
    look_until(run, lambda: commands_so_far(run) > before + 40, 20.0, 'control goes on')

    def rejected(name, topic):
        facts = run.observer.diagnostics.get(name, ('', {}))[1]
        return sum(int(value) for key, value in facts.items() if key.startswith(f'{topic}: '))

    for name, topic in (('perception', 'joint_states'), ('guard', names.COMMAND),
                        ('actor', names.STATE), ('world_model', names.APPLIED),
                        ('critic', names.STATE), ('cost', names.APPLIED),
                        ('actor', names.WORLD_MODEL), ('critic', names.WORLD_MODEL),
                        ('actor', names.COST), ('cost', names.CONFIGURATION),
                        ('robot', 'command')):
        look_until(run, lambda name=name, topic=topic: rejected(name, topic) > 0, 5.0,
                   f'{name} counts what it rejects on {topic}')
    for publisher in everyone:
        node.destroy_publisher(publisher)
    assert wire.applied and all(abs(values[0]) <= LIMIT_N for _, values in wire.applied)
    assert state_of(run, 'actor') == 'active' and run.observer.phase == 'running'


def test_a_stopped_process_is_noticed_and_the_robot_made_safe(live):
    run, wire = live
    pid = run.processes.pid('actor')
    wire.commands.clear()
    stopped_s = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        look_until(run, lambda: any(values == (0.0,) for _, values in wire.commands), 5.0, 'safe')
        first_s = next(at_s for at_s, values in wire.commands if values == (0.0,))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert first_s - stopped_s < SAFE_WITHIN_S
    before = commands_so_far(run)
    look_until(run, lambda: commands_so_far(run) > before + 5, 20.0, 'control again')
