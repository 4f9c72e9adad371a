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


"""Where a robot's frames are: differentiable kinematics, of a model that is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from jaxtyping import Bool, Float
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from hlai_control.layout import FRAME_LINK, FRAME_PARTS, Frames, Layout

_PARTS = len(FRAME_PARTS)


@dataclass(frozen=True)
class _Model:
    """
    The model in one type, on one device; F frames, J joints.

    :param chain: of pytorch_kinematics.
    :param frames: index of each frame among the chain's links.
    :param moved: index of the link that each joint moves.
    :param axes: of the joints, in these links.
    :param turns: which joints turn rather than slide.
    :param above: which joints move which frame.
    """

    chain: Any
    frames: list[int]
    moved: list[int]
    axes: Float[Tensor, 'J 3']
    turns: Bool[Tensor, ' J']
    above: Bool[Tensor, 'F J']


class Kinematics:
    """
    Some coordinates of some frames, as functions of the state.

    :param layout: the robot.
    :param names: of the coordinates wanted, each one of ``layout.places``.
    """

    def __init__(self, layout: Layout, names: tuple[str, ...]) -> None:
        """Find the joints; the model is built when it is first asked."""
        self.names, self._all = names, layout.frames
        wanted = [divmod(layout.places.index(name), _PARTS) for name in names]
        used = sorted({frame for frame, _ in wanted})
        self._frames = tuple(layout.frames.names[frame] for frame in used)
        self._columns = [_PARTS * used.index(frame) + part for frame, part in wanted]
        self._positions = {joint: layout.positions.index(name)
                           for joint, name in layout.frames.joints}
        self._models: dict[tuple[torch.dtype, torch.device], _Model] = {}

    def of(self, state: Float[Tensor, '*B S']) -> Float[Tensor, '*B P']:
        """
        Compute the coordinates.

        :param state: states, SI units.
        :returns: [m], or components of unit vectors, in the base's frame.
        """
        model, rows = self._like(state), state.reshape(-1, state.shape[-1])
        places = self._links(model, rows)[model.frames]
        return self._parts(places).reshape(*state.shape[:-1], -1)

    def expansion(self, state: Float[Tensor, 'B S']
                  ) -> tuple[Float[Tensor, 'B P'], Float[Tensor, 'B P S']]:
        """
        Compute the coordinates and their Jacobian with regard to the state.

        A joint turns what is above it about its axis, omega: a point r away moves by
        omega x r, an axis by omega x axis. One that slides moves all alike.

        :param state: states, SI units.
        """
        model = self._like(state)
        links = self._links(model, state)
        places, moved = links[model.frames], links[model.moved]
        axes = (moved[..., :3, :3] @ model.axes[:, None, :, None])[..., 0]
        arms = places[:, None, :, :3, 3] - moved[None, :, :, :3, 3]
        along = torch.where(model.turns[:, None, None],
                            torch.linalg.cross(axes.expand_as(arms), arms), axes)
        # F J B 3, then three axes of each frame: F J B 3 3, the last one the component.
        frame_axes = places[:, None, :, :3, :3].mT
        turning = torch.linalg.cross(
            (axes * model.turns[:, None, None])[None, :, :, None].expand(
                len(places), -1, -1, 3, -1), frame_axes.expand(-1, len(moved), -1, -1, -1))
        rows = torch.cat([along, turning.flatten(3)], dim=3) * model.above[:, :, None, None]
        slopes = rows.permute(2, 0, 3, 1).flatten(1, 2)[:, self._columns]
        wide = slopes.new_zeros(*slopes.shape[:2], state.shape[1])
        wide[:, :, [self._positions[name] for name in self._joints(model)]] = slopes
        return self._parts(places), wide

    def _links(self, model: _Model, state: Tensor) -> Float[Tensor, 'L B 4 4']:
        # The library's own backward pass cannot be differentiated again.
        found: Tensor = model.chain.forward_kinematics_tensor(
            state[:, [self._positions[name] for name in self._joints(model)]],
            analytical_grad=False)
        return found

    def _parts(self, places: Float[Tensor, 'F B 4 4']) -> Float[Tensor, 'B P']:
        each = torch.cat([places[..., :3, 3], places[..., :3, :3].mT.flatten(2)], dim=2)
        return each.transpose(0, 1).flatten(1)[:, self._columns]

    def _joints(self, model: _Model) -> list[str]:
        names: list[str] = model.chain.get_joint_parameter_names()
        return names

    @torch.inference_mode(False)
    def _like(self, state: Tensor) -> _Model:
        key = (state.dtype, state.device)
        if key not in self._models:
            self._models[key] = _model(self._all, self._frames, state)
        return self._models[key]


def _model(frames: Frames, names: tuple[str, ...], like: Tensor) -> _Model:
    """Build the model of some frames."""
    import pytorch_kinematics as pk  # it loads for a second, which only frames are worth

    chain = pk.build_chain_from_urdf(frames.model.encode()).to(
        dtype=like.dtype, device=like.device)
    parents = _parents(frames.model)
    child = {joint: link for link, (joint, _) in parents.items()}
    moving = [chain.find_joint(name) for name in chain.get_joint_parameter_names()]
    links = [FRAME_LINK + name for name in names]
    return _Model(
        chain, chain.get_frame_indices(*links).tolist(),
        chain.get_frame_indices(*(child[joint.name] for joint in moving)).tolist(),
        torch.stack([joint.axis for joint in moving]).to(like),
        torch.tensor([joint.joint_type == 'revolute' for joint in moving], device=like.device),
        torch.tensor([[joint.name in _above(link, parents) for joint in moving]
                      for link in links], device=like.device))


def _parents(model: str) -> dict[str, tuple[str, str]]:
    """Return the joint that moves each link of a URDF, and the link that it hangs from."""
    found = {}
    for joint in ElementTree.fromstring(model).findall('joint'):
        ends = {end.tag: end.get('link', '') for end in joint if end.tag in ('parent', 'child')}
        found[ends['child']] = (joint.get('name', ''), ends['parent'])
    return found


def _above(link: str, parents: Mapping[str, tuple[str, str]]) -> set[str]:
    """Return the joints between the base and a link."""
    found = set()
    while link in parents:
        joint, link = parents[link]
        found.add(joint)
    return found


class Named:
    """
    All that tasks may speak of, by name: the state, and where the frames are.

    :param layout: the robot.
    """

    def __init__(self, layout: Layout) -> None:
        """Keep the names."""
        self._states = layout.states
        self._kinematics = Kinematics(layout, layout.places) if layout.frames.names else None

    @torch.inference_mode()
    def of(self, state: NDArray[np.float64]) -> dict[str, float]:
        """
        Name the coordinates of one state.

        :param state: S values.
        """
        named = dict(zip(self._states, state.tolist(), strict=True))
        if self._kinematics is not None:
            found = self._kinematics.of(torch.from_numpy(state).unsqueeze(0))[0]
            named |= dict(zip(self._kinematics.names, found.tolist(), strict=True))
        return named
