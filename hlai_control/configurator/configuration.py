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

"""The configuration that the configurator publishes, as JSON on a latched topic."""

from dataclasses import asdict, dataclass, fields
import json

from hlai_control.errors import SettingsError, SignalError
from hlai_control.settings import ConfiguratorSettings

RUN, EXPLORE, REACTIVE, HOLD = 'run', 'explore', 'reactive', 'hold'
MODES = (RUN, EXPLORE, REACTIVE, HOLD)
# In the run's folder: the newest one.
CONFIGURATION_FILE = 'configuration.json'


@dataclass(frozen=True)
class Configuration:
    """
    What the one engine is set up for.

    :param version: counts up from 1.
    :param from_ns: stamp of the first tick that it is meant for [ns].
    :param task: name or path of the task.
    :param mode: ``run``: plan, as soon as there is a world model to plan with;
        ``explore``: seek what teaches the world model, at random while there is
        none; ``reactive``: the policy's answer, without planning, as soon as
        there is a policy; ``hold``: the safe command only.
    :param planner: name of the planner; empty: the actor's own setting.
    :param horizon: planning horizon [planning steps]; 0: the actor's own setting.
    :param iterations: refinements per plan; 0: the actor's own setting.
    :param reason: why this configuration was chosen, for people.
    """

    version: int
    from_ns: int
    task: str
    mode: str
    planner: str
    horizon: int
    iterations: int
    reason: str

    def to_json(self) -> str:
        """Return the text that travels."""
        return json.dumps(asdict(self))


def from_json(text: str) -> Configuration:
    """
    Read a configuration.

    :raises SignalError: if a field is missing, unknown, of another type or
        out of range, or the mode is not a valid one.
    """
    try:
        values = json.loads(text)
        configuration = Configuration(**values)
    except (ValueError, TypeError, RecursionError) as error:
        raise SignalError(f'not a configuration: {error}') from None
    for item in fields(Configuration):
        value = values[item.name]
        if type(value) is not item.type:
            raise SignalError(f'configuration.{item.name} is {value!r}; '
                              f'valid: of type {getattr(item.type, "__name__", item.type)}')
    if configuration.mode not in MODES:
        raise SignalError(f'configuration.mode is {configuration.mode!r}; '
                          f'valid: {", ".join(MODES)}')
    try:
        ConfiguratorSettings(planner=configuration.planner, horizon=configuration.horizon,
                             iterations=configuration.iterations)
    except SettingsError as error:
        raise SignalError(f'not a configuration: {error}') from None
    return configuration
