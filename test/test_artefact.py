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


"""Artefacts: they come back exactly, and nothing else is ever let in."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given, HealthCheck, settings, strategies
import pytest
from safetensors.torch import save
import torch
from toys import CARTPOLE

from hlai_control.critic.value import ValueNetwork
from hlai_control.errors import ArtefactError
from hlai_control.files import write_atomic
from hlai_control.learning.artefact import Artefact, decode, encode, Provenance
from hlai_control.learning.storage import artefact_path, forget_old, newest_valid
from hlai_control.settings import CriticSettings, WorldModelSettings
from hlai_control.types import generator
from hlai_control.world_model.ensemble import EnsembleDynamics

LIKE = {'weight': torch.arange(6.0).reshape(2, 3), 'scale': torch.tensor([1.5])}
DATA = encode(Artefact('world_model', 7, LIKE), CARTPOLE)


def test_round_trip():
    found = decode(DATA, CARTPOLE, 'world_model', LIKE)
    assert (found.kind, found.version) == ('world_model', 7)
    assert all(torch.equal(found.tensors[name], LIKE[name]) for name in LIKE)


@pytest.mark.parametrize('make', [
    lambda seed: EnsembleDynamics(CARTPOLE, WorldModelSettings(), generator(seed, 'a')),
    lambda seed: ValueNetwork(CARTPOLE, CriticSettings(), generator(seed, 'a'))])
def test_learned_functions_round_trip(make):
    one, two = make(1), make(2)
    data = encode(Artefact('function', 0, one.export()), CARTPOLE)
    two.load(decode(data, CARTPOLE, 'function', two.export()).tensors)
    first, second = one.export(), two.export()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(('field', 'value'), [
    ('robot', 'pendulum'), ('positions', ('pole.angle', 'cart.x')), ('actions', ('motor',)),
    ('period_s', 0.02), ('delay_ticks', 0), ('action_low', (-5.0,)), ('action_high', (5.0,)),
    ('angle', (False, False)), ('invariant', (False, False)), ('mirror_positions', (1.0, -1.0)),
    ('action_units', ('N m',))])
def test_another_robot_is_refused_by_name(field, value):
    shown = {'positions': 'states', 'mirror_positions': 'mirror'}.get(field, field)
    # Angles have another unit, and that is looked at first.
    shown = {'angle': 'state_units'}.get(shown, shown)
    with pytest.raises(ArtefactError, match=f'{shown} is .*; valid: '):
        decode(DATA, replace(CARTPOLE, **{field: value}), 'world_model', LIKE)


def test_where_it_comes_from_comes_back_and_refuses_nobody():
    told = Provenance('ab' * 32, 1234, (('validation_error', 0.25),))
    data = encode(Artefact('world_model', 7, LIKE, told), CARTPOLE)
    assert decode(data, CARTPOLE, 'world_model', LIKE).provenance == told
    header = data[8:8 + int.from_bytes(data[:8], 'little')].decode()
    assert r'"normalisation":"[\"scale\"]"' in header
    assert all(name in header for name in ('rad/s', 'action_low', 'period_s', 'delay_ticks'))


def test_an_old_one_is_refused_by_its_schema():
    old = DATA.replace(b'hlai_control/2', b'hlai_control/1')
    with pytest.raises(ArtefactError, match="schema is 'hlai_control/1'; valid: 'hlai_control/2'"):
        decode(old, CARTPOLE, 'world_model', LIKE)


def test_another_kind_is_refused():
    with pytest.raises(ArtefactError, match="kind is 'world_model'; valid: 'critic'"):
        decode(DATA, CARTPOLE, 'critic', LIKE)


@pytest.mark.parametrize(('like', 'words'), [
    ({'weight': torch.zeros(3, 2), 'scale': torch.zeros(1)}, r'weight is .*\(2, 3\); valid'),
    ({'weight': torch.zeros(2, 3), 'scale': torch.zeros(1).double()}, 'scale is .*float32'),
    ({'weight': torch.zeros(2, 3)}, 'tensors are')])
def test_other_tensors_are_refused(like, words):
    with pytest.raises(ArtefactError, match=words):
        decode(DATA, CARTPOLE, 'world_model', like)


def test_not_finite_is_refused_at_both_ends():
    bad = {'weight': torch.tensor([float('nan')])}
    with pytest.raises(ArtefactError, match='weight is not finite'):
        encode(Artefact('world_model', 0, bad), CARTPOLE)


def test_plain_safetensors_are_refused():
    with pytest.raises(ArtefactError, match='header'):
        decode(save(LIKE), CARTPOLE, 'world_model', LIKE)


def test_oversize_is_refused_before_it_is_read():
    with pytest.raises(ArtefactError, match='size'):
        decode(DATA + bytes(64 * 1024 * 1024), CARTPOLE, 'world_model', LIKE)


@settings(deadline=None, max_examples=200)
@given(strategies.binary(max_size=200))
def test_noise_is_refused(data):
    with pytest.raises(ArtefactError):
        decode(data, CARTPOLE, 'world_model', LIKE)


@settings(deadline=None, max_examples=200)
@given(strategies.integers(0, len(DATA) - 1))
def test_a_truncated_one_is_refused(length):
    with pytest.raises(ArtefactError):
        decode(DATA[:length], CARTPOLE, 'world_model', LIKE)


@settings(deadline=None, max_examples=500)
@given(strategies.integers(0, len(DATA) - 1), strategies.integers(1, 255))
def test_a_damaged_one_is_refused_or_says_the_same(place, change):
    data = bytearray(DATA)
    data[place] ^= change
    try:
        found = decode(bytes(data), CARTPOLE, 'world_model', LIKE)
    except ArtefactError:
        return
    # Only white space in the header may change unnoticed.
    assert found.version == 7
    assert all(torch.equal(found.tensors[name], LIKE[name]) for name in LIKE)


def test_newest_valid_file_wins(tmp_path: Path):
    assert newest_valid(tmp_path, CARTPOLE, 'world_model', LIKE) is None
    for version in (3, 20, 100):
        write_atomic(artefact_path(tmp_path, 'world_model', version),
                     encode(Artefact('world_model', version, LIKE), CARTPOLE))
    artefact_path(tmp_path, 'world_model', 200).write_bytes(DATA[:-1])
    found = newest_valid(tmp_path, CARTPOLE, 'world_model', LIKE)
    assert found is not None
    assert found.version == 100
    forget_old(tmp_path, 'world_model', keep=2)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [artefact_path(tmp_path, 'world_model', v).name for v in (100, 200)]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.binary(max_size=64), strategies.binary(max_size=64))
def test_a_write_replaces_the_whole_file(tmp_path: Path, before: bytes, after: bytes):
    path = tmp_path / 'file'
    write_atomic(path, before)
    write_atomic(path, after)
    assert path.read_bytes() == after
    assert [item.name for item in tmp_path.iterdir()] == ['file']


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / 'file'
    write_atomic(path, b'old')
    with pytest.raises(TypeError):
        write_atomic(path, 'not bytes')  # type: ignore[arg-type]
    assert path.read_bytes() == b'old'
    assert [item.name for item in tmp_path.iterdir()] == ['file']
