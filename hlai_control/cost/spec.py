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
What a task says about cost, as plain data; torch-free, so that every process may read it.

====================== ===================================== ==================
kind                   value before the weight               unit of x
====================== ===================================== ==================
``angle``              1 - cos(x - goal)                     rad
``quadratic``          (x - goal)^2                          any
``saturating``         1 - exp(-d^2 / (2 width^2))           any; d = x - goal
``barrier``            max(0, abs(x) - limit)^2              any
====================== ===================================== ==================

For an angle, ``saturating`` takes d^2 = 2 (1 - cos(x - goal)), which is
(x - goal)^2 near the goal and the same after any number of turns (the shape
is PILCO's, Deisenroth and Rasmussen 2011).
"""

from dataclasses import dataclass, replace
from math import isfinite

from hlai_control.cost.constraint_spec import ConstraintSpec
from hlai_control.errors import SettingsError

KINDS = ('angle', 'quadratic', 'saturating', 'barrier')


@dataclass(frozen=True)
class TermSpec:
    """
    One term of the cost: ``weight * kind(x)`` of one coordinate.

    :param name: the term's own name, shown in views.
    :param kind: one of ``KINDS``.
    :param coordinate: name of a state coordinate or of an actuator.
    :param weight: cost per control period of one unit of ``kind``, >= 0.
    :param goal: where the term is zero, in the coordinate's unit.
    :param limit: where a barrier begins, in the coordinate's unit.
    :param width: scale of a saturating term, in the coordinate's unit.
    """

    name: str
    kind: str
    coordinate: str
    weight: float
    goal: float = 0.0
    limit: float = 0.0
    width: float = 1.0

    def __post_init__(self) -> None:
        """
        Refuse what could make a cost negative or undefined.

        :raises SettingsError: naming the term, the field and what is valid.
        """
        if self.kind not in KINDS:
            raise SettingsError(
                f'term {self.name!r}: kind {self.kind!r} is not one of {", ".join(KINDS)}')
        for field, low in (('weight', 0.0), ('limit', 0.0), ('goal', None), ('width', 0.0)):
            value = getattr(self, field)
            if not isfinite(value) or (low is not None and value < low):
                valid = 'a finite number' + ('' if low is None else f', at least {low:g}')
                raise SettingsError(f'term {self.name!r}: {field} = {value!r}; valid: {valid}')
        if self.kind == 'saturating' and self.width == 0.0:
            raise SettingsError(f'term {self.name!r}: width = 0; valid: greater than 0')


@dataclass(frozen=True)
class CostSpec:
    """
    The whole cost of one task.

    :param task: the task's name.
    :param discount: weight of the next control period's cost, 0 .. 1.
    :param terms: the terms, each with its own name.
    :param constraints: what plans must keep to, each with its own name.
    """

    task: str
    discount: float
    terms: tuple[TermSpec, ...]
    constraints: tuple[ConstraintSpec, ...] = ()

    def __post_init__(self) -> None:
        """
        Refuse an empty or ambiguous cost.

        :raises SettingsError: naming the task, what was found and what is valid.
        """
        if not 0.0 <= self.discount <= 1.0:
            raise SettingsError(
                f'task {self.task!r}: discount = {self.discount!r}; valid: 0 .. 1')
        names = [term.name for term in self.terms]
        if not names or len(set(names)) < len(names):
            raise SettingsError(
                f'task {self.task!r}: terms named {names}; valid: one or more, each name once')
        names = [constraint.name for constraint in self.constraints]
        if len(set(names)) < len(names):
            raise SettingsError(
                f'task {self.task!r}: constraints named {names}; valid: each name once')


def strided(spec: CostSpec, stride: int) -> CostSpec:
    """
    Return the cost of steps that last several control periods.

    :param stride: control periods per step.
    """
    if stride == 1:
        return spec
    return replace(spec, discount=spec.discount ** stride, terms=tuple(
        replace(term, weight=stride * term.weight) for term in spec.terms))
