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

"""What is installed, and what the package says about itself."""

from collections.abc import Iterator
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree
import zipfile

import pytest
from setuptools.dist import Distribution
from sources import BUILT, files, imports, PACKAGE, python_files, relative, ROOT

from hlai_control import __version__
from hlai_control.graph import NODES

NAME = 'hlai_control'
# The order in which package_format3.xsd wants the groups.
ORDER = ('name', 'version', 'description', 'maintainer', 'license', 'url', 'author',
         'depend', 'exec_depend', 'test_depend', 'export')
# Python package -> what setup.py calls it, where that differs.
DISTRIBUTIONS = {'yaml': 'PyYAML', 'pybullet_data': 'pybullet'}
# Python package -> rosdep key, where there is one.
ROSDEP_KEYS = {'numpy': 'python3-numpy', 'yaml': 'python3-yaml'}


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """Return what setup.py says, without doing it."""
    from distutils.core import run_setup
    monkeypatch.chdir(ROOT)
    return run_setup('setup.py', stop_after='init')


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build a source archive of a copy, and a wheel of that."""
    folder = tmp_path_factory.mktemp('build')
    ignored = shutil.ignore_patterns('.*', '*.egg-info', 'test', *BUILT)
    shutil.copytree(ROOT, folder / 'copy', ignore=ignored)
    run([sys.executable, 'setup.py', '-q', 'sdist', '-d', str(folder)], folder / 'copy')
    archive = next(folder.glob('*.tar.gz'))
    run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-index',
         '--no-build-isolation', '--wheel-dir', str(folder), str(archive)], folder)
    return zipfile.ZipFile(next(folder.glob('*.whl')))


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def package_xml() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def declared_in_package_xml() -> set[str]:
    return {item.text or '' for kind in ('depend', 'exec_depend')
            for item in package_xml().findall(kind)}


def third_party() -> Iterator[tuple[str, str]]:
    """Yield (file, package) for each foreign package that the installed files import."""
    for path in [*python_files(PACKAGE), *python_files(ROOT / 'launch')]:
        for top in sorted({name.split('.')[0] for name in imports(path)}):
            if top not in sys.stdlib_module_names and top != NAME:
                yield relative(path), top


def is_ros(top: str) -> bool:
    return (top in ('rclpy', 'launch', 'launch_ros', 'ament_index_python')
            or top.endswith(('_msgs', '_interfaces', '_srvs')))


def for_benchmarks(described: Distribution) -> set[str]:
    """Name what only ``hlai bench`` and plots import: other packages' planners, matplotlib."""
    lines = (ROOT / 'benchmark' / 'requirements.txt').read_text(encoding='utf-8').splitlines()
    listed = [line for line in lines if line and not line.startswith('#')]
    assert all(re.fullmatch(r'[\w.-]+==[\w.]+', line) for line in listed)
    return {requirement_name(item) for item in (*listed, *described.extras_require['plot'])}


def requirement_name(requirement: str) -> str:
    match = re.match(r'[A-Za-z0-9._-]+', requirement)
    assert match
    return match.group().lower().replace('_', '-')


def data() -> list[Path]:
    return [path for top in ('config', 'launch') for path in files(ROOT / top)]


def test_one_version(described: Distribution) -> None:
    changelog = (ROOT / 'CHANGELOG.md').read_text(encoding='utf-8')
    released = re.search(r'^## \[(\d+\.\d+\.\d+)\]', changelog, re.MULTILINE)
    assert released, 'CHANGELOG.md has no heading "## [1.2.3]"'
    assert (__version__ == described.get_version() == package_xml().findtext('version')
            == released.group(1))


def test_package_xml_is_valid() -> None:
    # colcon takes a package with an invalid one for plain Python, without a word.
    root = package_xml()
    assert (root.tag, root.get('format')) == ('package', '3')
    order = [ORDER.index(child.tag) for child in root]
    assert order == sorted(order)
    assert root.findtext('name') == NAME
    assert root.findtext('export/build_type') == 'ament_python'
    for maintainer in root.findall('maintainer'):
        assert re.fullmatch(r'[\w.+-]+@[\w-]+(\.[\w-]+)+', maintainer.get('email', ''))
    for url in root.findall('url'):
        assert url.get('type') in ('website', 'repository', 'bugtracker')
    depends = [item.text for item in root if item.tag.endswith('depend')]
    assert len(depends) == len(set(depends)) and None not in depends


