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
The actor node: holds the one engine, and plans inside the deadline.

Its loop is ``spin_once -> plan -> publish``. It answers every state with a
command: a plan, a random push while there is no world model, or the safe
command where planning is not possible or not wanted, with the reason.
"""

import sys
import time

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import String, UInt8MultiArray
import torch

from hlai_control.actor.agent import Agent, AgentSettings, Answer
from hlai_control.actor.planners import PlanningSettings
from hlai_control.compiled.ahead import compile_all
from hlai_control.configurator.configuration import from_json as read_configuration
from hlai_control.cost.published import from_json as read_cost
from hlai_control.cost.task import load_task
from hlai_control.graph import (
    APPLIED,
    COMMAND,
    CONFIGURATION,
    COST,
    CRITIC,
    POLICY,
    STATE,
    TIMING,
    WORLD_MODEL,
)
from hlai_control.layout import STD_SUFFIX
from hlai_control.learning.artefact import decode
from hlai_control.learning.versions import tick_of
from hlai_control.readings import StampGate
from hlai_control.robots.manifest import load_robot
from hlai_control.ros.diagnostics import OK, WARN
from hlai_control.ros.functions import CRITIC_KIND, POLICY_KIND, unpack, WORLD_MODEL_KIND
from hlai_control.ros.lifecycle import ManagedNode
from hlai_control.ros.parameters import read, Run
from hlai_control.ros.process import raise_priority
from hlai_control.ros.process import run as run_node
from hlai_control.ros.qos import CONTROL, FUNCTION, learner
from hlai_control.ros.signals import from_message, Signal, to_message
from hlai_control.ros.stamp_clock import StampClock
from hlai_control.ros.trajectories import PlanViews
from hlai_control.settings import (
    AdjointSettings,
    CemSettings,
    ConstraintSettings,
    CriticSettings,
    CuriositySettings,
    DdpSettings,
    HybridSettings,
    IcemSettings,
    MppiSettings,
    PlannerSettings,
    PolicySettings,
    RiskSettings,
    ScheduleSettings,
    WorldModelSettings,
)
from hlai_control.types import Budget, Estimate

TIMING_NAMES = ('latency_s', 'plan_s', 'ticks', 'late', 'skipped', 'world_model', 'critic',
                'energy', 'anticipated', 'iterations', 'violation', 'exploring', 'proposed',
                'gained', 'budget_s')
# A violation that is not finite, for nothing but NaN can be published as -1.
_UNMEASURED = 1e9
# Shares of the control period after which refinement stops, in real time: since the state came,
# and since it was measured.
PLAN_SHARE, ANSWER_SHARE = 0.6, 0.8
# Among real-time processes: last, for it works the longest.
RANK = 10


class ActorNode(ManagedNode):
    """Chooses the action by minimising the energy."""

    def __init__(self) -> None:
        """Declare the parameters."""
        super().__init__('actor', 'Planner', [
            PlannerSettings, HybridSettings, DdpSettings, AdjointSettings, CemSettings,
            IcemSettings, MppiSettings, RiskSettings, CuriositySettings, ConstraintSettings,
            WorldModelSettings, CriticSettings, PolicySettings, ScheduleSettings])

    def setup(self, run: Run) -> None:
        """Build the agent, join everything, and warm torch up."""
        torch.set_num_threads(1)
        manifest = load_robot(run.robot)
        self._layout, self._period_ns = manifest.layout, manifest.period_ns
        self._run = run
        self._names = self._layout.states + tuple(
            name + STD_SUFFIX for name in self._layout.states)
        planning = PlanningSettings(
            read(self, PlannerSettings), read(self, HybridSettings), read(self, DdpSettings),
            read(self, AdjointSettings), read(self, CemSettings), read(self, IcemSettings),
            read(self, MppiSettings), read(self, RiskSettings), read(self, CuriositySettings),
            read(self, ConstraintSettings))
        self._iterations, self._stride = planning.planner.iterations, planning.planner.stride
        self._agent = Agent(self._layout, AgentSettings(
            planning, read(self, WorldModelSettings), read(self, CriticSettings),
            read(self, ScheduleSettings), read(self, PolicySettings)), run.seed, run.lockstep)
        # Zero where that is safe; a robot that holds is left to the guard by saying nothing,
        # but in lockstep every tick needs an answer.
        self._says_zero = manifest.safe_command == 'zero' or run.lockstep
        self._safe = np.clip(np.zeros(self._layout.action_size), self._layout.action_low,
                             self._layout.action_high)
        self._join()
        self.diagnostics.fact('device', str(self._agent.device))
        self._agent.warm_up(load_task(run.task, manifest).cost)
        self.diagnostics.fact('priority', 'lockstep' if run.lockstep else raise_priority(RANK))

    def _join(self) -> None:
        agent, layout = self._agent, self._layout
        rate_hz = 1.0 / layout.period_s
        self._command = self.speak(JointState, COMMAND, CONTROL)
        self._timing = self.speak(JointState, TIMING, learner(rate_hz))
        self._views = PlanViews(self.speak, layout, self._stride * self._period_ns,
                                layout.delay_ticks * self._period_ns)
        self.listen(JointState, STATE, self._on_state, CONTROL)
        self.listen(JointState, APPLIED, self._on_applied, learner(rate_hz))
        self.listen_always(UInt8MultiArray, WORLD_MODEL, lambda message: agent.models.put(
            decode(unpack(message), layout, WORLD_MODEL_KIND, agent.model_like)), FUNCTION)
        self.listen_always(UInt8MultiArray, CRITIC, lambda message: agent.critics.put(
            decode(unpack(message), layout, CRITIC_KIND, agent.critic_like)), FUNCTION)
        self.listen_always(UInt8MultiArray, POLICY, lambda message: agent.policies.put(
            decode(unpack(message), layout, POLICY_KIND, agent.policy_like)), FUNCTION)
        self.listen_always(String, COST, lambda message: agent.put_cost(
            read_cost(message.data)), FUNCTION)
        self.listen_always(String, CONFIGURATION, lambda message: agent.put_configuration(
            read_configuration(message.data)), FUNCTION)

    def start(self) -> None:
        """Begin a new motion with all that is known."""
        self._gate = StampGate()
        self._stamp_clock = StampClock(self._run.real_time_factor)
        self._agent.restart()
        self._state: Signal | None = None
        self._arrival_s = 0.0
        self._ticks, self._late, self._skipped = 0, 0, 0

    def stop(self) -> None:
        """Leave with the safe command; the guard takes over from there."""
        if self._gate.last_ns is not None and self._says_zero:
            self._send(self._gate.last_ns + 1, self._safe)

    def _on_state(self, message: JointState) -> None:
        signal = from_message(message, self._names)
        self._gate.check(signal.stamp_ns)
        if self._state is not None:
            self._skipped += 1
        self._state, self._arrival_s = signal, time.monotonic()

    def _on_applied(self, message: JointState) -> None:
        signal = from_message(message, self._layout.actions)
        self._agent.applied.put(tick_of(signal.stamp_ns, self._period_ns),
                                torch.from_numpy(signal.values).float())

    def work(self) -> bool:
        """Answer the newest state, once everything it needs is here."""
        if not self.active or self._state is None:
            return False
        tick = tick_of(self._state.stamp_ns, self._period_ns)
        waits_for = self._agent.waits_for(tick)
        self.diagnostics.fact('waits for', waits_for)
        if waits_for:
            return False
        state, self._state = self._state, None
        began_s, deadline_s = time.monotonic(), self._deadline_s(state.stamp_ns)
        both = torch.from_numpy(state.values).float()
        size = self._layout.state_size
        answer = self._agent.answer(tick, state.stamp_ns, Estimate(both[:size], both[size:]),
                                    self._budget(deadline_s))
        if answer.command is not None:
            self._send(state.stamp_ns, answer.command.double().numpy())
        elif self._says_zero:
            self._send(state.stamp_ns, self._safe)
        # Lockstep has a budget of iterations alone.
        budget_s = 0.0 if self._run.lockstep else max(deadline_s - began_s, 0.0)
        self._report(state.stamp_ns, answer, time.monotonic() - began_s, budget_s)
        if answer.plan is not None:
            self._views.show(state.stamp_ns, answer.plan, self._agent.sensitivity)
        return False

    def _deadline_s(self, stamp_ns: int) -> float:
        period_s = self._layout.period_s / self._run.real_time_factor
        by_arrival = self._arrival_s + PLAN_SHARE * period_s
        age_s = self._stamp_clock.age_s(stamp_ns)
        if age_s is None or age_s > period_s:
            return by_arrival  # stamps of another clock say nothing
        return min(by_arrival, time.monotonic() - age_s + ANSWER_SHARE * period_s)

    def _budget(self, deadline_s: float) -> Budget:
        if self._run.lockstep:
            return Budget(self._iterations)
        span_s = PLAN_SHARE * self._layout.period_s / self._run.real_time_factor
        return Budget(self._iterations, lambda: (deadline_s - time.monotonic()) / span_s)

    def _send(self, stamp_ns: int, command: np.ndarray) -> None:
        self._command.publish(to_message(Signal(stamp_ns, self._layout.actions, command)))

    def _report(self, stamp_ns: int, answer: Answer, plan_s: float, budget_s: float) -> None:
        latency_s = None if self._run.lockstep else self._stamp_clock.age_s(stamp_ns)
        if latency_s is None:
            latency_s = time.monotonic() - self._arrival_s
        self._ticks += 1
        if latency_s > self._layout.period_s / self._run.real_time_factor:
            self._late += 1
        plan = answer.plan
        values = [latency_s, plan_s, self._ticks, self._late, self._skipped,
                  self._agent.models.version, self._agent.critics.version,
                  plan.energy if plan else 0.0, plan.anticipated if plan else 0.0,
                  plan.iterations if plan else 0,
                  min(plan.violation, _UNMEASURED) if plan else 0.0,
                  float(answer.exploring), plan.proposed if plan else 0.0,
                  plan.gained if plan else 0.0, budget_s]
        if plan is not None and plan.rejected:
            self.diagnostics.count('candidates rejected: not finite', plan.rejected)
        self.diagnostics.state(answer.reason, OK if plan is not None and plan.feasible else WARN)
        values = np.nan_to_num(np.array(values), nan=-1.0, posinf=-1.0)
        self._timing.publish(to_message(Signal(stamp_ns, TIMING_NAMES, values)))


def _make() -> ActorNode:
    # On a fresh installation this takes half a minute: longer than a transition may.
    compile_all()
    return ActorNode()


def main() -> int:
    """Run the actor node."""
    return run_node(_make)


if __name__ == '__main__':
    sys.exit(main())
