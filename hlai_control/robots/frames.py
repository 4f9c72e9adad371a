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


"""Frames that a manifest names: where a tool or an elbow is follows from the positions."""

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from hlai_control.documents import suggest, unique, Value
from hlai_control.layout import FRAME_LINK, Frames

_KEPT = ('origin', 'parent', 'child', 'axis', 'limit')
_MOST_M = 100.0


def read_frames(value: Value, urdf: Path, positions: Mapping[str, str]) -> Frames:
    """
    Read a manifest's entry ``frames``: names, links, and where on these links.

    :param value: the entry.
    :param urdf: the robot's model, which is known to be readable.
    :param positions: coordinate of each joint.
    :raises DocumentError: if a link is not there, or a joint that is no coordinate moves it.
    """
    root = ElementTree.parse(urdf).getroot()
    joints: dict[str, Element] = {}
    made, items = [], tuple(item.section(('name', 'link'), ('offset',))
                            for item in value.items(least=1))
    names = tuple(item['name'].name() for item in items)
    unique(tuple(item['name'] for item in items), names, 'frame')
    for name, item in zip(names, items, strict=True):
        joints |= {joint.get('name', ''): joint
                   for joint in _chain(item['link'], root, positions)}
        made.append(_fixed(name, item))
    model = _model([*joints.values()], made)
    return Frames(names, model, tuple(
        (key, positions[key]) for key, joint in joints.items() if joint.get('type') != 'fixed'))


def _chain(place: Value, root: Element, positions: Mapping[str, str]) -> list[Element]:
    """Return the joints from the base to a link."""
    link, links = place.text(), tuple(one.get('name', '') for one in root.findall('link'))
    if link not in links:
        raise place.error('a link of the URDF: ' + suggest(link, links))
    above = {_end(joint, 'child'): joint for joint in root.findall('joint')}
    found: list[Element] = []
    at = link
    while at in above and above[at] not in found:
        found.append(above[at])
        at = _end(above[at], 'parent')
    moving = [one.get('name', '') for one in found if one.get('type') != 'fixed']
    for joint in moving:
        if joint not in positions:
            raise place.error('a link that only joints of coordinates move',
                              f'{link!r}, which {joint!r} moves')
    if not moving:
        raise place.error('a link that a joint moves', f'{link!r}, which is fixed to the base')
    return found[::-1]


def _fixed(name: str, item: Mapping[str, Value]) -> Element:
    offset = ([part.number(-_MOST_M, _MOST_M) for part in item['offset'].items(3, 3)]
              if 'offset' in item else [0.0, 0.0, 0.0])
    joint = Element('joint', {'name': FRAME_LINK + name, 'type': 'fixed'})
    for tag, attributes in (('origin', {'xyz': ' '.join(map(repr, offset))}),
                            ('parent', {'link': item['link'].text()}),
                            ('child', {'link': FRAME_LINK + name})):
        joint.append(Element(tag, attributes))
    return joint


def _end(joint: Element, which: str) -> str:
    place = joint.find(which)
    return '' if place is None else place.get('link', '')


def _model(joints: list[Element], frames: list[Element]) -> str:
    robot = Element('robot', {'name': 'frames'})
    links = [_end(joint, which) for joint in joints for which in ('parent', 'child')]
    for name in dict.fromkeys([*links, *(_end(joint, 'child') for joint in frames)]):
        robot.append(Element('link', {'name': name}))
    for joint in [*joints, *frames]:
        made = Element('joint', {key: joint.get(key, '') for key in ('name', 'type')})
        for part in joint:
            if part.tag in _KEPT:
                made.append(Element(part.tag, dict(part.attrib)))
        robot.append(made)
    return ElementTree.tostring(robot, encoding='unicode')