def test_package_xml_and_setup_say_the_same(described: Distribution) -> None:
    root = package_xml()
    assert described.get_license() == root.findtext('license') == 'Apache-2.0'
    assert described.get_maintainer() == root.findtext('maintainer')
    maintainer = root.find('maintainer')
    assert maintainer is not None
    assert described.get_maintainer_email() == maintainer.get('email')


def test_whatever_is_imported_is_declared(described: Distribution) -> None:
    required = {requirement_name(item) for item in described.install_requires}
    missing = set()
    for path, top in third_party():
        if is_ros(top) or top in ROSDEP_KEYS:
            if ROSDEP_KEYS.get(top, top) not in declared_in_package_xml():
                missing.add(f'package.xml: {top}, which {path} imports')
        peers = '/bench/' in path or '/paradigms/' in path or path.endswith('plot.py')
        valid = required | (for_benchmarks(described) if peers else set())
        if not is_ros(top) and requirement_name(DISTRIBUTIONS.get(top, top)) not in valid:
            missing.add(f'setup.py: {top}, which {path} imports')
    assert missing == set()


def test_every_requirement_is_pinned(described: Distribution) -> None:
    lines = (ROOT / 'constraints.txt').read_text(encoding='utf-8').splitlines()
    pins = [line for line in lines if line and not line.startswith('#')]
    assert all(re.fullmatch(r'[\w.-]+==[\w.]+', pin) for pin in pins)
    extras = [item for extra in described.extras_require.values() for item in extra]
    wanted = {requirement_name(item) for item in [*described.install_requires, *extras]}
    assert wanted - {requirement_name(pin) for pin in pins} == set()


def test_data_files_exist_and_none_is_forgotten(described: Distribution) -> None:
    listed: dict[str, list[str]] = dict(described.data_files)
    installed = {(folder, file) for folder, names in listed.items() for file in names}
    assert all((ROOT / file).is_file() for _, file in installed)
    wanted = {(f'share/{NAME}/{relative(path.parent)}', relative(path)) for path in data()}
    wanted |= {(f'share/{NAME}', 'package.xml'),
               ('share/ament_index/resource_index/packages', f'resource/{NAME}')}
    assert installed == wanted


def test_every_node_of_the_graph_is_a_console_script(described: Distribution) -> None:
    scripts: Any = described.entry_points
    named = dict(line.split(' = ') for line in scripts['console_scripts'])
    assert named == {'hlai': f'{NAME}.cli:main',
                     **{spec.name: f'{spec.module}:main' for spec in NODES}}


def test_a_wheel_holds_every_module_and_all_data(wheel: zipfile.ZipFile) -> None:
    held = set(wheel.namelist())
    share = f'{NAME}-{__version__}.data/data/share/{NAME}'
    wanted = {relative(path) for path in files(PACKAGE)}
    wanted |= {f'{share}/{relative(path)}' for path in data()}
    assert wanted - held == set()
    assert not any(name.startswith(('test/', 'benchmark/', 'docs/')) for name in held)


def test_a_wheel_works_where_it_is_unpacked(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Data is found beside an installed copy, far from the checkout."""
    schemes = {'purelib': tmp_path / 'lib' / 'python' / 'site-packages', 'data': tmp_path}
    wheel.extractall(schemes['purelib'])
    shutil.copytree(schemes['purelib'] / f'{NAME}-{__version__}.data' / 'data', tmp_path,
                    dirs_exist_ok=True)
    script = ('from hlai_control.resources import robot_path\n'
              'print(robot_path("cartpole"))\n')
    done = subprocess.run([sys.executable, '-P', '-c', script], cwd=tmp_path, check=True,
                          capture_output=True, text=True,
                          env={'PYTHONPATH': str(schemes['purelib'])})
    assert Path(done.stdout.strip()) == (
        tmp_path / 'share' / NAME / 'config' / 'robots' / 'cartpole.yaml')
