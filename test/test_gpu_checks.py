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

"""The command for GPUs runs to its end on a CPU, so that it does where a GPU is lent."""

import json
from pathlib import Path
import subprocess
import sys

CHECKS = Path(__file__).parent.parent / 'benchmark' / 'gpu_checks.py'


def test_all_checks_run_and_hold_on_a_cpu(tmp_path):
    done = subprocess.run([sys.executable, str(CHECKS), '--device', 'cpu', '--plans', '3',
                           '--out', str(tmp_path)],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6 + 6 + 1 + 1 + 3 + 2 + 6 + 3
    assert all(line.startswith('PASS') for line in lines)
    # What a CPU cannot show is said not to be shown; peers are there only after make bench-setup.
    absent = sum('not compared' in line for line in lines)
    assert sum('not judged' in line for line in lines) == 2 + 6 + 3 - absent
    kept = json.loads((tmp_path / 'gpu_checks.json').read_text(encoding='utf-8'))
    assert [f'PASS {check["text"]}' for check in kept['checks']] == lines
    assert [check['facts']['candidates'] for check in kept['checks']
            if 'products_ms' in check['facts']] == [64, 128]
    assert (tmp_path / 'gpu_scaling.png').stat().st_size > 1000
