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

"""The documents say what is: commands, settings, topics, files and refusals."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest
from sources import python_files, relative, ROOT, tree
import yaml

from hlai_control import __version__, graph
from hlai_control.cli import HELP, VERBS
from hlai_control.cost.constraint_spec import CONSTRAINT_KINDS
from hlai_control.cost.spec import KINDS
from hlai_control.cost.task import load_task
from hlai_control.errors import DocumentError
from hlai_control.parent import bench, evaluate, export, init_robot, paradigms, train, up
from hlai_control.parent.arguments import split
from hlai_control.robots.manifest import load_robot
from hlai_control.robots.reasons import Reason
from hlai_control.ros.parameters import Run
from hlai_control.settings import GROUPS

DOCUMENTS = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', ROOT / 'CHANGELOG.md',
             *sorted((ROOT / 'docs').rglob('*.md'))]
KEYS = {'up': up.KEYS, 'eval': evaluate.KEYS, 'train': train.KEYS, 'export': export.KEYS,
        'bench': bench.KEYS, 'init-robot': init_robot.KEYS, 'doctor': (),
        'eval paradigms': paradigms.KEYS, 'eval plot': ('json',)}
FOLDERS = ('.ci', 'benchmark', 'config', 'docs', 'hlai_control', 'launch', 'resource', 'scripts',
           'test')
WORDS = re.compile(r'\S+')


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding='utf-8')


def quoted(document: str) -> Iterator[str]:
    """Yield every line of each code block, and every `code` within the text."""
    inside = False
    for line in document.splitlines():
        if line.lstrip().startswith('```'):
            inside = not inside
        elif inside:
            yield line.partition('#')[0].strip()
        else:
            yield from re.findall(r'`([^`]+)`', line)


def commands(program: str) -> list[tuple[Path, list[str]]]:
    """List the arguments of every mention of a program, in every document."""
    found = []
    for path in DOCUMENTS:
        for code in quoted(path.read_text(encoding='utf-8')):
            words = WORDS.findall(code)
            if words and words[0] == program and len(words) > 1:
                found.append((path, words[1:]))
    return found


def targets() -> set[str]:
    return set(re.findall(r'^([a-z-]+):', text('Makefile'), re.MULTILINE))


def test_every_hlai_command_is_one() -> None:
    found = commands('hlai')
    assert {words[0] for _, words in found} == set(VERBS)
    for path, words in found:
        both = ' '.join(words[:2])
        verb = both if both in KEYS else words[0]
        arguments = words[1 + (both in KEYS or verb == 'bench'):]
        own, rooms = split(arguments, KEYS[verb])  # refuses a key or a setting that is none
        assert not (verb == 'doctor' and arguments), relative(path)
        assert own.get('mode', 'lockstep') in ('lockstep', 'realtime')
        assert own.get('stop_when', 'solved') == 'solved'
        assert len(own) + len(rooms) == len(arguments)


def test_the_help_names_every_key() -> None:
    for verb in KEYS:
        assert re.search(rf'^  {verb}\s', HELP, re.MULTILINE)
        assert all(f'{key}:=' in HELP for key in KEYS[verb] if key != 'json')


def test_every_make_command_is_one() -> None:
    found = commands('make')
    assert len(found) > 5
    for path, words in found:
        wanted = [word for word in words if re.fullmatch(r'[a-z-]+', word)]
        assert wanted and set(wanted) <= targets(), f'{relative(path)}: make {" ".join(words)}'
        for word in words:
            name, _, value = word.partition('=')
            if value:
                assert name in text('Makefile') or name in text('scripts/setup_venv')


def test_every_ros2_command_of_ours_is_one() -> None:
    valid = {'launch': launch_arguments(), 'run': nodes(), 'topic': topics(),
             'param': {f'{node} {name}' for node in nodes() for name in parameters()},
             'service': {f'{node}/{service.removeprefix("~/")}' for node in nodes()
                         for service in services()}}
    seen = set()
    for path, words in commands('ros2'):
        ours = [word.removeprefix('/hlai/') for word in words if word.startswith('/hlai/')]
        if words[0] == 'launch' and len(words) > 1:
            ours = [word.partition(':=')[0] for word in words[3:]]
        elif words[0] == 'run':
            ours = words[2:]
        elif words[0] == 'param' and ours:
            ours = [f'{ours[0]} {words[3]}']
        assert set(ours) <= valid.get(words[0], set()), f'{relative(path)}: {words}'
        seen |= {words[0]} if ours else set()
    assert seen == set(valid)


def launch_arguments() -> set[str]:
    return {ast.literal_eval(item)[0] for node in tree(ROOT / 'launch/hlai.launch.py').body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'ARGUMENTS'
            and isinstance(node.value, ast.Tuple) for item in node.value.elts}


def nodes() -> set[str]:
    return {spec.name for spec in graph.NODES}


def topics() -> set[str]:
    return {spec.name for spec in graph.TOPICS} | {
        value for name, value in vars(graph).items()
        if name.isupper() and isinstance(value, str)}


def services() -> set[str]:
    """Name the services that nodes create, ``~/reset``; the configurator's are a tuple."""
    found = set()
    for path in python_files(ROOT / 'hlai_control'):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if re.fullmatch(r'~/[a-z]+', node.value) and path.name.endswith('node.py'):
                    found.add(node.value)
    module = text('hlai_control/configurator/node.py')
    return found | {f'~/{name}' for name in re.findall(r"\('([a-z]+)', (?:self|lambda)", module)}


