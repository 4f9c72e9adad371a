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


"""The whole graph for a robot that is there, without a simulator: armed by hand, it learns."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from guard_probe import DOMAIN, running, WAIT_S
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String
from std_srvs.srv import SetBool

STAND_IN = Path(__file__).with_name('cartpole_robot.py')
# From nothing it takes some 2 s of motion; machines that run tests are slow.
PATIENCE_S = 120.0


def armed(node, executor) -> bool:
    """Ask the guard to let commands through; wait until it answers."""
    client = node.create_client(SetBool, '/hlai/guard/enable')
    deadline_s = time.monotonic() + 2 * WAIT_S
    while not client.service_is_ready():
        assert time.monotonic() < deadline_s, 'no guard'
        executor.spin_once(timeout_sec=0.1)
    future = client.call_async(SetBool.Request(data=True))
    while not future.done():
        assert time.monotonic() < deadline_s, 'no answer of the guard'
        executor.spin_once(timeout_sec=0.1)
    return future.result().success


def test_a_robot_that_is_not_ours_is_learned_and_swung_up(tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    context, told = Context(), list[str]()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node('onlooker', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    node.create_subscription(String, '/hlai/told', lambda said: told.append(said.data), 10)
    graph = subprocess.Popen(
        [sys.executable, '-m', 'hlai_control.cli', 'up', 'robot:=cartpole', 'task:=swingup',
         'simulation:=false', 'guard.authority:=1.0', 'stop_when:=solved', 'timeout_s:=60',
         f'domain:={DOMAIN}', f'run_dir:={tmp_path / "run"}'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ))
    try:
        with running(str(STAND_IN), '--ros-args', '-r', '__ns:=/hlai'):
            assert armed(node, executor)
            deadline_s = time.monotonic() + PATIENCE_S
            while graph.poll() is None and time.monotonic() < deadline_s:
                executor.spin_once(timeout_sec=0.1)
    finally:
        if graph.poll() is None:
            graph.send_signal(signal.SIGINT)
        out = graph.communicate(timeout=2 * WAIT_S)[0]
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)
    assert graph.returncode == 0 and 'solved: the hold began after' in out, out[-3000:]
    assert 'is in hold. Arm it' in out
    assert told[-1] == "{'dropped': 0, 'beyond the limit': 0, 'wrong length': 0}"
