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


"""A module's parameters as bytes that say whose they are: safetensors with a manifest."""

from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import json
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
import torch
from torch import Tensor

from hlai_control.errors import ArtefactError
from hlai_control.layout import Layout

# Artefacts of another schema are refused: what their fields meant is not guessed.
SCHEMA = 'hlai_control/2'
# A learned function of this package is far smaller; more is a mistake or an attack.
MAX_BYTES = 64 * 1024 * 1024
_HEADER = 8


@dataclass(frozen=True)
class Provenance:
    """
    Where a function comes from; for people and tools, no robot is refused for it.

    :param data: SHA-256 of the transitions it was trained on; empty: not told.
    :param transitions: how many those were.
    :param metrics: figures by name, ``'validation_error'``.
    """

    data: str = ''
    transitions: int = 0
    metrics: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Artefact:
    """
    One version of one learned function.

    :param kind: what it is: ``'world_model'``, ``'critic'``.
    :param version: the last tick through which it was trained.
    :param tensors: parameters and scales by name.
    :param provenance: what it was trained on.
    """

    kind: str
    version: int
    tensors: Mapping[str, Tensor]
    provenance: Provenance = Provenance()


def encode(artefact: Artefact, layout: Layout) -> bytes:
    """
    Serialise an artefact together with the robot that it belongs to.

    :param artefact: what to serialise.
    :param layout: the robot.
    :returns: safetensors bytes with a manifest in their metadata.
    :raises ArtefactError: if a tensor is not finite.
    """
    tensors = {name: tensor.detach().cpu().contiguous()
               for name, tensor in artefact.tensors.items()}
    _refuse_not_finite(tensors)
    manifest = _manifest(layout, artefact.kind) | {
        'version': str(artefact.version),
        'normalisation': json.dumps(sorted(_scales(tensors)))} | _told(artefact.provenance)
    return save(tensors, manifest | {'digest': _digest(manifest, tensors)})


def decode(data: bytes, layout: Layout, kind: str, like: Mapping[str, Tensor]) -> Artefact:
    """
    Read an artefact, or refuse it by naming what does not match.

    :param data: bytes from a topic or a file; nothing in them is trusted.
    :param layout: the robot that the artefact must belong to.
    :param kind: what it must be.
    :param like: tensors with the names, shapes and types that it must have.
    :raises ArtefactError: naming the field, what was found and what is valid.
    """
    manifest = _read_manifest(data)
    for field, valid in _manifest(layout, kind).items():
        if manifest.get(field) != valid:
            raise ArtefactError(f'artefact: {field} is {manifest.get(field)!r}; valid: {valid!r}')
    version = manifest.get('version', '')
    if not (version.isascii() and version.isdigit() and len(version) < 19):
        raise ArtefactError(f'artefact: version is {version!r}; valid: a whole number >= 0')
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise ArtefactError(f'artefact: tensors cannot be read ({error}); '
                            'wait for the next version') from error
    _refuse_unlike(tensors, like)
    _refuse_not_finite(tensors)
    digest = manifest.pop('digest', None)
    if digest != _digest(manifest, tensors):
        raise ArtefactError(f'artefact: digest is {digest!r}, which its content does not have; '
                            'it was damaged on the way')
    return Artefact(kind=kind, version=int(version), tensors=tensors,
                    provenance=_provenance(manifest))


def _manifest(layout: Layout, kind: str) -> dict[str, str]:
    return {
        'schema': SCHEMA,
        'kind': kind,
        'robot': layout.robot,
        'states': json.dumps(layout.states),
        'state_units': json.dumps(layout.state_units),
        'angle': json.dumps(layout.angle),
        'invariant': json.dumps(layout.invariant),
        'mirror': json.dumps(layout.mirror_positions + layout.mirror_actions),
        'actions': json.dumps(layout.actions),
        'action_units': json.dumps(layout.action_units),
        'period_s': repr(layout.period_s),
        'delay_ticks': repr(layout.delay_ticks),
        'action_low': json.dumps(layout.action_low),
        'action_high': json.dumps(layout.action_high),
    }


def _scales(tensors: Mapping[str, Tensor]) -> set[str]:
    """Name the tensors by which inputs and outputs are scaled."""
    words = ('mean', 'scale', 'rate', 'acceleration', 'unit')
    return {name for name in tensors if name.rpartition('.')[2] in words}


def _told(provenance: Provenance) -> dict[str, str]:
    return {'data': provenance.data, 'transitions': str(provenance.transitions),
            'metrics': json.dumps(dict(provenance.metrics))}


def _provenance(manifest: Mapping[str, str]) -> Provenance:
    try:
        metrics = tuple((str(name), float(value))
                        for name, value in json.loads(manifest['metrics']).items())
        return Provenance(manifest['data'], int(manifest['transitions']), metrics)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtefactError(f'artefact: data, transitions or metrics cannot be read '
                            f'({type(error).__name__}); write it anew with hlai train') from error


def _read_manifest(data: bytes) -> dict[str, str]:
    if not _HEADER <= len(data) <= MAX_BYTES:
        raise ArtefactError(f'artefact: size is {len(data)} bytes; '
                            f'valid: {_HEADER} .. {MAX_BYTES}')
    length = int.from_bytes(data[:_HEADER], 'little')
    if length > len(data) - _HEADER:
        raise ArtefactError(f'artefact: header of {length} bytes is cut short; '
                            f'{len(data) - _HEADER} bytes follow')
    try:
        header: Any = json.loads(data[_HEADER:_HEADER + length])
        manifest = header['__metadata__']
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtefactError(f'artefact: header cannot be read ({type(error).__name__}); '
                            'valid: safetensors with metadata') from error
    if not isinstance(manifest, dict) or not all(
            isinstance(value, str) for value in manifest.values()):
        raise ArtefactError('artefact: metadata is not text by name')
    return manifest


def _digest(manifest: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256(json.dumps(dict(manifest), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _refuse_unlike(tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> None:
    if set(tensors) != set(like):
        raise ArtefactError(f'artefact: tensors are {sorted(tensors)}; valid: {sorted(like)}; '
                            'settings such as world_model.latent must be those it was made with')
    for name, valid in like.items():
        found = tensors[name]
        if found.shape != valid.shape or found.dtype != valid.dtype:
            raise ArtefactError(
                f'artefact: {name} is {found.dtype} {tuple(found.shape)}; '
                f'valid: {valid.dtype} {tuple(valid.shape)}')


def _refuse_not_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ArtefactError(f'artefact: {name} is not finite everywhere; '
                                'the learner has diverged, keep the version before')
