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
A first manifest and a first task from a URDF: what it says is filled in, the rest asked.

What a URDF does not say (rates, delays, timeouts, noise) has a cautious value and the mark
``QUESTION``. ``<ros2_control>`` is believed where it is there; otherwise every joint that moves
and mimics no other has an actuator.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import math
from pathlib import Path
import re
from xml.etree import ElementTree

from hlai_control.errors import UsageError

MARK = 'QUESTION'
INTERFACES = ('velocity', 'effort', 'position')
_STEP_S = 0.001
# Speeds and efforts of a URDF are what drives can do, not what anybody wants at first.
_SHARE = 0.5
_TURNING, _SLIDING = 1.0, 0.25  # [rad/s], [m/s]
# Where the URDF names no limit.
_EFFORT, _REACH = 1.0, 3.0


@dataclass(frozen=True)
class Joint:
    """
    One moving joint of a URDF.

    :param name: its name.
    :param angular: whether it turns.
    :param low: least position, -inf without a limit.
    :param high: greatest position, inf without a limit.
    :param speed: greatest speed; 0: not said.
    :param effort: greatest effort; 0: not said.
    :param damping: of its dynamics.
    :param interface: command interface; empty: none, it is not driven.
    """

    name: str
    angular: bool
    low: float
    high: float
    speed: float
    effort: float
    damping: float
    interface: str

    @property
    def coordinate(self) -> str:
        """Name of its position among the signals."""
        return f'{_word(self.name)}.{"angle" if self.angular else "x"}'

    @property
    def actuator(self) -> str:
        """Name of its command among the signals."""
        ends = {'velocity': 'speed', 'effort': 'effort', 'position': 'goal'}
        return f'{_word(self.name)}.{ends[self.interface]}'

    @property
    def limits(self) -> tuple[float, float]:
        """Limits of the command, from what the URDF says."""
        if self.interface == 'position':
            return (self.low, self.high) if math.isfinite(self.low) else (-_REACH, _REACH)
        if self.interface == 'effort':
            most = _SHARE * (self.effort or _EFFORT)
        else:
            slow = _TURNING if self.angular else _SLIDING
            most = min(_SHARE * self.speed or slow, slow)
        return -most, most

    @property
    def start(self) -> float:
        """Where a simulation begins: zero, or the middle of a range without it."""
        return 0.0 if self.low < 0.0 < self.high else 0.5 * (self.low + self.high)


@dataclass(frozen=True)
class Draft:
    """
    What was made of a URDF.

    :param manifest: text of the robot's file.
    :param task: text of a task that goes to the middle of all ranges.
    :param questions: what only its owner can say.
    :param left_out: joints that were left out, and why.
    """

    manifest: str
    task: str
    questions: tuple[str, ...]
    left_out: tuple[str, ...]


def draft(urdf: Path, name: str, interface: str, rate_hz: float, link: str) -> Draft:
    """
    Draft a robot's files.

    :param urdf: its model.
    :param name: of the robot; empty: the model's.
    :param interface: of joints that ``<ros2_control>`` says nothing of.
    :param rate_hz: control rate.
    :param link: the model's path as the manifest names it.
    :raises UsageError: if the file is no URDF, or nothing in it moves.
    """
    try:
        root = ElementTree.parse(urdf).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise UsageError(f'urdf:={urdf}: {error}; valid: a URDF file (of a xacro file: '
                         'xacro robot.urdf.xacro > robot.urdf)') from None
    if root.tag != 'robot':
        raise UsageError(f'urdf:={urdf}: its root is <{root.tag}>; valid: <robot>, a URDF file')
    joints, left_out = _joints(root, interface)
    driven = [joint for joint in joints if joint.interface]
    if not driven:
        raise UsageError(f'urdf:={urdf}: no joint could be driven '
                         f'({"; ".join(left_out) or "none moves"}); valid: a model with '
                         'revolute, continuous or prismatic joints')
    name = _word(name or root.get('name') or urdf.stem)
    manifest = _manifest(name, joints, driven, rate_hz, link)
    questions = tuple(line.split(f'# {MARK}: ')[1] for line in manifest.splitlines()
                      if f'# {MARK}: ' in line)
    return Draft(manifest, _task(name, joints, driven), tuple(dict.fromkeys(questions)), left_out)


def _joints(root: ElementTree.Element, interface: str) -> tuple[list[Joint], tuple[str, ...]]:
    """Read what moves, and name what is left out."""
    told = {item.get('name', ''): [one.get('name', '') for one in item.findall(
        'command_interface')] for item in root.findall('ros2_control/joint')}
    found, left_out = list[Joint](), list[str]()
    for item in root.findall('joint'):
        name, kind = item.get('name', ''), item.get('type', '')
        if kind == 'fixed':
            continue
        if item.find('mimic') is not None:
            left_out.append(f'{name} mimics another')
        elif kind not in ('revolute', 'continuous', 'prismatic'):
            left_out.append(f'{name} is {kind}')
        else:
            commands = [one for one in told.get(name, []) if one in INTERFACES]
            found.append(_joint(item, kind, (
                interface if interface in commands or not commands else commands[0])
                if commands or not told else ''))
    interfaces = {joint.interface for joint in found if joint.interface}
    if 'position' in interfaces and len(interfaces) > 1:
        raise UsageError('<ros2_control> has position and other commands; valid: one kind for '
                         'all; give interface:= one that all joints have')
    return found, tuple(left_out)


