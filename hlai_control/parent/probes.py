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
What ``hlai doctor`` has a child process find out about torch and priorities.

``python -m hlai_control.parent.probes torch|priorities`` writes JSON. Nothing
imports this module for its functions: torch is loaded inside them, so that
the process parent stays free of it.
"""

import json
import os
import sys
import time

SIZE = 256
ROUNDS = 20


def torch_facts() -> None:
    """Tell of torch: version, speed of one thread, and whether it sees a GPU."""
    began_s = time.monotonic()
    import torch
    _tell(torch=torch.__version__, torch_file=torch.__file__,
          import_s=time.monotonic() - began_s, threads=torch.get_num_threads(),
          cuda_build=torch.version.cuda)
    torch.set_num_threads(1)
    ones = torch.ones(SIZE, SIZE)
    took_s = []
    for _ in range(ROUNDS):
        before_s = time.perf_counter()
        product = ones @ ones
        took_s.append(time.perf_counter() - before_s)
    _tell(product=float(product.mean()), gflops=2.0 * SIZE ** 3 / min(took_s) / 1e9)
    available = torch.cuda.is_available()
    _tell(cuda=available, gpus=[torch.cuda.get_device_name(i)
                                for i in range(torch.cuda.device_count())] if available else [])


def priorities() -> None:
    """Tell which priorities this user may give: first up, for down is for good."""
    _tell(raised=_raised())
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError as error:
        _tell(idle=False, reason=error.strerror)
    else:
        _tell(idle=True)


def _raised() -> str:
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        return 'SCHED_RR'
    except OSError:
        pass
    try:
        return f'nice {os.nice(-10 - os.nice(0))}'
    except OSError:
        return ''


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + '\n')
    sys.stdout.flush()


if __name__ == '__main__':
    {'torch': torch_facts, 'priorities': priorities}[sys.argv[1]]()
