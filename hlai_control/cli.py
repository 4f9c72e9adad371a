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

"""``hlai``: verbs only where stock ROS has none."""

from collections.abc import Callable, Sequence
import sys

from hlai_control import __version__
from hlai_control.errors import HlaiError, SettingsError, UsageError

HELP = """usage: hlai VERB [key:=value ...]

  up       start the whole graph and watch it
           robot:=cartpole task:=swingup mode:=realtime|lockstep
           real_time_factor:=1.0 stop_when:=solved timeout_s:=60 (of motion)
           seed:=0 run_dir:=DIR domain:=N model:=FILE (that hlai train has written)
           simulation:=false (the robot is there already; it begins in hold)
           resume:=RUN (goes on with a run of before, all that it learned included)
  eval     run many independent lockstep runs through the same graph
           robot:=cartpole task:=swingup seeds:=10 first_seed:=0
           timeout_s:=30 (of motion, per run) json:=FILE (and FILE.png beside it)
           model:=FILE (that hlai train has written; every run begins with it)
  eval plot
           draw the survival curves of such a file again: json:=FILE
  eval paradigms
           the lecture's paradigms side by side, from model-free RL to our agent
           robots:=pendulum,cartpole rows:=agent,sac seeds:=20 first_seed:=0
           budget_s:=20 (of motion, per run; without it as each row states)
           json:=FILE (kept after each run; the same command goes on)
  train    learn a world model from a recording (rosbag2), without the robot
           bag:=FOLDER robot:=cartpole out:=trained/cartpole seed:=0
           epochs:=200 patience:=20 (epochs without a better one)
  export   write the transitions of a run as a recording (rosbag2, MCAP)
           run:=FOLDER bag:=FOLDER robot:=cartpole
  bench planner
           compare planners, of other packages too, on the same learned models
           json:=FILE starts:=20 seed:=2026 ticks:=25 systems:=cartpole,arm peers:=yes|no
  init-robot
           draft a robot's manifest, and a first task, from its URDF
           urdf:=FILE out:=my_robot.yaml name:=NAME rate_hz:=20
           interface:=velocity|effort|position (of joints without <ros2_control>)
  doctor   check this machine, and say what to do about each finding

Any setting of a room may be added, for example planner.horizon:=20.
Exit status of up: 0 solved (or ended by Ctrl-C without stop_when), 3 time was
up, 130 ended by Ctrl-C before it was solved, 1 error, 2 wrong arguments.
"""


def _up(arguments: Sequence[str]) -> int:
    from hlai_control.parent.up import up
    return up(arguments)


def _eval(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == 'paradigms':
        from hlai_control.parent.paradigms import paradigms
        return paradigms(arguments[1:])
    from hlai_control.parent.evaluate import evaluate
    return evaluate(arguments)


def _train(arguments: Sequence[str]) -> int:
    from hlai_control.parent.train import train
    return train(arguments)


def _export(arguments: Sequence[str]) -> int:
    from hlai_control.parent.export import export
    return export(arguments)


def _bench(arguments: Sequence[str]) -> int:
    from hlai_control.parent.bench import bench
    return bench(arguments)


def _init_robot(arguments: Sequence[str]) -> int:
    from hlai_control.parent.init_robot import init_robot
    return init_robot(arguments)


def _doctor(arguments: Sequence[str]) -> int:
    from hlai_control.parent.doctor import doctor
    return doctor(arguments)


# Each verb imports what it needs, so that help and errors come at once.
VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    'up': _up, 'eval': _eval, 'train': _train, 'export': _export, 'bench': _bench,
    'init-robot': _init_robot, 'doctor': _doctor}


def main() -> int:
    """Run one verb."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ('-h', '--help', 'help'):
        print(HELP, end='')
        return 0 if arguments else 2
    if arguments[0] == '--version':
        print(f'hlai_control {__version__}')
        return 0
    verb = VERBS.get(arguments[0])
    if verb is None:
        print(f'hlai: unknown verb {arguments[0]!r}; valid: {", ".join(VERBS)}', file=sys.stderr)
        return 2
    try:
        return verb(arguments[1:])
    except (UsageError, SettingsError) as error:
        print(f'hlai: {error}', file=sys.stderr)
        return 2
    except HlaiError as error:
        print(f'hlai: {error}', file=sys.stderr)
        return 1
    except OSError as error:
        print(f'hlai: {error.filename or "the system"}: {error.strerror or error}; make room, or '
              'choose a place that can be written', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
