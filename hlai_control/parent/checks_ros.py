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
What ``hlai doctor`` asks of ROS: packages, middleware, discovery, domain.

rclpy is never imported here: an RMW implementation that does not load ends
the process that tries. Children do it, in the environment of a real graph.
"""

from collections.abc import Callable, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
import sys

from hlai_control.parent.children import ask, Child, Reply
from hlai_control.parent.findings import fail, Finding, ok, warn
from hlai_control.parent.processes import environment

PROBE = ('-m', 'hlai_control.ros.probe')
BOUND_S = 20.0
TESTED = ('jazzy', 'kilted')
MESSAGES = ('builtin_interfaces', 'diagnostic_msgs', 'geometry_msgs', 'lifecycle_msgs',
            'nav_msgs', 'rcl_interfaces', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs',
            'std_srvs', 'trajectory_msgs', 'visualization_msgs')
# Settings from outside that reach the nodes, and may keep them from starting or meeting.
VARIABLES = ('RMW_IMPLEMENTATION', 'ROS_SECURITY_ENABLE', 'ROS_DISCOVERY_SERVER',
             'ROS_STATIC_PEERS', 'ROS_LOCALHOST_ONLY', 'RMW_FASTRTPS_USE_QOS_FROM_XML',
             'PYTHONPATH')
INSTALL = 'make setup brings the wheels; or source a ROS 2 Jazzy install'


def check_ros(base: Mapping[str, str]) -> Finding:
    """Find rclpy without importing it, and name its distribution."""
    spec = find_spec('rclpy')
    if spec is None or spec.origin is None:
        return fail('ros', 'there is no rclpy', INSTALL)
    place = Path(spec.origin).parent
    wheels = [name for name in TESTED if _installed(f'ros-{name}-rclpy')]
    sourced = base.get('ROS_DISTRO', '')
    name = wheels[0] if wheels and place.is_relative_to(sys.prefix) else sourced
    found = f'{name or "unknown distribution"}, rclpy in {place}'
    if sourced and name != sourced:
        return warn('ros', f'{found}, but {sourced} is sourced as well',
                    'use one of them: a shell in which no ROS setup file was sourced, or no venv')
    if name not in TESTED:
        return warn('ros', found, f'tested with {" and ".join(TESTED)} only')
    return ok('ros', found)


def check_messages() -> Finding:
    """Find the message packages."""
    missing = [name for name in MESSAGES if find_spec(name) is None]
    if missing:
        return fail('messages', f'missing: {", ".join(missing)}',
                    f'{INSTALL} with ros-jazzy-common-interfaces')
    return ok('messages', f'all {len(MESSAGES)} packages are there')


def check_rmw(base: Mapping[str, str], domain: int) -> Finding:
    """
    Start a node in a child.

    :param base: environment variables of the caller.
    :param domain: ROS domain to do it in.
    """
    reply = _report(base, domain)
    name = reply.facts.get('rmw', '')
    if reply.status == 0:
        if name.startswith('rmw_fastrtps'):
            return ok('rmw', f'{name}, a node starts')
        return warn('rmw', f'{name}, a node starts',
                    'tested with rmw_fastrtps_cpp only: unset RMW_IMPLEMENTATION')
    cause = culprit(base, lambda rest: _report(rest, domain).status == 0)
    remedy = (f'unset {cause} (it is {base[cause]!r}): without it, a node starts' if cause
              else INSTALL)
    return fail('rmw', f'no node starts: {reply.complaint or f"status {reply.status}"}', remedy)


def culprit(base: Mapping[str, str], works: Callable[[Mapping[str, str]], bool]) -> str | None:
    """
    Find the setting that is to blame.

    :param base: environment variables with which something does not work.
    :param works: tries it with other ones.
    :returns: the variable without which it works, None if there is no such one.
    """
    for name in VARIABLES:
        if name in base and works({key: base[key] for key in base if key != name}):
            return name
    return None


def check_settings(base: Mapping[str, str]) -> Finding:
    """Name the variables that reach the graph's nodes from outside."""
    present = [name for name in VARIABLES if base.get(name) and name != 'RMW_IMPLEMENTATION']
    if present:
        return warn('dds settings', f'set: {", ".join(present)}',
                    'they reach the graph too; unset what is not meant for it')
    return ok('dds settings', 'none from outside; hlai brings its own transport and domain')


def check_discovery(base: Mapping[str, str], domain: int, bound_s: float = BOUND_S) -> Finding:
    """
    Have two processes find each other and exchange messages.

    :param base: environment variables of the caller.
    :param domain: ROS domain to do it in.
    :param bound_s: time that they have for it [s].
    """
    reply = _meet(base, domain, bound_s)
    facts = reply.facts
    if reply.status == 0:
        trip_ms, slowest_ms = facts['round_trip_s'] * 1e3, facts['slowest_s'] * 1e3
        found = (f'two processes met in {facts["discovery_s"]:.2f} s; round trip '
                 f'{trip_ms:.2f} ms, slowest {slowest_ms:.2f} ms')
        if facts['shared_memory']:
            return warn('discovery', f'{found}; through shared memory, not UDP',
                        'a killed node will leave files in /dev/shm: unset what '
                        '"dds settings" names')
        return ok('discovery', f'{found}; UDP only')
    if 'rmw' not in facts:
        return fail('discovery', 'not tried, for no node starts', 'mend rmw first')
    cause = culprit(base, lambda rest: _meet(rest, domain, BOUND_S).status == 0)
    first = port(domain)
    remedy = (f'unset {cause} (it is {base[cause]!r}): without it, they do' if cause else
              f'allow UDP on the loopback interface, ports {first} to {first + 249}: see '
              'ip link show lo, the firewall, the network of the container')
    return fail('discovery', f'two processes did not hear each other within {bound_s:g} s',
                remedy)


def domain_finding(domain: int | None, reason: str, ephemeral: int | None) -> Finding:
    """
    Judge the ROS domain.

    :param domain: one that was free, None if there is none.
    :param reason: why there is none.
    :param ephemeral: first UDP port that the system hands out, None if unknown.
    """
    if domain is None:
        return fail('domain', reason, 'end a graph that is no longer needed, or give domain:=N')
    last = port(domain) + 249
    if ephemeral is not None and ephemeral <= last:
        return warn('domain', f'{domain} is free, but the system hands out its ports '
                              f'(up to {last}) from {ephemeral} on to anybody',
                    'sudo sysctl net.ipv4.ip_local_port_range="32768 60999"')
    return ok('domain', f'{domain} is free (UDP ports {port(domain)} to {last})')


def port(domain: int) -> int:
    """Return the first UDP port of a domain (DDSI-RTPS 2.5, section 9.6.2.4)."""
    return 7400 + 250 * domain


def first_ephemeral_port() -> int | None:
    """Return the first UDP port that the system hands out by itself, None if unknown."""
    try:
        return int(Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _report(base: Mapping[str, str], domain: int) -> Reply:
    return ask((*PROBE, 'report'), environment(domain, base), BOUND_S)


def _meet(base: Mapping[str, str], domain: int, bound_s: float) -> Reply:
    variables = environment(domain, base)
    with Child((*PROBE, 'answer'), variables), Child((*PROBE, 'ask'), variables) as asker:
        return asker.reply(bound_s)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
