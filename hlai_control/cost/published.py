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

"""The cost specification that the cost node publishes, as JSON on a latched topic."""

from dataclasses import asdict, dataclass
import json

from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.cost.spec import CostSpec, TermSpec
from hlai_control.errors import SettingsError, SignalError


@dataclass(frozen=True)
class PublishedCost:
    """
    A cost specification, and from when on it counts.

    :param version: counts up from 1.
    :param from_ns: stamp of the first tick that it is meant for [ns].
    :param spec: the task's terms.
    """

    version: int
    from_ns: int
    spec: CostSpec

    def to_json(self) -> str:
        """Return the text that travels."""
        return json.dumps(asdict(self))


def from_json(text: str) -> PublishedCost:
    """
    Read a published cost.

    :raises SignalError: if the text is not one, or its values are invalid.
    """
    try:
        values = json.loads(text)
        spec = values['spec']
        terms = tuple(TermSpec(**term) for term in spec['terms'])
        constraints = tuple(ConstraintSpec(**{
            **item, 'coordinates': tuple(item['coordinates']), 'centre': tuple(item['centre'])})
            for item in spec['constraints'])
        _check_types(values, spec, terms, constraints)
        return PublishedCost(values['version'], values['from_ns'], CostSpec(
            spec['task'], float(spec['discount']), terms, constraints))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError,
            SettingsError) as error:
        raise SignalError(f'not a cost specification: {error}') from None


def _check_types(values: dict[str, object], spec: dict[str, object],
                 terms: tuple[TermSpec, ...], constraints: tuple[ConstraintSpec, ...]) -> None:
    """
    Check what the specifications themselves do not look at.

    :raises TypeError: naming what has another type.
    """
    texts = (spec['task'], *(text for term in terms for text in (term.name, term.coordinate)),
             *(text for one in constraints for text in (one.name, *one.coordinates)))
    for kind, values_of_kind in ((str, texts), (int, (values['version'], values['from_ns']))):
        for value in values_of_kind:
            if type(value) is not kind:
                raise TypeError(f'{value!r} is not of type {kind.__name__}')
