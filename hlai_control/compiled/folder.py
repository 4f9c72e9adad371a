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

"""Where compiled code is kept between two starts; numba itself is not needed to know."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
import tempfile

VARIABLE = 'NUMBA_CACHE_DIR'


def places(environment: Mapping[str, str]) -> list[Path]:
    """
    Name the folders that may serve, in this order.

    What the variable names serves or nothing does; without it, a folder beside
    the code, then one of the user's.

    :param environment: environment variables.
    """
    if named := environment.get(VARIABLE):
        folders = [Path(named)]
    else:
        folders = [Path(__file__).parent / '__pycache__']
        cache = environment.get('XDG_CACHE_HOME', '')
        if home := environment.get('HOME'):
            cache = cache or f'{home}/.cache'
        if cache:
            folders.append(Path(cache) / 'hlai_control')
    return [folder.absolute() / ours() for folder in folders]


def ours() -> str:
    """
    Name the folder for this version of numba and of the loops.

    Numba throws away what another version of it has compiled, and sees a change only in
    the file of the function that is called, not in the parts that are laid into it.
    """
    digest = sha256(b''.join(path.read_bytes()
                             for path in sorted(Path(__file__).parent.glob('*.py'))))
    return f'numba-{version("numba")}-{digest.hexdigest()[:8]}'


def folder(environment: Mapping[str, str]) -> Path | None:
    """
    Find the first of the places that can be written, by writing there.

    :param environment: environment variables.
    :returns: None if there is none: then each start compiles anew.
    """
    for place in places(environment):
        try:
            place.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place).close()
        except OSError:
            continue
        return place
    return None
