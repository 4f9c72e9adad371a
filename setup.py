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
An ament_python package that pip and colcon install alike.

rclpy and the message packages are not requirements here: a full ROS 2
install brings its own, and elsewhere the extra ``ros`` names the wheels.
"""

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'hlai_control'
SHARE = f'share/{NAME}'
TEST = ['pytest', 'pytest-timeout', 'pytest-xdist', 'hypothesis', 'beartype']
LINT = ['ruff', 'mypy', 'types-PyYAML', 'flake8', 'flake8-quotes', 'flake8-import-order',
        'flake8-docstrings', 'pydocstyle']
MODULES = ('perception', 'world_model', 'cost', 'critic', 'actor', 'configurator')


def share_files(top: str) -> list[tuple[str, list[str]]]:
    """
    List what is installed of one folder of data.

    :param top: the folder, relative to this file.
    :returns: a (target folder, files) pair for each folder below it.
    """
    folders = [Path(top), *sorted(path for path in Path(top).rglob('*') if path.is_dir())]
    listed = ((folder, [str(file) for file in sorted(folder.iterdir()) if file.is_file()])
              for folder in folders if folder.name != '__pycache__')
    return [(f'{SHARE}/{folder}', files) for folder, files in listed if files]


setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (SHARE, ['package.xml']),
        *share_files('config'),
        *share_files('launch'),
    ],
    zip_safe=False,
    python_requires='>=3.11',
    install_requires=[
        'setuptools',
        'torch>=2.6',
        'numpy>=1.26',
        'pybullet>=3.2.6',
        'transforms3d>=0.4.1',
        'safetensors>=0.4.3',
        'rich>=13',
        'PyYAML>=6',
        'jaxtyping>=0.2.36',
        'numba>=0.60',
        'rosbags>=0.11',
        'pytorch-kinematics>=0.10',
    ],
    extras_require={
        'ros': ['ros-jazzy-rclpy', 'ros-jazzy-common-interfaces', 'ros-jazzy-rmw-fastrtps-cpp'],
        'test': TEST,
        'dev': ['wheel', *TEST, *LINT],
        'plot': ['matplotlib'],
    },
    maintainer='hlai_control maintainers',
    maintainer_email='maintainers@hlai-control.example',
    description="LeCun's architecture for autonomous intelligence, on robots, over ROS 2.",
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            f'hlai = {NAME}.cli:main',
            f'robot = {NAME}.robots.node:main',
            f'guard = {NAME}.robots.guard_node:main',
            *(f'{module} = {NAME}.{module}.node:main' for module in MODULES),
        ],
    },
)