def _joint(item: ElementTree.Element, kind: str, interface: str) -> Joint:
    limit, dynamics = item.find('limit'), item.find('dynamics')

    def number(element: ElementTree.Element | None, field: str) -> float:
        try:
            value = float(element.get(field, '0')) if element is not None else 0.0
        except ValueError:
            return 0.0
        return value if math.isfinite(value) else 0.0
    low, high = number(limit, 'lower'), number(limit, 'upper')
    ends = kind != 'continuous' and low < high
    return Joint(item.get('name', ''), kind != 'prismatic', low if ends else -math.inf,
                 high if ends else math.inf, abs(number(limit, 'velocity')),
                 abs(number(limit, 'effort')), abs(number(dynamics, 'damping')), interface)


def _manifest(name: str, joints: Sequence[Joint], driven: Sequence[Joint], rate_hz: float,
              link: str) -> str:
    step_s = 1.0 / rate_hz / math.ceil(1.0 / rate_hz / _STEP_S - 1e-9)
    holds = driven[0].interface == 'position'
    lines = [
        f'# Drafted from {link} by hlai init-robot. Answer each {MARK}, then delete the mark.',
        f'name: {name}', f'description: Drafted from {_quoted(Path(link).name)}.',
        f'rate_hz: {rate_hz:g}  # {MARK}: at which rate do its joint states come?',
        f'delay_ticks: 1  # {MARK}: how many ticks until a command takes effect?',
        f'command_timeout_s: none  # {MARK}: after how long without a command does its controller '
        'stop it [s]?',
        f'safe_command: {"hold" if holds else "zero"}', 'coordinates:']
    for joint in joints:
        ends = ('none' if math.isinf(joint.low) else f'[{joint.low:g}, {joint.high:g}]')
        speed = f'{joint.speed:g}' if joint.speed else 'none'
        lines += [
            f'  - name: {joint.coordinate}', f'    joint: {_quoted(joint.name)}',
            f'    kind: {"angle" if joint.angular else "linear"}',
            f'    limits: {ends}', f'    velocity_limit: {speed}',
            f'    invariant: false  # {MARK}: do the dynamics not depend on it (a vertical first '
            'axis, a cart on its rail)?',
            f'    noise_std: 0.001  # {MARK}: how noisy is its position; none: not measured?',
            f'    rate_noise_std: 0.01  # {MARK}: how noisy is its rate; none: not measured?']
    lines.append('actuators:')
    for joint in driven:
        low, high = joint.limits
        lines += [
            f'  - name: {joint.actuator}', f'    joint: {_quoted(joint.name)}',
            f'    interface: {joint.interface}',
            f'    limits: [{low:g}, {high:g}]  # {MARK}: how much may it be asked for? '
            + ('the whole range is here' if holds else "at most half of the URDF's limit is here"),
            f'    rate_limit: none  # {MARK}: how fast may its command change [per s]?']
    lag = ['  velocity_lag_s: 0.05'] if driven[0].interface == 'velocity' else []
    lines += [
        'mirror: none', 'topics:',
        f'  joint_states: joint_states  # {MARK}: where do its drivers publish?',
        f'  command: {driven[0].interface}_controller/commands  # {MARK}: where does its '
        'controller listen, and is it a forward_command_controller?',
        '  robot_description: robot_description', 'simulation:', f'  urdf: {_quoted(link)}',
        f'  step_s: {step_s:.9g}', *lag,
        f'  joint_damping: {_braced((joint.name, joint.damping) for joint in joints)}',
        f'  initial: {_braced((joint.coordinate, joint.start) for joint in joints)}']
    return '\n'.join(lines) + '\n'


def _task(name: str, joints: Sequence[Joint], driven: Sequence[Joint]) -> str:
    goals = {joint.coordinate: round(_aim(joint), 6) for joint in joints}
    lines = [f'# A first task: every joint a little away from where a simulation begins. {MARK}: '
             'where to?', f'name: {name}_pose', 'description: All joints at one configuration.',
             f'robots: [{name}]', f'goal: {_braced(goals.items())}', 'discount: 0.98', 'terms:']
    for at, joint in enumerate(joints, 1):
        kind = 'angle' if joint.angular else 'quadratic'
        lines += [_term(f'place{at}', kind, joint.coordinate, 2.0),
                  _term(f'rest{at}', 'quadratic', f'{joint.coordinate}/rate', 0.02)]
    if driven[0].interface != 'position':
        for at, joint in enumerate(driven, 1):
            weight = 0.01 / max(joint.limits[1], 1e-3) ** 2
            lines.append(_term(f'command{at}', 'quadratic', joint.actuator, weight))
    tolerances = _braced((joint.coordinate, 0.05 if joint.angular else 0.02) for joint in joints)
    return '\n'.join([*lines, 'solved:', f'  within: {tolerances}', '  hold_s: 1.0']) + '\n'


def _term(name: str, kind: str, coordinate: str, weight: float) -> str:
    return f'  - {{name: {name}, kind: {kind}, coordinate: {coordinate}, weight: {weight:.6g}}}'


def _aim(joint: Joint) -> float:
    """Return a place a little away from the start, within the range."""
    away = 0.4 if joint.angular else 0.1
    if math.isfinite(joint.low):
        away = min(away, 0.25 * (joint.high - joint.low))
    return joint.start + (away if joint.start + away < joint.high else -away)


def _word(name: str) -> str:
    """Return a name that signals can have."""
    word = re.sub(r'\W+', '_', name, flags=re.ASCII).strip('_')
    return word if word[:1].isalpha() else f'robot_{word}' if word else 'robot'


def _quoted(text: str) -> str:
    return text if re.fullmatch(r'[A-Za-z_./][\w./-]*', text, re.ASCII) else "'" + text.replace(
        "'", "''") + "'"


def _braced(items: Iterable[tuple[str, float]]) -> str:
    return '{' + ', '.join(f'{_quoted(name)}: {value:g}' for name, value in items) + '}'
