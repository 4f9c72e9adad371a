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

"""Devices that are not here, for tests: what would wait for one, or move between two, is seen."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from hlai_control.actor.searching import Found


class OnDeviceOnly(TorchDispatchMode):
    """Refuses every operation that makes a tensor elsewhere, or that the host would wait for."""

    waiting = ('_local_scalar_dense', 'item', 'nonzero', 'masked_select', 'equal', 'is_nonzero')

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in self.waiting, f'{name} waits for the device'
        if name == 'index':
            assert all(i is None or i.dtype != torch.bool for i in args[1]), 'mask as index'
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, Tensor):
                assert tensor.device.type == 'meta', f'{name} made a tensor on {tensor.device}'
        return made


class SecondDevice(TorchDispatchMode):
    """
    Takes meta for a device with numbers: what is read of it, and brought there.

    Single numbers are read as 1, all others as 0. An operation on tensors of
    both devices is refused, as a GPU would, but for single numbers of the host.
    """

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, func.overloadpacket.__name__
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        if name == '_local_scalar_dense' and given[0].is_meta:
            self.down.append(given[0].shape)
            return {torch.bool: True, torch.int64: 1}.get(given[0].dtype, 1.0)
        # Inference mode does not take `to` apart.
        if name in ('_to_copy', 'to') and kwargs.get('device') is not None:
            there = torch.device(kwargs['device']).type == 'meta'
            if there and not given[0].is_meta:
                self.up.append(given[0].shape)
            elif given[0].is_meta and not there:
                self.down.append(given[0].shape)
                return torch.zeros(given[0].shape, dtype=kwargs.get('dtype') or given[0].dtype)
        elif name == 'copy_' and given[1].is_meta != given[0].is_meta:
            assert given[0].is_meta, 'a copy down to the host'
            self.up.append(given[1].shape)
        else:
            sides = {one.is_meta for one in given if one.dim()}
            assert len(sides) < 2, f'{name} mixes devices'
        return func(*args, **kwargs)


class Tape(TorchDispatchMode):
    """
    What a CUDA graph is, without CUDA: operations written down once, and run again as they were.

    Whatever Python decided is decided for good; tensors that were not made
    within are read where they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._done, self._kept = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, made))
        return made

    @classmethod
    def record(cls, search, generator):
        """Record as ``captured.graph`` does."""
        with cls() as tape:
            found = search()
        held = found.copy()
        return held, lambda: tape.run(found, held)

    @torch.inference_mode(False)
    @torch.no_grad()
    def run(self, found: Found, held: Found) -> None:
        """Run all operations again, and leave the result in ``held``."""
        now = {}

        def current(one):
            return now.get(id(one), one) if isinstance(one, Tensor) else one
        for func, args, kwargs, made in self._done:
            again = func(*tree_map(current, args), **tree_map(current, kwargs))
            for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if isinstance(old, Tensor):
                    now[id(old)] = new
        for name, part in vars(held).items():
            if part is not None:
                part.copy_(now[id(getattr(found, name))])
