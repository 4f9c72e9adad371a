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


"""How the critic learns: temporal differences over real and imagined steps."""

from collections.abc import Mapping
from copy import deepcopy

from jaxtyping import Float
import torch
from torch import Tensor

from hlai_control.critic.lessons import Lessons
from hlai_control.critic.returns import lambda_returns
from hlai_control.critic.value import ValueNetwork
from hlai_control.layout import Layout
from hlai_control.learning.adam import Adam
from hlai_control.learning.replay import Replay
from hlai_control.protocols import CostFunction, Dynamics, PolicyFunction
from hlai_control.settings import CriticSettings
from hlai_control.types import Batch, Transition

# Actions tried per state and imagined step, beside both limits and doing nothing.
_TRIED = 5
# The value's unit, in mean stage costs.
_SPAN = 10.0
# Share of the newest step in the running judgement of the critic: about 50 ticks of memory.
_JUDGE = 0.02
# As many of the newest steps judge a value that was learned before: 0.98^250 is under 1 %.
_RECENT = 250
# A return is as wrong as its size, and never less than a part of the unit: errors count in units
# of both. In units of the whole value, what the goal's surroundings cost would be noise.
_RELATIVE, _FLOOR = 0.1, 0.05
# As many transitions tell what another cost is like.
_KNOWN = 100_000


