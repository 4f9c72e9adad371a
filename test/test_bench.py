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

"""``hlai bench planner``: calls counted by hand, verdicts on made-up samples, one tiny run."""

from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
import signal
import subprocess
import sys

import pytest
import torch

from hlai_control.actor.objective import jacobians
from hlai_control.actor.rollout import roll_out
from hlai_control.bench.cold import Sample
from hlai_control.bench.competitors import own, REFERENCE, SUBJECT
from hlai_control.bench.counting import CountingDynamics
from hlai_control.bench.learned import Training
from hlai_control.bench.planner import measured
from hlai_control.bench.plot import plot
from hlai_control.bench.report import markdown
from hlai_control.bench.results import keep, load, Results, resume
from hlai_control.bench.systems import chosen, starting_positions, SYSTEMS
from hlai_control.bench.verdict import at_calls, bootstrap, curve, races, seconds_to
from hlai_control.cost.solved import at_goal
from hlai_control.cost.task import load_task
from hlai_control.errors import UsageError
from hlai_control.parent import bench as parent
from hlai_control.robots.manifest import load_robot

SETTINGS = {'starts': 1, 'seed': 3, 'ticks': 2, 'peers': False}


class Line:
    """A mass on a line, two members: x' = x + 0.1 v, v' = v + 0.1 a."""

    members, latent_size = 2, 0

    def step(self, state, action, z=None):
        x, v = state.unbind(dim=-1)
        return torch.stack([x + 0.1 * v, v + 0.1 * action[..., 0].expand_as(v)], dim=-1)


class Whole(Line):
    """The same, which differentiates itself."""

    def whole(self, like, count):
        return True

    def follow(self, start, base, reference, gains, closed, low, high):
        return base, torch.zeros(len(gains), len(base), base.shape[1] + 1, len(start))

    def linearise(self, states, actions):
        return torch.zeros(*states.shape, states.shape[-1] + actions.shape[-1])


def test_a_call_is_one_state_step_of_all_members():
    model = CountingDynamics(Line())
    roll_out(torch.zeros(2), torch.zeros(7, 5, 1), model)
    assert model.calls == 7 * 5


def test_a_reverse_pass_counts_two_more_each_time():
    model = CountingDynamics(Line())
    actions = torch.zeros(7, 5, 1, requires_grad=True)
    last = roll_out(torch.zeros(2), actions, model)[:, :, -1].square().sum()
    assert model.calls == 35
    torch.autograd.grad(last, actions, retain_graph=True)
    assert model.calls == 35 + 70
    torch.autograd.grad(last, actions)
    assert model.calls == 35 + 70 + 70


def test_a_jacobian_by_reverse_passes_counts_s_copies_of_each_step():
    model = CountingDynamics(Line())
    jacobians(model, torch.zeros(2, 5, 2), torch.zeros(5, 1))
    # S = 2 copies of T = 5 steps; one reverse pass for each of the two members.
    assert model.calls == 2 * 5 * (1 + 2 * 2)


def test_a_model_that_differentiates_itself_counts_s_plus_a_for_each_step():
    model = CountingDynamics(Whole())
    with torch.no_grad():
        jacobians(model, torch.zeros(2, 5, 2), torch.zeros(5, 1))
        assert model.calls == 5 * (2 + 1)
        roll_out(torch.zeros(2), torch.zeros(7, 5, 1), model)
    assert model.calls == 5 * 3 + 7 * 5


def sample(name, start, iterations, seconds, calls, cost):
    return Sample(name, start, iterations, seconds, calls, cost)


# Doing nothing costs 10, the best plan anywhere 0: levels are tenths of the cost.
SAMPLES = [one for start in range(3) for one in (
    sample('idle', start, 1, 0.0, 0, 10.0),
    sample('whole', start, 1, 0.1, 100, 4.0), sample('whole', start, 5, 0.5, 1000, 1.0),
    sample('mine', start, 1, 0.01, 10, 3.0), sample('mine', start, 4, 0.04, 40, 0.0),
    sample('peer', start, 1, 0.06, 60, 3.0), sample('peer', start, 8, 0.48, 480, 0.05),
    sample('slow', start, 1, 1.0, 60, 0.5))]


def test_costs_are_compared_at_equal_calls():
    two, five = (at_calls(SAMPLES, 'mine', 'whole', share) for share in (0.02, 0.05))
    assert two.difference.value == 2.0 and two.as_good == 0.0   # 10 calls of 20: 3 against 1
    assert five.difference.value == -1.0 and five.as_good == 1.0
    assert at_calls(SAMPLES, 'peer', 'whole', 0.02).difference.value == inf


def test_who_reaches_a_cost_first():
    assert seconds_to(SAMPLES, 'mine', 0, 3.0) == 0.01
    assert seconds_to(SAMPLES, 'whole', 0, 0.9) == inf
    half, *_, finest = races(SAMPLES, 'mine', ['slow', 'peer'], 'idle')
    assert (half.peer, half.subject_s, half.ratio.value) == ('peer', 0.01, pytest.approx(6.0))
    # Within 1 % of 10 there is one peer: 0.48 s against 0.04 s.
    assert (finest.level, finest.peer) == (0.01, 'peer')
    assert finest.ratio.value == pytest.approx(12.0)


def test_the_curve_is_the_best_so_far():
    assert curve(SAMPLES, 'whole', 'idle', [0.05, 0.2, 0.6]) == [inf, 0.4, 0.1]


