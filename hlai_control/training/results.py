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


"""What a training leaves in its folder; every file is written whole or not at all."""

from dataclasses import asdict, dataclass
import json
from math import isfinite
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
import torch

from hlai_control.errors import UsageError
from hlai_control.files import write_atomic
from hlai_control.layout import Layout
from hlai_control.learning.artefact import Artefact, encode, Provenance
from hlai_control.learning.journal import Journal
from hlai_control.learning.pairing import Joined
from hlai_control.recordings.account import Account
from hlai_control.training.course import Course
from hlai_control.training.curves_plot import plot

MODEL, CURVES, PICTURE = 'world_model.safetensors', 'curves.json', 'curves.png'
JOURNAL, CHECKPOINT = 'transitions.journal', 'checkpoint.safetensors'
# The run that begins with it goes on from here; every version of its own is newer.
VERSION = 1


@dataclass(frozen=True)
class Identity:
    """
    What an interrupted training must have in common with the one that goes on.

    :param robot: name of the robot.
    :param digest: of the transitions.
    :param seed: of weights and batches.
    :param settings: of the world model, as text.
    """

    robot: str
    digest: str
    seed: int
    settings: str

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)


class Folder:
    """
    The folder of one training.

    :param path: made if it does not exist.
    :param identity: of this training.
    :param layout: the robot.
    """

    def __init__(self, path: Path, identity: Identity, layout: Layout) -> None:
        """Make the folder."""
        path.mkdir(parents=True, exist_ok=True)
        self.path, self._identity, self._layout = path, identity, layout

    def resume(self, course: Course) -> bool:
        """
        Go on from the checkpoint, if there is one.

        :returns: whether there was one.
        :raises UsageError: if it belongs to another training.
        """
        path = self.path / CHECKPOINT
        if not path.exists():
            return False
        try:
            tensors = load(path.read_bytes())
            text = bytes(tensors.pop('identity').tolist()).decode()
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise UsageError(f'{path} cannot be read ({type(error).__name__}); choose another '
                             'out:=, or delete it') from error
        if text != self._identity.text():
            found, valid = json.loads(text), asdict(self._identity)
            field = next(key for key in valid if found.get(key) != valid[key])
            raise UsageError(f'out:={self.path} holds another training: its {field} is '
                             f'{found.get(field)!r}, not {valid[field]!r}; choose another out:=, '
                             'or delete it')
        course.resume(tensors)
        return True

    def keep_transitions(self, transitions: tuple[Joined, ...]) -> None:
        """Write what was learned from, so that a robot's learner goes on from all of it."""
        scratch = self.path / f'.{JOURNAL}'
        scratch.unlink(missing_ok=True)
        journal = Journal(scratch, self._layout)
        for joined in transitions:
            journal.append(joined)
        journal.close()
        scratch.replace(self.path / JOURNAL)

    def keep(self, course: Course, account: Account) -> None:
        """Write the best world model so far, the curves, and where to go on."""
        best = course.best
        told = Provenance(self._identity.digest, account.transitions, (
            ('validation_loss', best.held_out), ('validation_error', best.error),
            ('epoch', float(best.number)),
            *((f'validation_error {name}', value)
              for name, value in zip(self._layout.states, best.each, strict=True))))
        write_atomic(self.path / MODEL, encode(
            Artefact('world_model', VERSION, course.best_tensors, told), self._layout))
        text = list(self._identity.text().encode())
        write_atomic(self.path / CHECKPOINT, save(
            course.progress() | {'identity': torch.tensor(text, dtype=torch.uint8)}))

    def keep_curves(self, course: Course, account: Account) -> None:
        """Write the curves as JSON and as a picture."""
        epochs = [asdict(one) | {'loss': one.loss if isfinite(one.loss) else None}
                  for one in course.epochs]
        write_atomic(self.path / CURVES, (json.dumps({
            'identity': asdict(self._identity), 'recording': asdict(account),
            'states': self._layout.states, 'best': asdict(course.best) | {
                'loss': course.best.loss if isfinite(course.best.loss) else None},
            'epochs': epochs}, indent=1) + '\n').encode())
        plot(course.epochs, course.best, self._layout.states, self.path / PICTURE)
