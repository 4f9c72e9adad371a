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


"""``hlai init-robot``: a first manifest and task from a URDF, with the questions left."""

from collections.abc import Sequence
import os
from pathlib import Path

from rich.console import Console

from hlai_control.errors import UsageError
from hlai_control.parent.arguments import split
from hlai_control.robots.drafting import draft, INTERFACES
from hlai_control.robots.manifest import load_robot

KEYS = ('urdf', 'out', 'name', 'interface', 'rate_hz')
USAGE = ('hlai init-robot urdf:=FILE out:=my_robot.yaml name:=NAME '
         'interface:=velocity|effort|position rate_hz:=20')


def init_robot(arguments: Sequence[str]) -> int:
    """
    Run ``hlai init-robot``.

    :returns: the exit status.
    :raises HlaiError: if the URDF cannot be used, or a file is there already.
    """
    own, rooms = split(arguments, KEYS)
    if rooms or not own.get('urdf'):
        raise UsageError(f'hlai init-robot takes no settings; valid: {USAGE}')
    urdf = Path(own['urdf'])
    out = Path(own.get('out') or f'{urdf.stem}.yaml')
    task = out.with_name(f'{out.stem}_pose.yaml')
    for path in (out, task):
        if path.exists():
            raise UsageError(f'{path} exists; valid: another out:=FILE, or delete it first')
    interface = own.get('interface', INTERFACES[0])
    if interface not in INTERFACES:
        raise UsageError(f'interface:={interface}; valid: {", ".join(INTERFACES)}')
    link = os.path.relpath(urdf.resolve(), out.resolve().parent)
    made = draft(urdf, own.get('name', ''), interface, _rate_hz(own.get('rate_hz', '20')), link)
    out.write_text(made.manifest, encoding='utf-8')
    task.write_text(made.task, encoding='utf-8')
    load_robot(str(out))  # what is written can be read
    say = Console(highlight=False, soft_wrap=True, markup=False).print
    say(f'{out} and {task} are written.')
    for line in made.left_out:
        say(f'Left out: joint {line}.')
    say(f'{len(made.questions)} questions are marked in them:')
    for question in made.questions:
        say(f'  - {question}')
    say(f'Try it, simulated: hlai up robot:={out} task:={task}')
    return 0


def _rate_hz(text: str) -> float:
    try:
        rate_hz = float(text)
    except ValueError:
        rate_hz = 0.0
    if not 0.1 <= rate_hz <= 1000.0:
        raise UsageError(f'rate_hz:={text}; valid: a number from 0.1 to 1000')
    return rate_hz
