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


"""One process of a verb that needs torch: it hears Ctrl-C through us, and ends with us."""

from collections.abc import Sequence
import signal
import subprocess

from hlai_control.parent.processes import die_with_parent

INTERRUPTED = 130


def watched(command: Sequence[str]) -> int:
    """
    Run a process in a group of its own: Ctrl-C comes here, and is passed on; twice kills.

    :param command: program and arguments.
    :returns: its exit status; 130 after Ctrl-C.
    """
    running, stopped = list[subprocess.Popen[bytes]](), list[int]()

    def stop(number: int, _frame: object) -> None:
        for process in running:  # SIGTERM also ends one that is still importing
            process.send_signal(signal.SIGKILL if stopped else signal.SIGTERM)
        stopped.append(number)

    before = {number: signal.signal(number, stop)
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        running.append(subprocess.Popen(command, process_group=0, preexec_fn=die_with_parent))
        if stopped:
            running[0].terminate()
        status = running[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return INTERRUPTED if stopped else status
