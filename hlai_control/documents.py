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
YAML documents whose every value knows its file, line and dotted field.

A document is composed, never constructed: no tag of YAML can build a Python
object, and each reader method below refuses what it does not understand with
a :class:`DocumentError`. ``none`` is the one word for "there is none".
"""

from dataclasses import dataclass
import difflib
import math
from pathlib import Path
import re

import yaml

from hlai_control.errors import DocumentError

MAX_BYTES = 65536
MAX_DEPTH = 16
NONE = 'none'
_NUMBER = re.compile(r'[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?')
_CORE = 'tag:yaml.org,2002:'
_TEXT_TAGS = (_CORE + 'str', _CORE + 'value')


@dataclass(frozen=True)
class Value:
    """
    One value of a document and its place.

    :param path: the file, as the user named it.
    :param field: dotted path of the value, ``coordinates[1].limits``.
    :param node: the YAML node.
    """

    path: str
    field: str
    node: yaml.Node

    @property
    def line(self) -> int:
        """One-based line of the value."""
        return int(self.node.start_mark.line) + 1

    def error(self, valid: str, found: str | None = None) -> DocumentError:
        """
        Make the error that points here; the caller raises it.

        :param valid: what would be accepted.
        :param found: what stands here; described from the node if None.
        """
        return DocumentError(self.path, self.line, self.field,
                             found or _describe(self.node), valid)

    def text(self) -> str:
        """Read a text; numbers, booleans and nothing are refused."""
        valid = 'a text'
        if isinstance(self.node, yaml.ScalarNode):
            if self.node.tag == _CORE + 'bool':
                valid = f'a text; in quotes, {self.node.value!r}, it would be one'
            elif self.node.tag in _TEXT_TAGS and self.node.value.strip():
                return str(self.node.value)
        raise self.error(valid)

    def name(self) -> str:
        """Read a text that may name a signal: dotted words of letters, digits, _."""
        text = self.text()
        if not re.fullmatch(r'[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*', text):
            raise self.error("letters, digits and '_' in words joined by '.'")
        return text

    def choice(self, valid: tuple[str, ...]) -> str:
        """Read a text that is one of ``valid``."""
        text = self.text()
        if text not in valid:
            raise self.error(suggest(text, valid))
        return text

    def flag(self) -> bool:
        """Read true or false; YAML's on, off, yes and no are refused."""
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag == _CORE + 'bool' \
                and self.node.value in ('true', 'false'):
            return self.node.value == 'true'
        raise self.error('true or false')

    def number(self, low: float = -math.inf, high: float = math.inf, *,
               above: float = -math.inf) -> float:
        """
        Read a finite number of ``low .. high`` that is greater than ``above``.

        ``1e-3`` is one here, although YAML 1.1 takes it for a text.
        """
        found = math.nan
        if self._plain() and _NUMBER.fullmatch(self.node.value):
            found = float(self.node.value)
        if not (math.isfinite(found) and low <= found <= high and found > above):
            raise self.error(_range_text('a finite number', low, high, above))
        return found

    def whole(self, low: int, high: int) -> int:
        """Read a whole number of ``low .. high``."""
        digits = self._plain() and re.fullmatch(r'[-+]?(0|[1-9][0-9]{0,17})', self.node.value)
        if digits and low <= int(self.node.value) <= high:
            return int(self.node.value)
        raise self.error(f'a whole number from {low} to {high}')

    def is_none(self) -> bool:
        """Whether the word ``none`` stands here."""
        return self._plain() and self.node.value == NONE

    def number_or_none(self, low: float = -math.inf, high: float = math.inf, *,
                       above: float = -math.inf) -> float | None:
        """Read a number as :meth:`number` does, or the word none."""
        if self.is_none():
            return None
        try:
            return self.number(low, high, above=above)
        except DocumentError as error:
            raise self.error(f'{error.valid}, or {NONE}') from None

    def items(self, least: int = 0, most: int = 1024) -> tuple['Value', ...]:
        """Read a list of ``least`` to ``most`` values."""
        count = f'{least}' if least == most else f'{least} to {most}'
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error(f'a list of {count} values')
        made = tuple(Value(self.path, f'{self.field}[{index}]', node)
                     for index, node in enumerate(self.node.value))
        if not least <= len(made) <= most:
            raise self.error(f'a list of {count} values', f'a list of {len(made)}')
        return made

    def entries(self) -> dict[str, 'Value']:
        """Read a mapping with free keys, in the file's order."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error('a mapping, "key: value"')
        made: dict[str, Value] = {}
        for key_node, node in self.node.value:
            key = Value(self.path, self.field or 'document', key_node).text()
            field = f'{self.field}.{key}' if self.field else key
            if key in made:
                raise Value(self.path, field, key_node).error(
                    'each key once', f'a second {key!r}, first on line {made[key].line}')
            made[key] = Value(self.path, field, node)
        return made

    def section(self, required: tuple[str, ...],
                optional: tuple[str, ...] = ()) -> dict[str, 'Value']:
        """
        Read a mapping with fixed keys.

        :raises DocumentError: for a missing key (the mapping's line), or an
            unknown one (the key's line), with the likeliest valid one.
        """
        made = self.entries()
        valid = required + optional
        for key_node, _ in self.node.value:
            if key_node.value not in valid:
                raise Value(self.path, made[key_node.value].field, key_node).error(
                    suggest(key_node.value, valid), f'unknown field {key_node.value!r}')
        for key in required:
            if key not in made:
                field = f'{self.field}.{key}' if self.field else key
                raise DocumentError(self.path, self.line, field, 'nothing',
                                    f'this field is required, as are {", ".join(required)}')
        return made

    def _plain(self) -> bool:
        return (isinstance(self.node, yaml.ScalarNode) and self.node.style is None
                and self.node.start_mark.index < self.node.end_mark.index)


def read_document(path: Path | str) -> Value:
    """
    Read the one document of a YAML file.

    :raises DocumentError: if the file cannot be read, is over ``MAX_BYTES``,
        not UTF-8, not YAML, empty, nested over ``MAX_DEPTH``, or has aliases
        or tags.
    """
    text = _read_text(str(path))
    try:
        _bound(str(path), text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _syntax_error(str(path), text, error) from None
    if node is None:
        raise DocumentError(str(path), 1, 'document', 'an empty file', 'a mapping, "key: value"')
    return Value(str(path), '', node)


def unique(values: tuple[Value, ...], keys: tuple[str, ...], what: str) -> None:
    """
    Check that no key occurs twice.

    :param values: the place of each key.
    :param what: what a key is, ``'coordinate name'``.
    :raises DocumentError: at the second one.
    """
    first: dict[str, Value] = {}
    for value, key in zip(values, keys, strict=True):
        if key in first:
            raise value.error(f'each {what} once', f'a second {key!r}, '
                              f'first on line {first[key].line}')
        first[key] = value


def suggest(found: str, valid: tuple[str, ...]) -> str:
    """List what is valid, the likeliest first if one is close to ``found``."""
    close = difflib.get_close_matches(found, valid, n=1)
    meant = f'did you mean {close[0]}? ' if close else ''
    return f'{meant}one of {", ".join(valid)}'


def _read_text(path: str) -> str:
    try:
        with open(path, 'rb') as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(path, 1, 'document', f'no readable file ({error.strerror})',
                            'a YAML file') from None
    if len(data) > MAX_BYTES:
        raise DocumentError(path, 1, 'document', f'more than {MAX_BYTES} bytes',
                            f'a YAML file of at most {MAX_BYTES} bytes')
    try:
        return data.decode('utf-8')
    except UnicodeDecodeError as error:
        line = data[:error.start].count(b'\n') + 1
        raise DocumentError(path, line, 'document', f'byte 0x{data[error.start]:02x}',
                            'text in UTF-8') from None


def _bound(path: str, text: str) -> None:
    """Refuse aliases, tags and deep nesting before the recursive composer runs."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1 if event.start_mark else 1
        if depth > MAX_DEPTH:
            raise DocumentError(path, line, 'document', f'nesting deeper than {MAX_DEPTH}',
                                f'at most {MAX_DEPTH} levels')
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(path, line, 'document', f'the alias *{event.anchor}',
                                'the value itself, written out')
        tag = getattr(event, 'tag', None)
        if tag is not None:
            raise DocumentError(path, line, 'document', f'the tag {tag}', 'no tags')


def _syntax_error(path: str, text: str, error: yaml.YAMLError) -> DocumentError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = ' '.join(filter(None, (error.context, error.problem)))
    else:  # a ReaderError knows only the position of a forbidden character
        position = getattr(error, 'position', 0)
        line = text[:position].count('\n') + 1
        problem = str(getattr(error, 'reason', error))
    return DocumentError(path, line, 'document', f'bad YAML ({problem})', 'YAML 1.1')


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return f'a list of {len(node.value)}'
    if isinstance(node, yaml.MappingNode):
        return 'a mapping'
    kind = node.tag.removeprefix(_CORE)
    if kind == 'null':
        return 'nothing'
    shown = node.value if len(node.value) <= 60 else node.value[:57] + '...'
    words = {'str': 'the text', 'bool': 'the boolean', 'int': 'the number',
             'float': 'the number', 'timestamp': 'the date'}
    return f'{words.get(kind, kind)} {shown!r}'


def _range_text(what: str, low: float, high: float, above: float) -> str:
    if above > low:
        return f'{what} above {above:g}' + (f', at most {high:g}' if high < math.inf else '')
    if low > -math.inf and high < math.inf:
        return f'{what} from {low:g} to {high:g}'
    if low > -math.inf:
        return f'{what}, at least {low:g}'
    return f'{what}, at most {high:g}' if high < math.inf else what
