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

"""All loops compiled at once, so that no plan waits for it."""

import numpy as np

from hlai_control.compiled import ensemble, mechanism, riccati, smoothing


def compile_all() -> None:
    """Call each loop once, with the types that a plan has."""
    def array(*shape: int) -> np.ndarray:
        return np.ones(shape, np.float32)
    # One position, one actuator, two hidden units: four monomials.
    places = np.zeros(1, np.int64)
    weights = ensemble.Weights(
        angles=places, linear=places[:0], first=array(1, 2, 2), first_bias=array(1, 2),
        second=array(1, 2, 2), second_bias=array(1, 2), third=array(1, 2, 4), limit=array(1),
        half=array(1), heading=places[:0])
    ensemble.follow(weights, array(2), array(1, 1, 1), array(1, 1, 2), array(1, 1, 1, 2),
                    array(1), -array(1), array(1))
    ensemble.linearise(weights, array(1, 1, 2), array(1, 1))
    exact, unit = np.ones(1), np.ones((1, 1))
    bodies = mechanism.Weights(
        seen=places, angle=np.ones(1, np.bool_), terms=np.ones((1, 1), np.int64),
        inertia=np.ones((1, 1, 1, 1)), potential=unit, friction=unit, drive=unit,
        fastest=exact, sharpest=exact, period=exact)
    mechanism.follow(bodies, array(2), array(1, 1, 1), array(1, 1, 2), array(1, 1, 1, 2),
                     array(1), -array(1), array(1))
    mechanism.linearise(bodies, array(1, 1, 2), array(1, 1))
    forward, hessian = np.ones((1, 2, 3)), np.eye(3)[None]
    riccati.recursion(forward, np.ones((1, 3)), hessian, -np.ones((1, 1)), np.ones((1, 1)), 0.0,
                      np.empty((1, 1)), np.empty((1, 1, 2)))
    compile_smoothing()


def compile_smoothing() -> None:
    """Call the loops of perception once; with those of :mod:`ensemble`, they are all it needs."""
    motion = smoothing.Motion(np.zeros((1, 2)), np.zeros((1, 2)), np.eye(2)[None])
    beliefs, _ = smoothing.ahead(
        np.zeros(2), np.eye(2), motion, np.eye(2),
        smoothing.Sensors(np.zeros((2, 2)), np.ones(2), np.zeros(2, np.bool_), 1.0))
    smoothing.back(motion, beliefs)
