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


"""Small robots with known answers, for the tests of the core."""

from hlai_control.layout import Layout

CARTPOLE = Layout(
    robot='cartpole', positions=('cart.x', 'pole.angle'), actions=('cart.force',),
    period_s=0.05, delay_ticks=1, angle=(False, True), invariant=(True, False),
    mirror_positions=(-1.0, -1.0), mirror_actions=(-1.0,), action_low=(-10.0,),
    action_high=(10.0,), noise_std=(0.01,) * 4)

# A unit mass on a line, pushed: x'' = u.
MASS = Layout(
    robot='mass', positions=('x',), actions=('push',), period_s=0.1, delay_ticks=2,
    angle=(False,), invariant=(False,), mirror_positions=(1.0,), mirror_actions=(1.0,),
    action_low=(-1.0,), action_high=(2.0,), noise_std=(0.01, 0.01))