def parameters() -> set[str]:
    return {f'{group}.{item.name}' for group, kind in GROUPS.items() for item in fields(kind)}


def test_settings_page_is_what_the_settings_say() -> None:
    made = subprocess.run([sys.executable, ROOT / 'scripts' / 'settings_table'], check=True,
                          capture_output=True, text=True)
    assert text('docs/settings.md') == made.stdout, (
        'run: .venv/bin/python scripts/settings_table > docs/settings.md')
    assert all(f'| `{name}` |' in made.stdout for name in parameters())


def test_every_other_parameter_is_on_the_settings_page() -> None:
    page = text('docs/settings.md')
    assert all(f'| `{item.name}` |' in page for item in fields(Run))
    for path in python_files(ROOT / 'hlai_control'):
        for name in re.findall(r"declare_parameter\('(\w+)'", path.read_text(encoding='utf-8')):
            assert f'| `{name}`' in page, f'{name} of {relative(path)}'


def test_architecture_names_every_node_topic_signal_and_service() -> None:
    page = text('docs/architecture.md')
    rows = [line for line in page.splitlines() if line.startswith('|')]
    for name in nodes():
        assert any(line.startswith(f'| {name} |') for line in rows), name
    for name in topics() | {'/diagnostics', '/clock', 'robot_description'}:
        assert any(line.startswith(f'| `{name}` |') for line in rows), name
    for room, constant in (('actor', 'TIMING_NAMES'), ('world_model', 'SURPRISE_NAMES'),
                           ('critic', 'ANTICIPATED_NAMES')):
        assert all(f'`{name}`' in page for name in literal(f'{room}/node.py', constant))
    assert all(f'`{name}`' in page for name in services())


def literal(file: str, name: str) -> tuple[str, ...]:
    """Read a constant of the package without importing torch for it."""
    return next(ast.literal_eval(node.value) for node in tree(ROOT / 'hlai_control' / file).body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name)


def test_architecture_knows_who_speaks_and_who_listens() -> None:
    page = text('docs/architecture.md')
    for spec in graph.TOPICS:
        row = next(line for line in page.splitlines() if line.startswith(f'| `{spec.name}` |'))
        cells = [cell.strip() for cell in row.split('|')]
        assert cells[3] == spec.publisher
        assert set(re.split(r',\s*', cells[4])) == set(spec.subscribers or ('anybody',))


def test_tasks_page_names_every_kind_and_robot_page_every_field() -> None:
    assert all(f'| `{kind}` |' in text('docs/tasks.md') for kind in KINDS)
    for page, path in (('docs/your_robot.md', 'config/robots/cartpole.yaml'),
                       ('docs/tasks.md', 'config/tasks/swingup.yaml')):
        for key in keys(yaml.safe_load(text(path))):
            assert f'`{key}`' in text(page), key


