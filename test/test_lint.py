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
House rules that no linter knows.

``make lint`` runs ruff, and flake8 with pydocstyle under ament's rules.
"""

import ast
from pathlib import Path
import re

from sources import files, python_files, relative, ROOT, tree

MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
# As ament_copyright asks for it.
HEADER = re.compile(r"""# Copyright 20\d\d hlai_control contributors
#
# Licensed under the Apache License, Version 2\.0 \(the "License"\);
# you may not use this file except in compliance with the License\.
# You may obtain a copy of the License at
#
#     http://www\.apache\.org/licenses/LICENSE-2\.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied\.
# See the License for the specific language governing permissions and
# limitations under the License\.

""")
BANNED_NAMES = ('utils.py', 'helpers.py', 'misc.py', 'common.py')
CLAIMS = ('raises', 'assert_close', 'assert_allclose')
BANNED_IN_TESTS = ('skip', 'skipif', 'skipIf', 'skipTest', 'xfail', 'importorskip', 'mock',
                   'Mock', 'MagicMock')
TEXT = ('.py', '.md', '.xml', '.yaml', '.urdf', '.toml', '.cfg', '.txt', '.html', '.js', '.css',
        '.rviz', '')


def text_files() -> list[Path]:
    return [path for path in files() if path.suffix in TEXT and path.name != 'LICENSE']


def test_every_python_file_has_the_licence_header() -> None:
    wrong = [relative(path) for path in python_files()
             if not HEADER.match(path.read_text(encoding='utf-8'))]
    assert wrong == [], 'copy the header of hlai_control/errors.py to these files'


def test_no_trailing_whitespace_and_one_newline_at_the_end() -> None:
    wrong = []
    for path in text_files():
        text = path.read_text(encoding='utf-8')
        wrong += [f'{relative(path)}:{number}: trailing whitespace'
                  for number, line in enumerate(text.split('\n'), 1) if line != line.rstrip()]
        if text and (not text.endswith('\n') or text.endswith('\n\n')):
            wrong.append(f'{relative(path)}: must end with exactly one newline')
    assert wrong == []


def test_files_are_short() -> None:
    lengths = {relative(path): len(path.read_text(encoding='utf-8').splitlines())
               for path in python_files()}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = []
    for path in python_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f'{relative(path)}:{node.lineno}: {node.name}: {lines} lines')
    assert long == []


def code_lines(path: Path) -> int:
    """Count lines that are no comment, no docstring and not empty."""
    told = {number for node in ast.walk(tree(path))
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body
            and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
            for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)}
    lines = path.read_text(encoding='utf-8').splitlines()
    return sum(1 for number, line in enumerate(lines, 1)
               if number not in told and line.strip() and not line.strip().startswith('#'))


def test_the_guard_is_small_enough_to_be_read() -> None:
    room = ROOT / 'hlai_control' / 'robots'
    assert code_lines(room / 'guard_node.py') < 200 and code_lines(room / 'guard.py') < 200


def test_no_catch_all_modules() -> None:
    assert [relative(path) for path in python_files() if path.name in BANNED_NAMES] == []


def claims(test: ast.AST) -> bool:
    """Tell whether a test asserts something or expects an error."""
    return any(isinstance(node, ast.Assert)
               or isinstance(node, ast.Attribute) and node.attr in CLAIMS
               for node in ast.walk(test))


def test_every_test_claims_something() -> None:
    assert [f'{relative(path)}:{node.lineno}' for path in python_files(ROOT / 'test')
            for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)
            and node.name.startswith('test_') and not claims(node)] == []


def test_no_test_is_skipped_or_leans_on_mocks() -> None:
    found = []
    for path in python_files():
        for node in ast.walk(tree(path)):
            names = ()
            if isinstance(node, ast.Attribute):
                names = (node.attr,)
            elif isinstance(node, ast.ImportFrom | ast.Import):
                names = tuple(part for alias in node.names for part in alias.name.split('.'))
            found += [f'{relative(path)}:{node.lineno}: {name}'
                      for name in names if name in BANNED_IN_TESTS]
    assert found == []
