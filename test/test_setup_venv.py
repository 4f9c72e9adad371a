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
The set-up script names the remedy, and does nothing when nothing changed.

It runs in a small checkout with a PATH of its own. The Pythons and the pip
found there are stand-ins that answer as broken installations do.
"""

from collections.abc import Callable
from pathlib import Path
import shutil
import subprocess

import pytest
from sources import ROOT

TOOLS = ('awk', 'bash', 'cat', 'chmod', 'cksum', 'dirname', 'env', 'flock', 'grep', 'head',
         'mkdir', 'rm', 'tail', 'touch', 'uname')
FITS = 'case "$2" in *"<= sys.version_info"*) exit 0 ;; esac\n'
# A Python whose venv is a copy of itself and whose pip says what PIP_SAYS holds.
WORKING = """\
case "$*" in
    *'-m venv '*) mkdir -p "$3/bin"; cat "$0" >"$3/bin/python"
                  printf '#!%s/bin/python\\n' "$3" >"$3/bin/pip"; chmod +x "$3/bin/python" ;;
    *'-m pip install'*) echo "$*" >>"$CALLS"
                        [ -z "$PIP_SAYS" ] || { echo "$PIP_SAYS"; exit 1; } ;;
esac
"""


class Checkout:
    """
    A copy of what the script needs.

    :param folder: where to put it.
    """

    def __init__(self, folder: Path) -> None:
        """Copy the files, and make a PATH with the tools but no Python."""
        self.root = folder / 'a checkout'
        self.bin = folder / 'bin'
        self.calls = folder / 'calls'
        (self.root / 'scripts').mkdir(parents=True)
        self.bin.mkdir()
        for name in ('constraints.txt', 'setup.py', 'setup.cfg', 'scripts/setup_venv'):
            shutil.copy(ROOT / name, self.root / name)
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.free(megabytes=9000)

    def program(self, name: str, text: str) -> None:
        """Put a shell script on the PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/bash\n{text}', encoding='utf-8')
        path.chmod(0o755)

    def free(self, megabytes: int) -> None:
        """Let the disk have so much room."""
        self.program('df', f'printf "head\\nd 0 0 {megabytes * 1024} 0 /\\n"\n')

    def set_up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        fixed = {'PATH': str(self.bin), 'CALLS': str(self.calls), 'PIP_SAYS': ''}
        return subprocess.run([self.root / 'scripts' / 'setup_venv'], text=True, check=False,
                              env={**fixed, **environment}, capture_output=True)

    def installs(self) -> int:
        """Count the times that pip was asked to install."""
        return len(self.calls.read_text(encoding='utf-8').splitlines())


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def made(checkout: Checkout) -> Checkout:
    """Return a checkout with a finished .venv."""
    checkout.program('python3.12', FITS + WORKING)
    done = checkout.set_up()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, '[setup] ready'), done.stderr
    return checkout


def refused(done: subprocess.CompletedProcess[str], *words: str) -> bool:
    return done.returncode == 1 and all(word in done.stderr for word in words)


def test_no_python(checkout: Checkout) -> None:
    assert refused(checkout.set_up(), 'No Python 3.11, 3.12 or 3.13 was found',
                   'apt install python3.12 python3.12-venv', 'HLAI_PYTHON=')


def test_a_python_that_does_not_fit_is_passed_over(checkout: Checkout) -> None:
    checkout.program('python3.11', 'exit 127\n')
    checkout.program('python3', 'exit 1\n')
    assert refused(checkout.set_up(), 'No Python 3.11, 3.12 or 3.13 was found')


def test_no_venv_module(checkout: Checkout) -> None:
    checkout.program('python3', FITS + 'case "$2" in *print*) echo 3.13 ;; *) exit 1 ;; esac\n')
    assert refused(checkout.set_up(), 'venv module is missing', 'apt install python3.13-venv')


def test_no_disk(checkout: Checkout) -> None:
    checkout.free(megabytes=2048)
    assert refused(checkout.set_up(), 'has 2048 MB free, and .venv needs 3 GB')


@pytest.mark.parametrize('said, remedy', [
    ('NewConnectionError: failed', 'package index was not reached'),
    ('OSError: [Errno 28] No space left on device', 'The disk is full'),
    ('ERROR: No matching distribution found for torch', 'try another Python'),
    ("error: command '/usr/bin/g++' failed: No such file", 'apt install g++ python3-dev'),
    ('error: something new', '.venv/setup.log'),
])
def test_pip_fails(checkout: Checkout, said: str, remedy: str) -> None:
    checkout.program('python3.12', FITS + WORKING)
    assert refused(checkout.set_up(PIP_SAYS=said), said, remedy)
    again = checkout.set_up()
    assert again.returncode == 0 and 'cut short' in again.stdout


def test_nothing_to_do_the_second_time(made: Checkout) -> None:
    installs = made.installs()
    done = made.set_up()
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert made.installs() == installs


@pytest.mark.parametrize('change', [
    pytest.param(lambda root: (root / 'constraints.txt').write_text('numpy==1.26.4\n'),
                 id='other versions'),
    pytest.param(lambda root: (root / '.venv' / 'unfinished').touch(), id='cut short'),
    pytest.param(lambda root: (root / '.venv' / 'bin' / 'python').unlink(), id='Python gone'),
])
def test_it_is_made_again_after(made: Checkout, change: Callable[[Path], object]) -> None:
    installs = made.installs()
    change(made.root)
    assert made.set_up().returncode == 0
    assert made.installs() > installs


def test_a_moved_checkout_gets_a_new_venv(made: Checkout) -> None:
    made.root = made.root.rename(made.root.with_name('elsewhere'))
    done = made.set_up()
    assert done.returncode == 0 and 'making .venv' in done.stdout


def test_no_cuda_without_a_gpu(checkout: Checkout) -> None:
    report = '*--dry-run*) echo \'"name": "nvidia-cublas"\'; exit ;; '
    checkout.program('python3.12', FITS + WORKING.replace('case "$*" in\n',
                                                          f'case "$*" in {report}\n'))
    checkout.program('uname', 'echo Linux\n')
    assert checkout.set_up().returncode == 0
    torch = [line for line in checkout.calls.read_text().splitlines() if line.endswith(' torch')]
    gpu = Path('/proc/driver/nvidia/version').exists()
    assert [('/whl/cpu' in line) for line in torch] == [not gpu]
