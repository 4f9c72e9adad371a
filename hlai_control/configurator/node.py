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
The configurator node: sets up the one engine, and makes every transition.

It brings the managed nodes up in order and down in reverse, adopts what is
already active when it was itself restarted, and brings back in what the
process parent has respawned. No tick needs it.
"""

from collections.abc import Callable
import json
from pathlib import Path
import sys

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from hlai_control.configurator.configuration import (
    Configuration,
    CONFIGURATION_FILE,
    EXPLORE,
    from_json,
    HOLD,
    REACTIVE,
    RUN,
)
from hlai_control.configurator.transitions import ACTIVE, INACTIVE, UNCONFIGURED
from hlai_control.cost.task import load_task
from hlai_control.errors import GraphError, HlaiError
from hlai_control.files import write_atomic
from hlai_control.graph import (
    ANTICIPATED,
    CONFIGURATION,
    MANAGED,
    NODES,
    STATE,
    SURPRISE,
    TASK,
    TERMS,
    TIMING,
)
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.diagnostics import Diagnostics, ERROR, WARN
from hlai_control.ros.managers import bring, set_parameters, state_of, switch, trigger
from hlai_control.ros.parameters import declare, declare_run, read, read_run
from hlai_control.ros.peers import Peers
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import DIAGNOSTICS, LATCHED, learner, VIEW
from hlai_control.ros.scripts import Caller, Script, together, wait_for
from hlai_control.ros.signals import stamp_to_ns
from hlai_control.settings import ConfiguratorSettings

STATUS = 'configurator/status'
# In lockstep a request takes effect so many ticks later, long enough to reach every node.
REQUEST_TICKS = 20
IDLE, STARTING, RUNNING, ENDING, FAILED = 'idle', 'starting', 'running', 'ending', 'failed'


class ConfiguratorNode(Node):
    """Makes the transitions and publishes the configuration."""

    def __init__(self) -> None:
        """Declare parameters and services; with ``autostart`` begin at once."""
        super().__init__('configurator')
        declare_run(self)
        declare(self, [ConfiguratorSettings])
        self.declare_parameter('autostart', True)
        self.handled = 0
        self._settings = read(self, ConfiguratorSettings)
        self._run = read_run(self)
        self._manifest = load_robot(self._run.robot)
        load_task(self._run.task, self._manifest)
        self.diagnostics = Diagnostics(self, 'Configurator')
        self._caller = Caller(self, self._settings.call_timeout_s, self._settings.attempts,
                              self._settings.start_timeout_s)
        self._nodes: dict[str, dict[str, str]] = {}
        self._task, self._mode, self._version = self._run.task, RUN, 0
        self._newest_ns = 0
        self._join()
        self._phase, self._runs = IDLE, 0
        # Whether the graph moves already: then nothing that goes wrong may end our care.
        self._adopted = False
        self._script: Script | None = None
        self._enter(IDLE, 'started')
        if self.get_parameter('autostart').value:
            self._start(self._begin(fresh=False))

    def _join(self) -> None:
        self._peers = Peers(self, self.diagnostics)
        qos = learner(1.0 / self._manifest.period_s)
        self._configuration = self._peers.speak(String, CONFIGURATION, LATCHED)
        self._status = self._peers.speak(String, STATUS, LATCHED)
        self._peers.listen(JointState, STATE, self._on_state, qos)
        for topic in (TIMING, SURPRISE, ANTICIPATED, TERMS):
            self._peers.listen(JointState, topic, lambda _message: None, qos)
        self._peers.listen(String, TASK, self._on_task, VIEW)
        self._peers.listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, DIAGNOSTICS)
        services: tuple[tuple[str, Callable[[], str]], ...] = (
            ('begin', self._serve_begin), ('end', self._serve_end),
            ('pause', lambda: self._serve_mode(HOLD)), ('resume', lambda: self._serve_mode(RUN)),
            ('explore', lambda: self._serve_mode(EXPLORE)),
            ('react', lambda: self._serve_mode(REACTIVE)))
        for name, serve in services:
            self.create_service(Trigger, f'~/{name}', _answer(serve))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self.diagnostics.publish, clock=steady)

    # The loop.

    def work(self) -> bool:
        """Give the running script one turn."""
        if self._script is None:
            return False
        try:
            next(self._script)
        except StopIteration:
            self._script = None
        except HlaiError as error:
            self._script = None
            self.get_logger().error(str(error))
            # A recovery that failed, of a node that died again say, is tried anew when the
            # node is next heard of; the rest of the graph goes on.
            goes_on = self._phase == RUNNING or (self._adopted and self._phase == STARTING)
            self._enter(RUNNING if goes_on else FAILED, str(error))
        return False

    def close(self) -> None:
        """Leave the graph as it is: no tick needs the configurator."""

    def _start(self, script: Script) -> None:
        self._script = script

    def _enter(self, phase: str, reason: str) -> None:
        self._phase = phase
        level = {FAILED: ERROR, RUNNING: None}.get(phase, WARN)
        self.diagnostics.state(f'{phase}: {reason}', *([level] if level else []))
        self._status.publish(String(data=json.dumps(
            {'phase': phase, 'runs': self._runs, 'reason': reason})))

    # Scripts.

    def _begin(self, fresh: bool) -> Script:
        """Bring everything up; a fresh run also resets robot and guard."""
        self._adopted = False
        self._enter(STARTING, 'waiting for the nodes')
        self._run = read_run(self)
        self._adopted = not fresh and ACTIVE in (yield from self._states())
        if self._adopted:
            self._remember()
        else:
            values = {'seed': self._run.seed, 'run_dir': self._run.run_dir,
                      'task': self._run.task}
            yield from together(set_parameters(self._caller, name, values) for name in MANAGED)
            if self._run.simulation:
                yield from set_parameters(self._caller, 'robot', {'seed': self._run.seed})
                yield from trigger(self._caller, 'robot/reset', repeatable=True)
            yield from trigger(self._caller, 'guard/reset', repeatable=True)
            self._task, self._mode, self._newest_ns = self._run.task, RUN, 0
        self._enter(STARTING, 'configuring')
        yield from together(self._at_least_inactive(name) for name in MANAGED)
        self._publish('adopted what was active' if self._adopted else 'begin')
        self._enter(STARTING, 'activating')
        for name in MANAGED:
            yield from bring(self._caller, name, ACTIVE)
            self._nodes.pop(name, None)  # what it said before is not true any more
        yield from self._joined()
        if self._run.simulation and not self._adopted:  # who was paused by somebody stays so
            yield from switch(self._caller, 'robot/pause', False)
        self._runs += 1
        self._enter(RUNNING, f'{self._run.robot}, {self._task}')

    def _joined(self) -> Script:
        """Wait until all have joined; who dies meanwhile is brought in again, or none would."""
        deadline = wait_for(lambda: not self._missing(), self._settings.start_timeout_s,
                            'the graph did not join')
        for _ in deadline:
            for name in self._came_back():
                yield from self._recover(name)
            yield

    def _remember(self) -> None:
        """Take up what an earlier process of this run had configured last."""
        if not self._run.run_dir or not (path := Path(self._run.run_dir) / CONFIGURATION_FILE
                                         ).exists():
            return
        last = from_json(path.read_text())
        self._task, self._mode, self._version = last.task, last.mode, last.version

    def _states(self) -> Script:
        states: dict[str, str] = {}

        def ask(name: str) -> Script:
            states[name] = yield from state_of(self._caller, name)

        yield from together(ask(name) for name in MANAGED)
        return set(states.values())

    def _at_least_inactive(self, name: str) -> Script:
        state = yield from state_of(self._caller, name)
        if state == UNCONFIGURED:
            yield from bring(self._caller, name, INACTIVE)

    def _end(self) -> Script:
        """Take everything down in reverse."""
        self._adopted = False
        self._enter(ENDING, 'on request')
        if self._run.lockstep:
            yield from switch(self._caller, 'robot/pause', True)
        for name in reversed(MANAGED):
            yield from bring(self._caller, name, UNCONFIGURED)
        self._nodes.clear()
        self._enter(IDLE, 'ended')

    def _recover(self, name: str) -> Script:
        """Bring a respawned node back in by the path that all took."""
        self.get_logger().warning(f'{name} came back; bringing it in')
        self._enter(self._phase, f'bringing back {name}')
        self._nodes.pop(name)  # what it says next is newer than what is done here
        if name == 'robot':
            yield from switch(self._caller, 'robot/pause', False)
        else:
            yield from bring(self._caller, name, ACTIVE)
        self._enter(self._phase, f'{name} is back')

    # What is heard.

    def _on_state(self, message: JointState) -> None:
        self._newest_ns = stamp_to_ns(message.header.stamp)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        prefix = self.get_namespace().rstrip('/') + '/'
        for status in message.status:
            name = status.name.partition(':')[0].removeprefix(prefix)
            if any(spec.name == name for spec in NODES):
                self._nodes[name] = {item.key: item.value for item in status.values}
                self._look_after()

    def _look_after(self) -> None:
        """Start a recovery if a node of the running graph came back empty."""
        if self._phase == RUNNING and self._script is None:
            for name in self._came_back()[:1]:
                self._start(self._recover(name))

    def _came_back(self) -> tuple[str, ...]:
        """Name the nodes that a respawn has left out of the moving graph."""
        if self._run.lockstep:  # a tick that a dead node owes is never made good
            return ()
        empty = tuple(name for name in MANAGED
                      if self._nodes.get(name, {}).get('lifecycle') in (UNCONFIGURED, INACTIVE))
        # Until a first start is over, the robot waits to be released.
        moving = self._adopted or self._phase == RUNNING
        unreleased = self._nodes.get('robot', {}).get('lifecycle') == 'unreleased'
        return (*empty, 'robot') if moving and unreleased else empty

    def _missing(self) -> tuple[str, ...]:
        texts = [f'configurator: {text}' for text in self._peers.missing()]
        for spec in NODES:
            if spec.name == 'configurator' or (spec.simulated and not self._run.simulation):
                continue
            missing = self._nodes.get(spec.name, {}).get('missing', 'nothing heard yet')
            if missing:
                texts.append(f'{spec.name}: {missing}')
        self.diagnostics.fact('missing', '; '.join(texts))
        return tuple(texts)

    def _on_task(self, message: String) -> None:
        try:
            load_task(message.data, self._manifest)
        except HlaiError as error:
            self._enter(self._phase, f'task refused: {error}')
            return
        self._task = message.data
        self._publish(f'task {message.data} was asked for')
        self._enter(self._phase, f'task {message.data}')

    # Services.

    def _serve_begin(self) -> str:
        if self._script is not None or self._phase == RUNNING:
            raise GraphError(f'the graph is {self._phase}; call ~/end first')
        self._start(self._begin(fresh=True))
        return 'beginning; configurator/status tells how it goes'

    def _serve_end(self) -> str:
        self._start(self._end())
        return 'ending; configurator/status tells how it goes'

    def _serve_mode(self, mode: str) -> str:
        self._mode = mode
        self._publish(f'{mode} was asked for')
        return f'mode {mode}'

    def _publish(self, reason: str) -> None:
        self._version += 1
        running = self._run.lockstep and self._phase == RUNNING
        from_ns = self._newest_ns + REQUEST_TICKS * self._manifest.period_ns if running else 0
        text = Configuration(
            version=self._version, from_ns=from_ns, task=self._task, mode=self._mode,
            planner=self._settings.planner, horizon=self._settings.horizon,
            iterations=self._settings.iterations, reason=reason).to_json()
        if self._run.run_dir:
            path = Path(self._run.run_dir) / CONFIGURATION_FILE
            try:
                write_atomic(path, text.encode())
            except OSError as error:
                self.diagnostics.count(f'configuration not kept: {error.strerror}')
        self._configuration.publish(String(data=text))


def _answer(serve: Callable[[], str]) -> Callable[[Trigger.Request, Trigger.Response],
                                                  Trigger.Response]:
    def answer(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = serve(), True
        except HlaiError as error:
            response.message, response.success = str(error), False
        return response

    return answer


def main() -> int:
    """Run the configurator node."""
    return run_node(ConfiguratorNode)


if __name__ == '__main__':
    sys.exit(main())
