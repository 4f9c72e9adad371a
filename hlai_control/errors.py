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
One error root: whatever the project raises on purpose is an HlaiError.

Messages are for people: what was found, what is valid, and what to do.
"""


class HlaiError(Exception):
    """Root of every error that this package raises on purpose."""


class UsageError(HlaiError):
    """An argument, robot or task name is not one of the valid ones."""


class DocumentError(HlaiError):
    """
    A YAML document (robot manifest or task) is wrong.

    :param path: the file as the user named it.
    :param line: one-based line of the offending value.
    :param field: dotted path of the field, ``coordinates[1].limits``.
    :param found: what stands there.
    :param valid: what would be accepted.
    """

    def __init__(self, path: str, line: int, field: str, found: str, valid: str) -> None:
        """Keep each part, so that tools can point at the place."""
        super().__init__(f'{path}:{line}: {field}: found {found}; valid: {valid}')
        self.path = path
        self.line = line
        self.field = field
        self.found = found
        self.valid = valid


class SettingsError(HlaiError):
    """A setting lies outside its range."""


class ShapeError(HlaiError):
    """A tensor has other axes than its contract states."""


class ArtefactError(HlaiError):
    """A function artefact is damaged, or belongs to another robot or task."""


class RecordingError(HlaiError):
    """A recording cannot be read, or holds nothing to learn from."""


class SignalError(HlaiError):
    """A message cannot be used; the text is the reason counted in diagnostics."""


class PlanError(HlaiError):
    """No finite plan exists; the actor then holds the safe command."""


class InterruptedByUser(HlaiError):
    """Ctrl-C, or another request to end, was seen while waiting."""


class GraphError(HlaiError):
    """The graph of nodes could not be brought up, or a node owes a tick."""
