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
Shared memory or UDP between processes on one machine: latency, and what kill -9 leaves.

Usage: python benchmark/transport.py [--rounds N]

One process echoes what another sends; transports alternate in blocks, so
that a busy moment of the machine hits both. Then an echo process is killed
and the files that stay in /dev/shm are counted.
"""

import argparse
from array import array
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from std_msgs.msg import UInt8MultiArray

from hlai_control.parent.processes import environment

SIZES = (200, 4_000, 60_000)
# What LOCALHOST discovery brings by itself, and what hlai up uses.
TRANSPORTS = ('shared memory', 'loopback UDP')
DOMAIN = 69
BLOCKS = 3


def echo() -> None:
    """Send back whatever comes, until killed."""
    rclpy.init()
    node = rclpy.create_node('echo')
    publisher = node.create_publisher(UInt8MultiArray, 'back', 1)
    node.create_subscription(UInt8MultiArray, 'there', publisher.publish, 1)
    executor = EventsExecutor()
    executor.add_node(node)
    while rclpy.ok():
        executor.spin_once(timeout_sec=1.0)


def measure(rounds: int) -> None:
    """Print one line per size: size, p50 and p99 of the round trip [ms]."""
    rclpy.init()
    node = rclpy.create_node('measure')
    arrived: list[float] = []
    publisher = node.create_publisher(UInt8MultiArray, 'there', 1)
    node.create_subscription(UInt8MultiArray, 'back',
                             lambda _message: arrived.append(time.perf_counter()), 1)
    executor = EventsExecutor()
    executor.add_node(node)
    deadline_s = time.monotonic() + 10.0
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline_s:
        executor.spin_once(timeout_sec=0.05)
    for size in SIZES:
        trips, message = [], UInt8MultiArray(data=array('B', bytes(size)))
        for _ in range(rounds):
            arrived.clear()
            sent_s = time.perf_counter()
            publisher.publish(message)
            while not arrived and time.perf_counter() < sent_s + 1.0:
                executor.spin_once(timeout_sec=0.1)
            trips.append(1e3 * ((arrived[0] if arrived else time.perf_counter()) - sent_s))
        trips.sort()
        print(size, f'{trips[rounds // 2]:.3f}', f'{trips[int(0.99 * rounds)]:.3f}')
    rclpy.shutdown()


def variables(transport: str) -> dict[str, str]:
    """Return the environment of one transport."""
    if transport == 'loopback UDP':
        return environment(DOMAIN, os.environ)
    return dict(os.environ) | {'ROS_DOMAIN_ID': str(DOMAIN),
                               'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}


def segments(pid: int) -> set[str]:
    """Return the Fast DDS files in /dev/shm that a process has mapped."""
    return set(re.findall(r'/dev/shm/(fastrtps\S+)', Path(f'/proc/{pid}/maps').read_text()))


def block(transport: str, rounds: int) -> tuple[list[list[str]], int]:
    """Run one block; return its lines and how many files the killed process left."""
    other = subprocess.Popen([sys.executable, __file__, '--echo'], env=variables(transport))
    try:
        done = subprocess.run([sys.executable, __file__, '--measure', '--rounds', str(rounds)],
                              env=variables(transport), capture_output=True, text=True, check=True)
        mapped = segments(other.pid)
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
    left = sum((Path('/dev/shm') / name).exists() for name in mapped)
    return [line.split() for line in done.stdout.splitlines()], left


def main() -> None:
    """Compare the transports."""
    parser = argparse.ArgumentParser(description='shared memory against UDP')
    parser.add_argument('--rounds', type=int, default=2000)
    parser.add_argument('--echo', action='store_true', help='internal')
    parser.add_argument('--measure', action='store_true', help='internal')
    given = parser.parse_args()
    if given.echo:
        echo()
    elif given.measure:
        measure(given.rounds)
    else:
        print('transport, bytes, round trip p50 and p99 [ms], files left in /dev/shm by kill -9')
        for number in range(BLOCKS):
            for transport in TRANSPORTS:
                lines, left = block(transport, given.rounds)
                for size, middle, late in lines:
                    print(f'{number} {transport:14s} {size:>6s} {middle:>8s} {late:>8s}   {left}')


if __name__ == '__main__':
    main()
