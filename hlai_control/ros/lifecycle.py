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
The managed node: configure loads and warms up, only active moves.

Subclasses fill in four steps (:meth:`ManagedNode.setup`, ``start``, ``stop``,
``teardown``) and :meth:`ManagedNode.work`; transitions, parameters, bad input
and diagnostics are handled here, once.
"""

from collections.abc import Callable, Sequence
import traceback
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from hlai_control.errors import HlaiError
from hlai_control.ros.diagnostics import Diagnostics, ERROR
from hlai_control.ros.parameters import declare, declare_run, read_run, Run
from hlai_control.ros.peers import Peers
from hlai_control.settings import Settings

DIAGNOSTICS_PERIOD_S = 1.0
JOIN_PERIOD_S = 0.05


class ManagedNode(LifecycleNode):
    """
    A lifecycle node of the graph.

    :param name: node name, as in ``graph.NODES``.
    :param component: what it does, for ``/diagnostics``.
    :param kinds: settings classes that become its parameters.
    """

    def __init__(self, name: str, component: str, kinds: Sequence[type[Settings]] = ()) -> None:
        """Declare everything; nothing heavy is loaded before configure."""
        super().__init__(name)
        declare_run(self)
        declare(self, kinds)
        self.handled = 0
        self.active = False
        self.diagnostics = Diagnostics(self, component)
        self.peers = Peers(self, self.diagnostics)
        service = self._service_change_state
        service.callback = self._refusing(service.callback)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self.diagnostics.publish, clock=steady)
        self._join_timer = self.create_timer(JOIN_PERIOD_S, self._report_peers, clock=steady)
        self._report_lifecycle('unconfigured')

    # What a subclass fills in.

    def setup(self, run: Run) -> None:
        """Load, create endpoints with :attr:`peers`, warm up."""

    def start(self) -> None:
        """Become active."""

    def stop(self) -> None:
        """Become inactive; leave whatever is commanded safe."""

    def teardown(self) -> None:
        """Drop what setup made, endpoints excepted (they are closed here)."""

    def work(self) -> bool:
        """Do one piece of work; true if there is more to do at once."""
        return False

    # Endpoints.

    def speak(self, kind: Any, topic: str, qos: QoSProfile) -> Publisher:
        """Create a publisher that lives until cleanup."""
        return self.peers.speak(kind, topic, qos)

    def listen(self, kind: Any, topic: str, callback: Callable[[Any], None],
               qos: QoSProfile, name: str | None = None) -> None:
        """Create a subscription that lives until cleanup and acts only while active."""
        def when_active(message: Any) -> None:
            if self.active:
                callback(message)

        self.peers.listen(kind, topic, when_active, qos, name)

    def listen_always(self, kind: Any, topic: str, callback: Callable[[Any], None],
                      qos: QoSProfile) -> None:
        """Create a subscription to a function: it counts while inactive, too."""
        self.peers.listen(kind, topic, callback, qos)

    # Transitions.

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Run :meth:`setup`; what goes wrong is told, and refuses the transition."""
        if not self._attempt('configure', lambda: self.setup(read_run(self))):
            self._attempt('clean up', self.teardown)
            self.peers.close()
            return TransitionCallbackReturn.FAILURE
        self._report_lifecycle('inactive')
        return super().on_configure(state)

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Run :meth:`start`."""
        if not self._attempt('activate', self.start):
            return TransitionCallbackReturn.FAILURE
        self.active = True
        self._join_timer.reset()
        self._report_lifecycle('active')
        self._report_peers()
        return super().on_activate(state)

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Run :meth:`stop`."""
        self.active = False
        self._attempt('deactivate', self.stop)
        self._report_lifecycle('inactive')
        return super().on_deactivate(state)

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Run :meth:`teardown` and close every endpoint."""
        self._attempt('clean up', self.teardown)
        self.peers.close()
        self._report_lifecycle('unconfigured')
        return super().on_cleanup(state)

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """Leave from wherever we are."""
        self.close()
        return super().on_shutdown(state)

    def close(self) -> None:
        """Stop if active; called by the process loop on its way out."""
        if self.active:
            self.active = False
            self._attempt('stop', self.stop)

    def _refusing(self, change: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """
        Refuse a transition that is not possible now.

        rclpy raises instead, which would end the process; a call that is
        repeated because its answer came late is enough.
        """
        def answer(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except RuntimeError:
                self.diagnostics.count('change_state: not possible in this state')
                response.success = False
                return response

        return answer

    def _attempt(self, what: str, step: Callable[[], None]) -> bool:
        """Run one step of a transition; whatever it raises is logged in full."""
        try:
            step()
        except HlaiError as error:
            self.get_logger().error(str(error))
            self.diagnostics.state(f'failed to {what}: {error}', ERROR)
            return False
        except Exception:  # noqa: BLE001
            # rclpy would swallow it; a defect of ours must be seen.
            self.get_logger().error(f'failed to {what}:\n{traceback.format_exc()}')
            self.diagnostics.state(f'failed to {what}; the log has the traceback', ERROR)
            return False
        return True

    def _report_lifecycle(self, state: str) -> None:
        self.diagnostics.fact('lifecycle', state)
        self.diagnostics.fact('missing', 'not active')
        self.diagnostics.state(state)

    def _report_peers(self) -> None:
        """Say who is missing until nobody is; then rest until the next activation."""
        if not self.active:
            return
        missing = '; '.join(self.peers.missing())
        self.diagnostics.fact('missing', missing)
        if not missing:
            self.diagnostics.publish()
            self._join_timer.cancel()
