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

"""What the configurator asks of other nodes, as scripts (``ros/scripts.py``)."""

from collections.abc import Mapping

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from hlai_control.configurator.transitions import (
    ACTIVATE,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    Step,
    steps,
)
from hlai_control.errors import GraphError
from hlai_control.ros.scripts import Caller, either, pause, Script

_TRANSITIONS = {CONFIGURE: Transition.TRANSITION_CONFIGURE,
                ACTIVATE: Transition.TRANSITION_ACTIVATE,
                DEACTIVATE: Transition.TRANSITION_DEACTIVATE,
                CLEANUP: Transition.TRANSITION_CLEANUP}
# What is answered at once and may be done twice is asked for again so soon [s].
_AGAIN_S = 0.5


def state_of(caller: Caller, name: str) -> Script:
    """Return the lifecycle state of a node, ``'inactive'``."""
    response = yield from caller.call(GetState, f'{name}/get_state', GetState.Request(),
                                      _AGAIN_S)
    return response.current_state.label


def bring(caller: Caller, name: str, target: str) -> Script:
    """
    Bring one managed node into a primary state, from whichever it is in.

    :raises GraphError: if it refuses a transition.
    """
    state = yield from state_of(caller, name)
    for step in steps(state, target):
        if not (yield from either(_changed(caller, name, step), _noticed(caller, name, step))):
            raise GraphError(f'{name} refused to {step.name}; its log says why')


def _changed(caller: Caller, name: str, step: Step) -> Script:
    """Make a transition; return whether it was made."""
    request = ChangeState.Request()
    request.transition.id = _TRANSITIONS[step.name]
    response = yield from caller.call(ChangeState, f'{name}/change_state', request)
    # A first try may have been carried out and its answer lost; the second is refused.
    return response.success or (yield from state_of(caller, name)) == step.reached


def _noticed(caller: Caller, name: str, step: Step) -> Script:
    """Look whether a transition was made whose answer was lost; a transition may take long."""
    reached = False
    while not reached:
        yield from pause(_AGAIN_S)
        reached = (yield from state_of(caller, name)) == step.reached
    return True


def set_parameters(caller: Caller, name: str, values: Mapping[str, object]) -> Script:
    """
    Set parameters of another node.

    :raises GraphError: naming the parameter and the reason, if refused.
    """
    request = SetParameters.Request()
    request.parameters = [Parameter(key, value=value).to_parameter_msg()
                          for key, value in values.items()]
    response = yield from caller.call(SetParameters, f'{name}/set_parameters', request,
                                      _AGAIN_S)
    for key, result in zip(values, response.results, strict=True):
        if not result.successful:
            raise GraphError(f'{name} refused {key} = {values[key]!r}: {result.reason}')


def trigger(caller: Caller, service: str, *, repeatable: bool = False) -> Script:
    """
    Call a ``std_srvs/Trigger``.

    :param repeatable: whether it may well be done twice, as a reset.
    :raises GraphError: with the answer, if refused.
    """
    response = yield from caller.call(Trigger, service, Trigger.Request(),
                                      _AGAIN_S if repeatable else None)
    if not response.success:
        raise GraphError(f'{service} refused: {response.message}')


def switch(caller: Caller, service: str, value: bool) -> Script:
    """
    Call a ``std_srvs/SetBool``.

    :raises GraphError: with the answer, if refused.
    """
    response = yield from caller.call(SetBool, service, SetBool.Request(data=value), _AGAIN_S)
    if not response.success:
        raise GraphError(f'{service} refused {value}: {response.message}')