def keys(value: object) -> set[str]:
    """Collect the keys of a document, those of its entries too; not names of coordinates."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if isinstance(value, dict):
        below = set().union(*map(keys, value.values()))
        return below | {key for key in value if re.fullmatch(r'[a-z_]+', key)} - {
            'cart_slide', 'pole_hinge'}
    return set()


MISTAKES = [
    ('robots', 'limits: [-10.0, 10.0]', 'limits: [10.0, -10.0]'),
    ('robots', 'joint: cart_slide\n    kind', 'joint: cart\n    kind'),
    ('robots', 'safe_command: zero', 'safe_command: hold'),
    ('robots', 'delay_ticks: 1', 'delay: 1'),
    ('robots', 'step_s: 0.0002', 'step_s: 0.0003'),
    ('tasks', 'kind: angle', 'kind: angel'),
    ('tasks', 'weight: 100.0, limit: 1.6', 'weight: 100.0'),
    ('tasks', 'robots: [cartpole, cartpole_positions]', 'robots: [pendulum]'),
    ('tasks', 'hold_s: 3.0', 'hold_s: 3.0\nconstraints:\n'
     '  - {name: rail, kind: limit, coordinate: cart.x}'),
]


def test_the_constraints_shown_are_valid_and_all_kinds(tmp_path: Path) -> None:
    page = text('docs/tasks.md')
    block, = re.findall(r'```yaml\n(constraints:\n.*?)```', page, re.DOTALL)
    path = tmp_path / 'swingup.yaml'
    path.write_text(text('config/tasks/swingup.yaml') + block, encoding='utf-8')
    shown = load_task(str(path), load_robot('cartpole')).cost.constraints
    assert {one.kind for one in shown} == set(CONSTRAINT_KINDS)
    assert all(f'| `{kind}` |' in page for kind in CONSTRAINT_KINDS)
    assert 'constraint.tolerance' in parameters()


@pytest.mark.parametrize('kind, right, wrong', MISTAKES)
def test_the_refusals_shown_are_those_that_come(kind: str, right: str, wrong: str,
                                                tmp_path: Path) -> None:
    shutil.copytree(ROOT / 'config' / 'robots', tmp_path, dirs_exist_ok=True)
    shutil.copytree(ROOT / 'config' / 'tasks', tmp_path, dirs_exist_ok=True)
    path = tmp_path / ('cartpole.yaml' if kind == 'robots' else 'swingup.yaml')
    before = path.read_text(encoding='utf-8')
    assert right in before
    path.write_text(before.replace(right, wrong, 1), encoding='utf-8')
    with pytest.raises(DocumentError) as caught:
        if kind == 'robots':
            load_robot(str(path))
        else:
            load_task(str(path), load_robot('cartpole'))
    page = text('docs/your_robot.md' if kind == 'robots' else 'docs/tasks.md')
    assert str(caught.value).replace(f'{tmp_path}/', '') in page.splitlines()


def mentioned(document: str) -> Iterator[str]:
    """Yield what looks like a path of the repository: in code, and links of the text."""
    for code in quoted(document):
        for word in WORDS.findall(code):
            word = word.strip('.,;:()')
            if word.split('/')[0] in FOLDERS and '/' in word and '<' not in word:
                yield word
    yield from (link for link in re.findall(r'\]\(([^)#]+)\)', document)
                if not link.startswith('http'))


@pytest.mark.parametrize('path', DOCUMENTS, ids=relative)
def test_every_path_that_is_mentioned_exists(path: Path) -> None:
    for name in mentioned(path.read_text(encoding='utf-8')):
        assert (ROOT / name).exists() or (path.parent / name).exists(), name


def test_paths_in_code_and_configuration_exist() -> None:
    for path in [*python_files(), *sorted((ROOT / 'config').rglob('*.yaml'))]:
        for name in re.findall(r'\bdocs/[\w./-]*\w', path.read_text(encoding='utf-8')):
            place = ROOT / name
            assert place.exists() or any(place.parent.glob(f'{place.name}-*')), relative(path)


def test_decisions_are_numbered_without_gap_and_dated() -> None:
    notes = sorted((ROOT / 'docs' / 'decisions').glob('*.md'))
    assert [int(note.name[:4]) for note in notes] == list(range(1, len(notes) + 1))
    for number, note in enumerate(notes, 1):
        body = note.read_text(encoding='utf-8')
        assert body.startswith(f'# {number}. ')
        assert re.search(r'^20\d\d-\d\d-\d\d, (accepted|replaced)', body, re.MULTILINE)
    for path in DOCUMENTS:
        for number in re.findall(r'\(decision (\d+)\)', path.read_text(encoding='utf-8')):
            assert 1 <= int(number) <= len(notes), relative(path)


def test_versions_and_bounds_agree() -> None:
    readme = text('README.md')
    assert f'Version {__version__} ' in readme and f'hlai_control {__version__} |' in readme
    assert f'{up.UNSOLVED} time was up, {up.INTERRUPTED} ended by Ctrl-C' in ' '.join(
        readme.split())
    free_gb = re.search(r'^free_gb=(\d+)', text('scripts/setup_venv'), re.MULTILINE)
    assert free_gb and f'{free_gb.group(1)} GB of disk' in readme
    assert f'{len(graph.NODES)} processes'.replace('8', 'eight') in readme


def test_every_reason_of_the_guard_has_its_place() -> None:
    page = ' '.join(text('docs/architecture.md').split())
    words = {Reason.ESTOP: 'emergency stop', Reason.NOT_ARMED: 'not armed',
             Reason.BLIND: 'no measurement', Reason.OVERSPEED: 'greatest speed',
             Reason.SILENT: 'no command yet', Reason.STALE: 'behind it',
             Reason.FUTURE: 'ahead of the newest', Reason.WRONG_LENGTH: 'wrong length',
             Reason.NON_FINITE: 'not finite', Reason.CLAMPED: 'clamped',
             Reason.RATE_LIMITED: 'slowed', Reason.POSITION_LIMIT: 'beyond its end',
             Reason.VELOCITY_LIMIT: 'faster than its greatest speed', Reason.BRAKED: 'braked'}
    assert set(words) == set(Reason) - {Reason.PASSED}
    assert all(word in page for word in words.values())