class CriticLearner:
    """
    Fitted value iteration along imagined roll-outs, anchored in real steps.

    From states that the robot visited, the world model is followed for a few
    ticks under the best of a handful of tried actions, judged by one step of
    look-ahead and the target networks. Every state on the way is regressed on
    its own TD(lambda) return (``critic/returns.py``); the recorded step and its
    one-step return compete with the imagined ones. Where there is a policy, its
    command is among those tried. Beside that, plans teach (``critic/lessons.py``).
    Each value network learns from its own half of every batch, all from the
    same targets: the aggregated value of their slower copies.

    :param layout: the robot.
    :param cost: the stage cost; nothing in it is learned.
    :param discount: per control period.
    :param settings: sizes and rates.
    :param generator: draws initial weights, batches and tried actions.
    """

    def __init__(self, layout: Layout, cost: CostFunction, discount: float,
                 settings: CriticSettings, generator: torch.Generator) -> None:
        """Begin with a constant value and an empty memory."""
        self._cost, self._discount = cost, discount
        self._settings, self._generator = settings, generator
        self._value = ValueNetwork(layout, settings, generator)
        self._target = deepcopy(self._value)
        self._optimiser = Adam(self._value.network.parameters(), settings.learning_rate)
        self._moments = torch.zeros(2, layout.state_size, dtype=torch.float64)
        self._mean_cost, self._worst_cost = 0.0, 0.0
        self._surprise, self._variation = 0.0, 0.0
        self._low = torch.tensor(layout.action_low)
        self._high = torch.tensor(layout.action_high)
        self._target.trust.fill_(1.0)
        self.replay = Replay(layout)
        self.lessons = Lessons(layout, cost, discount)

    @property
    def target(self) -> ValueNetwork:
        """Hand out the slower copy, fully trusted: the terminal value of plans to learn from."""
        return self._target

    @property
    def value(self) -> ValueNetwork:
        """Hand out the value function as trained so far."""
        return self._value

    @property
    def moments(self) -> Float[Tensor, '2 S']:
        """Mean and mean square of each state coordinate so far."""
        return self._moments.float()

    def add(self, transition: Transition) -> None:
        """
        Remember one transition and let the scales follow it.

        :raises SignalError: if a number in it is not finite.
        """
        self.replay.add(transition)
        share = 1.0 / self.replay.total
        state = transition.state.double()
        self._moments.lerp_(torch.stack([state, state.square()]), share)
        stage = float(self._cost.stage(transition.state, transition.action))
        self._judge(transition, stage)
        self._mean_cost += share * (stage - self._mean_cost)
        self._worst_cost = max(self._worst_cost, stage)
        self._rescale()

    @torch.no_grad()
    def extend(self, batch: Batch) -> None:
        """
        Remember many transitions, oldest first; the scales come to the same as one by one.

        The value is not judged by them: it was another one when they happened.

        :raises SignalError: if a number in it is not finite; then none is remembered.
        """
        self.replay.extend(batch)
        share = len(batch.state) / self.replay.total
        state = batch.state.double()
        self._moments.lerp_(torch.stack([state, state.square()]).mean(dim=1), share)
        stages = self._cost.stage(batch.state, batch.action).double()
        self._mean_cost += share * (float(stages.mean()) - self._mean_cost)
        self._worst_cost = max(self._worst_cost, float(stages.max()))
        self._rescale()

    @torch.no_grad()
    def inherit(self, before: 'CriticLearner') -> None:
        """Go on from what a critic of another cost remembers, which is not copied."""
        self.replay, self._moments = before.replay, before._moments.clone()
        rows = (self.replay.latest(_KNOWN) if self.replay.total <= _KNOWN
                else self.replay.sample(_KNOWN, self._generator))
        if not len(rows.state):
            return
        stages = self._cost.stage(rows.state, rows.action)
        self._mean_cost, self._worst_cost = float(stages.double().mean()), float(stages.max())
        self._rescale()
        self._judge_newest()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """
        Go on from a value function learned before, judged by the newest transitions.

        :param tensors: of the value, whose shapes have been checked.
        """
        self._value.load(tensors)
        self._target.load(tensors)
        self._target.trust.fill_(1.0)
        self._judge_newest()

    def _judge_newest(self) -> None:
        rows = self.replay.latest(_RECENT)
        for parts in zip(rows.state, rows.action, rows.next_state, strict=True):
            step = Transition(*parts)
            self._judge(step, float(self._cost.stage(step.state, step.action)))

    def _rescale(self) -> None:
        for network in (self._value, self._target):
            network.features.normalise(*self._moments.float())
            network.unit.fill_(max(_SPAN * self._mean_cost, 1e-6))
            network.ceiling.fill_(max(self._worst_cost, 1e-6) / (1.0 - self._discount + 1e-3))

    @torch.no_grad()
    def _judge(self, transition: Transition, stage: float) -> None:
        # Share of the stage costs' variation that the value explains on a step not yet
        # learned from: a constant value scores 0, a perfect one 1, a harmful one less than 0.
        both = torch.stack([transition.state, transition.next_state])
        now, ahead = self._value.untempered(both).tolist()
        surprise = stage + self._discount * ahead - now
        self._surprise += _JUDGE * (surprise ** 2 - self._surprise)
        self._variation += _JUDGE * ((stage - self._mean_cost) ** 2 - self._variation)
        explained = 1.0 - self._surprise / max(self._variation, 1e-12)
        # Plans vouch for what they teach: real steps alone would earn no trust in the seconds in
        # which it matters most (decision 21).
        self._value.trust.fill_(1.0 if len(self.lessons) else min(max(explained, 0.0), 1.0))

    def update(self, dynamics: Dynamics, policy: PolicyFunction | None = None) -> float:
        """
        Make one Adam update and let the target follow; its cost is constant.

        :param dynamics: the world model to imagine with.
        :param policy: whose commands to try beside others; None: others only.
        :returns: the loss, in units of the value's own scale, squared.
        :raises ShapeError: if nothing has been added yet.
        """
        return self._fit(*self._targets(dynamics, policy), self._settings.learning_rate)

    def practise(self) -> float:
        """
        Make one Adam update on :attr:`lessons`, as :meth:`update` does on imagined steps.

        :raises ShapeError: if there are no lessons yet.
        """
        found = self.lessons.sample(self._settings.practised, self._generator)
        with torch.no_grad():
            returns = found.cost + found.share * self._target.untempered(found.end)
        return self._fit(found.state, returns, self._settings.practice_rate)

    def _fit(self, states: Float[Tensor, 'B S'], returns: Float[Tensor, ' B'],
             rate: float) -> float:
        error = (self._value.each(states) - returns) / (
            _FLOOR * self._value.unit + _RELATIVE * returns)
        own = 2.0 * torch.randint(2, error.shape, generator=self._generator)
        if self._settings.members == 1:
            own = torch.ones_like(error)
        loss = (own * torch.nn.functional.smooth_l1_loss(
            error, torch.zeros_like(error), reduction='none')).mean()
        self._optimiser.rate = rate
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(self._target.network.parameters()),
                                 list(self._value.network.parameters()),
                                 self._settings.target_rate)
        return loss.item()

    @torch.no_grad()
    def _targets(self, dynamics: Dynamics, policy: PolicyFunction | None
                 ) -> tuple[Float[Tensor, 'B S'], Float[Tensor, ' B']]:
        # Each member of the world model imagines from its own share of the states.
        share = max(1, self._settings.batch // dynamics.members)
        rows = self.replay.sample(share * dynamics.members, self._generator)
        state = rows.state.view(dynamics.members, share, -1)
        states, stages, values = [], [], []
        for _ in range(self._settings.imagined_steps):
            states.append(state)
            state, stage, ahead = self._greedy(state, dynamics, policy)
            stages.append(stage)
            values.append(ahead)
        returns = lambda_returns(torch.stack(stages), torch.stack(values), self._discount,
                                 self._settings.trace)
        # What really happened next is one more way to go on from the first state.
        recorded = self._cost.stage(rows.state, rows.action)
        recorded = recorded + self._discount * self._target.untempered(rows.next_state)
        returns[0] = torch.minimum(returns[0], recorded.view_as(returns[0]))
        return torch.stack(states).flatten(0, 2), returns.flatten()

    def _greedy(self, state: Float[Tensor, 'E B S'], dynamics: Dynamics,
                policy: PolicyFunction | None) -> tuple[
                    Float[Tensor, 'E B S'], Float[Tensor, 'E B'], Float[Tensor, 'E B']]:
        # Next state, stage cost and value ahead of the best action tried in each state.
        tried = self._tried(state.shape[1])
        if policy is not None:
            # All members try the same commands: also those meant for another one's state.
            tried = torch.cat([tried, policy.action(state).transpose(0, 1)], dim=1)
        spread = state.unsqueeze(2).expand(-1, -1, tried.shape[1], -1)
        ahead = dynamics.step(spread, tried)
        value = self._target.untempered(ahead)
        stage = self._cost.stage(spread, tried.expand(state.shape[0], -1, -1, -1))
        best = (stage + self._discount * value).argmin(dim=2, keepdim=True)
        chosen = best.unsqueeze(-1).expand(-1, -1, -1, state.shape[-1])
        return (ahead.gather(2, chosen).squeeze(2), stage.gather(2, best).squeeze(2),
                value.gather(2, best).squeeze(2))

    def _tried(self, batch: int) -> Float[Tensor, 'B M A']:
        size = self._low.shape[0]
        share = torch.rand(batch, _TRIED, size, generator=self._generator)
        drawn = self._low + share * (self._high - self._low)
        fixed = torch.stack([self._low, 0.5 * (self._low + self._high), self._high])
        return torch.cat([drawn, fixed.expand(batch, -1, -1)], dim=1)