def test_the_interval_contains_the_value_and_shrinks_to_it():
    found = bootstrap([1.0, 2.0, 6.0], lambda values: sum(values) / len(values))
    assert found.value == 3.0 and 1.0 <= found.low < 3.0 < found.high <= 6.0
    same = bootstrap([2.0] * 5, lambda values: sum(values) / len(values))
    assert (same.low, same.high) == (2.0, 2.0)


@pytest.mark.parametrize('system', SYSTEMS, ids=lambda system: system.name)
def test_no_start_is_solved_already(system):
    manifest = load_robot(system.robot)
    solved = load_task(system.task, manifest).solved
    places = starting_positions(system, 20, 3)
    first = starting_positions(system, 5, 3)
    assert all((a == b).all() for a, b in zip(places, first, strict=False))
    assert any((a != b).any() for a, b in zip(
        places, starting_positions(system, 20, 4), strict=True))
    for place in places:
        state = dict.fromkeys(manifest.layout.states, 0.0)
        state |= dict(zip(manifest.layout.positions, place, strict=True))
        assert not at_goal(solved, state)


@pytest.fixture(scope='module', name='tiny')
def _tiny() -> Results:
    """Train hardly at all, plan twice from one start, with candidates by the dozen."""
    pendulum = replace(chosen('pendulum')[0], horizon=5, hidden=4)
    few = tuple(replace(one, warm=1, cold=1, most=1) for one in own())
    told = []
    found = measured(pendulum, few, 1, 3, 2, Training(4, 3, 2), lambda: told.append(1))
    assert len(told) == 3
    return Results(SETTINGS, {
        'date': '2026-01-01', 'machine': {'processor': 'a'}, 'versions': {'python': '3'},
        'competitors': {one.name: {'kind': one.kind, 'settings': one.settings} for one in few}},
        {'pendulum': found})


def test_a_tiny_run_from_end_to_end(tiny):
    system = tiny.systems['pendulum']
    names = [one.name for one in own()]
    assert [sample.competitor for sample in system.samples] == names
    assert [loop.competitor for loop in system.loops] == names
    assert all(isfinite(loop.cost) and loop.without == 0 for loop in system.loops)
    calls = {sample.competitor: sample.calls for sample in system.samples}
    # One refinement of 2000 candidates; the mean is scored once more at the end.
    assert 2000 * 5 <= calls[REFERENCE] <= 2001 * 5 + 5
    assert 0 < calls[SUBJECT] < 0.2 * calls[REFERENCE] and calls['do nothing'] == 0
    assert all(0.0 < one < 2.0 for one in system.one_step)


def test_results_are_read_as_they_were_written(tiny, tmp_path):
    path = tmp_path / 'bench.json'
    keep(path, tiny)
    assert load(path).systems['pendulum'].states == tiny.systems['pendulum'].states
    assert load(path).systems['pendulum'].samples[0].cost == pytest.approx(
        tiny.systems['pendulum'].samples[0].cost, rel=1e-6)
    assert list(resume(path, SETTINGS)) == ['pendulum']
    with pytest.raises(UsageError, match='other settings'):
        resume(path, SETTINGS | {'starts': 2})
    refused = subprocess.run([sys.executable, '-m', parent.MODULE, 'peers:=no', f'json:={path}'],
                             capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and 'hlai: json:=' in refused.stderr
    path.write_text('[]')
    with pytest.raises(UsageError, match='choose another file'):
        load(path)


def test_the_report_has_every_planner_and_a_plot(tiny, tmp_path):
    text = markdown(tiny, tmp_path / 'bench.json')
    assert 'seed 3' in text
    for one in own():
        assert text.count(f'| {one.name} |') == 2
    plot(tiny, tmp_path / 'bench.png')
    assert (tmp_path / 'bench.png').stat().st_size > 5000


@pytest.mark.parametrize(('arguments', 'text'), [
    ([], 'hlai bench planner'), (['planets'], 'hlai bench planner'),
    (['planner', 'systems:=cart'], 'cartpole, pendulum'), (['planner', 'starts:=0'], '1 .. '),
    (['planner', 'seed:=-1'], '0 .. '),
    (['planner', 'peers:=some'], 'yes, no'), (['planner', 'planner.horizon:=3'], 'own settings'),
    (['planner', 'json:=/no/such/folder/a.json'], 'a folder that exists')])
def test_wrong_arguments_are_refused(arguments, text):
    with pytest.raises(UsageError, match=text):
        parent.bench(arguments)


def test_peers_that_are_missing_are_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(parent, 'MODULES', ('torch', 'no_such_planner'))
    with pytest.raises(UsageError, match='no_such_planner.*') as found:
        parent.bench(['planner'])
    assert 'make bench-setup' in str(found.value) and 'peers:=no' in str(found.value)
    requirements = Path(__file__).parents[1] / 'benchmark' / 'requirements.txt'
    assert all(f'\n{name}==' in requirements.read_text() for name in parent.PEERS)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_at_once(number):
    process = subprocess.Popen([sys.executable, '-m', 'hlai_control.cli', 'bench', 'planner',
                                'peers:=no', 'systems:=pendulum'],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    while process.poll() is None and not children.read_text():
        pass
    process.send_signal(number)
    assert process.wait(timeout=20) == 130
