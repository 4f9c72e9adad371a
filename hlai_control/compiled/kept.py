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

"""Functions that numba compiles, kept on disk where that is possible."""

from collections.abc import Callable
import os
from typing import TypeVar

from numba import config, njit
from numba.core.dispatcher import Dispatcher

from hlai_control.compiled.folder import folder

Function = TypeVar('Function', bound=Callable[..., object])


def kept(function: Function) -> 'Dispatcher[Function]':
    """
    Compile a function when it is first called, and keep the result for the next process.

    Division by zero gives inf or NaN, as in the tensor library. Where nothing
    can be written the function is compiled by every process: slow, but right.
    """
    place = folder(os.environ)
    if place is None:
        return njit(error_model='numpy')(function)
    # A dispatcher looks its folder up while it is made, in this variable and nowhere else.
    variables = vars(config)
    before, variables['CACHE_DIR'] = variables['CACHE_DIR'], str(place)
    try:
        return njit(cache=True, error_model='numpy')(function)
    finally:
        variables['CACHE_DIR'] = before
