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


"""YAML documents: what is read, and what is refused at which line."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from hlai_control.documents import MAX_BYTES, read_document, unique, Value
from hlai_control.errors import DocumentError


@pytest.fixture(name='read')
def _read(tmp_path: Path):
    def read(text: str | bytes) -> Value:
        path = tmp_path / 'a.yaml'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_document(path)
    return read


def _value(read, text: str) -> Value:
    return read(f'# a comment\nkey: {text}\n').section(('key',))['key']


@pytest.mark.parametrize(('text', 'expected'), [
    ('1', 1.0), ('-0.5', -0.5), ('+2', 2.0), ('1e-3', 1e-3), ('1.5E+2', 150.0), ('.5', 0.5),
    ('3.', 3.0), ('0', 0.0)])
def test_numbers(read, text, expected):
    assert _value(read, text).number() == expected


@pytest.mark.parametrize(('text', 'found'), [
    ('.nan', "the number '.nan'"), ('-.inf', "the number '-.inf'"), ('1e999', "text '1e999'"),
    ("'1.0'", "the text '1.0'"), ('fast', "the text 'fast'"), ('', 'nothing'), ('~', 'nothing'),
    ('on', "the boolean 'on'"), ('[1]', 'a list of 1'), ('{a: 1}', 'a mapping'),
    ('0x10', "the number '0x10'"), ('010', "the number '010'"), ('1:30', "the number '1:30'"),
    ('1_000', "the number '1_000'"), ('2020-01-01', "the date '2020-01-01'")])
def test_what_is_no_number_is_refused_with_what_was_found(read, text, found):
    with pytest.raises(DocumentError) as refused:
        _value(read, text).number()
    error = refused.value
    assert (error.line, error.field) == (2, 'key')
    assert found in error.found and error.valid == 'a finite number'
    assert str(error).startswith(f'{error.path}:2: key: found ')


def test_ranges_are_stated(read):
    for ask, valid in (
            (lambda v: v.number(0.0, 1.0), 'a finite number from 0 to 1'),
            (lambda v: v.number(above=7.0), 'a finite number above 7'),
            (lambda v: v.number(above=7.0, high=9.0), 'a finite number above 7, at most 9'),
            (lambda v: v.number(low=8.0), 'a finite number, at least 8'),
            (lambda v: v.number_or_none(high=5.0), 'a finite number, at most 5, or none'),
            (lambda v: v.whole(0, 3), 'a whole number from 0 to 3')):
        with pytest.raises(DocumentError) as refused:
            ask(_value(read, '7'))
        assert refused.value.valid == valid


def test_whole_numbers_flags_and_none(read):
    assert _value(read, '-3').whole(-5, 5) == -3
    assert _value(read, 'true').flag() is True
    assert _value(read, 'none').number_or_none() is None
    assert _value(read, '2').number_or_none() == 2.0
    for text in ('1.0', '1e3', 'true', "'1'", '9' * 30):
        with pytest.raises(DocumentError, match='whole number'):
            _value(read, text).whole(-10 ** 9, 10 ** 9)
    for text in ('on', 'yes', 'True', '1', "'true'", ''):
        with pytest.raises(DocumentError, match='true or false'):
            _value(read, text).flag()


def test_texts_and_the_booleans_that_yaml_makes_of_them(read):
    assert _value(read, 'a text').text() == 'a text'
    assert _value(read, "'on'").text() == 'on'
    for word in ('on', 'off', 'yes', 'no', 'true'):
        with pytest.raises(DocumentError) as refused:
            _value(read, word).text()
        assert f"in quotes, '{word}', it would be one" in refused.value.valid
    for text in ('5', '', '~', "''", "' '", '[a]'):
        with pytest.raises(DocumentError, match='valid: a text'):
            _value(read, text).text()


@pytest.mark.parametrize('name', ['pole.angle', 'a', 'A_1.b2.c'])
def test_names(read, name):
    assert _value(read, name).name() == name


@pytest.mark.parametrize('name', ['a/b', 'a b', '1a', '.a', 'a.', 'a..b', 'ä', 'a-b'])
def test_names_that_are_none(read, name):
    with pytest.raises(DocumentError, match="joined by '.'"):
        _value(read, name).name()


def test_choices_suggest_the_likeliest(read):
    assert _value(read, 'effort').choice(('effort', 'velocity')) == 'effort'
    with pytest.raises(DocumentError, match=r'did you mean effort\? one of effort, velocity'):
        _value(read, 'efort').choice(('effort', 'velocity'))


def test_lists_know_the_place_of_each_item(read):
    items = _value(read, '\n  - 1\n  - x\n').items(1, 2)
    assert items[0].number() == 1.0
    with pytest.raises(DocumentError, match=r':4: key\[1\]: found the text .x.'):
        items[1].number()
    for text, found in (('[]', 'a list of 0'), ('[1, 2, 3]', 'a list of 3'), ('1', 'the number')):
        with pytest.raises(DocumentError, match=f'{found}.*valid: a list of 1 to 2 values'):
            _value(read, text).items(1, 2)
    with pytest.raises(DocumentError, match='a list of 2 values'):
        _value(read, '[1]').items(2, 2)


def test_sections_refuse_missing_unknown_and_duplicated_fields(read):
    with pytest.raises(DocumentError, match=r':2: b: found nothing; valid: .*required'):
        read('# c\na: 1\n').section(('a', 'b'))
    with pytest.raises(DocumentError, match=r':3: colour.*did you mean color\? one of a, color'):
        read('a: 1\n\ncolour: red\n').section(('a',), ('color',))
    with pytest.raises(DocumentError, match=r":3: a: found a second 'a', first on line 1"):
        read('a: 1\nb: 2\na: 3\n').section(('a', 'b'))
    with pytest.raises(DocumentError, match=r':2: a\.c: found unknown'):
        read('a:\n  c: 1\n').section(('a',))['a'].section(('b',))
    with pytest.raises(DocumentError, match='a mapping'):
        read('- a\n').section(('a',))
    with pytest.raises(DocumentError, match='a text'):
        read('{[1, 2]: 3}').section(('a',))


def test_unique_points_at_the_second(read):
    items = read('- a\n- b\n- a\n').items()
    with pytest.raises(DocumentError, match=r":3: \[2\]: found a second 'a', first on line 1"):
        unique(items, tuple(item.text() for item in items), 'name')


@pytest.mark.parametrize(('text', 'line', 'problem'), [
    ('a: 1\nb: [1, 2\nc: 3\n', 3, 'bad YAML'), ('a: 1\n\tb: 2\n', 2, 'bad YAML'),
    ('a: "x\n', 2, 'bad YAML'), ('a: 1\n---\nb: 2\n', 2, 'bad YAML'),
    ('a: 1\nb: \x07\n', 2, 'bad YAML'), (b'a: 1\nb: \xff\n', 2, 'byte 0xff'),
    ('', 1, 'an empty file'), ('# only a comment\n', 1, 'an empty file'),
    ('a: 1\nb: !!python/object/apply:os.getcwd []\n', 2, 'the tag tag:yaml.org,2002:python'),
    ('!!map {a: 1}\n', 1, 'the tag'), ('a: ! b\n', 1, 'the tag !'),
    ('a: &x 1\nb: *x\n', 2, 'the alias *x'), ('a: &a [*a]\n', 1, 'the alias *a'),
    ('[' * 5000, 1, 'nesting deeper'), ('a: 1\n' + '#' * MAX_BYTES, 1, 'more than 65536 bytes')])
def test_documents_that_cannot_be_read_say_where(read, text, line, problem):
    with pytest.raises(DocumentError) as refused:
        read(text)
    assert refused.value.line == line and problem in refused.value.found


def test_a_file_that_cannot_be_opened(tmp_path):
    for path in (tmp_path / 'none.yaml', tmp_path):
        with pytest.raises(DocumentError, match='no readable file'):
            read_document(path)


def _walk(value: Value, depth: int = 0) -> None:
    """Ask everything of a value, as a reader that expects something else would."""
    for ask in (Value.text, Value.name, Value.flag, Value.number, Value.number_or_none,
                Value.is_none, lambda v: v.whole(0, 9), lambda v: v.choice(('a',)),
                lambda v: v.section(('a',))):
        try:
            ask(value)
        except DocumentError as error:
            assert error.line >= 1 and error.found and error.valid
    for inner in (Value.items, lambda v: tuple(v.entries().values())):
        try:
            for item in inner(value):
                _walk(item, depth + 1)
        except DocumentError:
            continue


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet=' \n\t:-[]{}&*!|>\'"%@`#,?aon01.~=<\x00é', max_size=60)
       | st.binary(max_size=40))
def test_no_text_at_all_does_anything_but_read_or_refuse(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / 'fuzz.yaml'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        document = read_document(path)
    except DocumentError as error:
        assert error.line >= 1 and error.found and error.valid
        return
    _walk(document)
