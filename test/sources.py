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

"""Which files the tests of the repository itself look at."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'hlai_control'
BUILT = ('build', 'install', 'log', 'runs', 'dist', '__pycache__')


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Yield every file that is written by hand, sorted."""
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith('.') and path.name not in ('.ci', '.gitignore')
        if hidden or path.name in BUILT or path.name.endswith('.egg-info'):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def python_files(folder: Path = ROOT) -> list[Path]:
    """List every Python file that is written by hand."""
    return [path for path in files(folder) if path.suffix == '.py']


def tree(path: Path) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(path.read_text(encoding='utf-8'), str(path))


def imports(path: Path) -> set[str]:
    """
    List the modules that a file imports, at the top or inside functions.

    :returns: dotted names; ``from a import b`` gives both ``a`` and ``a.b``.
    """
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def relative(path: Path) -> str:
    """Return a path as messages should name it."""
    return str(path.relative_to(ROOT))
