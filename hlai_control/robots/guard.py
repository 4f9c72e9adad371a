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
The guard's decision as a pure function: what may go to the hardware, and why.

Whatever comes in, what goes out is finite and within the actuators' limits.
The first thing that is wrong wins, in the order of :class:`Reason`; memory
is only ever what was sent, so that no bad input can poison a later tick.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hlai_control.robots import limits
from hlai_control.robots.ends import Ends
from hlai_control.robots.manifest import RobotManifest
from hlai_control.robots.reasons import Reason
from hlai_control.settings import GuardSettings

NS_PER_S = 1e9


@dataclass(frozen=True)
class Candidate:
    """
    What the actor wants.

    :param stamp_ns: stamp of the measurement that it answers [ns].
    :param values: one per actuator, in the manifest's order; from anybody.
    """

    stamp_ns: int
    values: Sequence[float]


@dataclass(frozen=True)
class Measured:
    """
    The newest measurement.

    :param stamp_ns: its stamp [ns].
    :param position: of each coordinate; NaN: not measured.
    :param velocity: of each coordinate; NaN: not measured.
    """

    stamp_ns: int
    position: Sequence[float]
    velocity: Sequence[float]


@dataclass(frozen=True)
class Situation:
    """
    Everything a decision depends on beside the memory; ages by the steady clock.

    :param candidate: the newest command, None before the first.
    :param measured: the newest measurement, None before the first.
    :param command_age_s: time since the candidate arrived [s].
    :param measurement_age_s: time since the measurement arrived [s].
    :param elapsed_s: time since the previous decision [s].
    :param armed_s: time since arming [s]; None: not armed.
    :param estop: whether an emergency stop is in force.
    :param recent: commands sent that may not have taken effect yet.
    """

    candidate: Candidate | None
    measured: Measured | None
    command_age_s: float
    measurement_age_s: float
    elapsed_s: float
    armed_s: float | None
    estop: bool
    recent: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Decision:
    """
    What goes to the hardware.

    :param values: one per actuator, finite and within the limits; None: send
        nothing, for a robot whose safe command is hold has not told yet
        where it is.
    :param reason: why.
    :param changed: per actuator, whether it differs from the candidate.
    """

    values: tuple[float, ...] | None
    reason: Reason
    changed: tuple[bool, ...]


class Guard:
    """
    Decides for one robot.

    :param manifest: its limits and its safe command.
    :param settings: times and authority.
    """

    def __init__(self, manifest: RobotManifest, settings: GuardSettings) -> None:
        """Lay the manifest's limits out as arrays."""
        self._settings = settings
        self._ends = Ends(manifest)
        self._period_s = manifest.period_s
        # A command each period is no silence, however slow the robot is.
        self._silence_s = max(settings.silence_s, 1.5 * manifest.period_s)
        self._blind_s = max(settings.blind_s, 2.5 * manifest.period_s)
        self._low = np.array([item.low for item in manifest.actuators])
        self._high = np.array([item.high for item in manifest.actuators])
        self._rate = np.array([item.rate_limit for item in manifest.actuators])
        self._finite_rate = np.where(np.isinf(self._rate), 0.0, self._rate)
        self._joint = list(manifest.driven)
        self._free = [i for i in range(len(manifest.joints)) if i not in self._joint]
        self._has_joint = np.array(self._joint) >= 0  # an axis of a twist has none
        self._is_position = np.array([item.interface == 'position'
                                      for item in manifest.actuators])
        self._hold = manifest.safe_command == 'hold'
        self._place_low = np.array([item.low for item in manifest.coordinates])
        self._place_high = np.array([item.high for item in manifest.coordinates])
        self._speed = np.array([item.velocity_limit for item in manifest.coordinates])

    @property
    def memory(self) -> int:
        """How many commands may not have taken effect yet: see ``Situation.recent``."""
        return self._ends.memory

    def decide(self, now: Situation, sent: tuple[float, ...] | None) -> Decision:
        """
        Decide what to send.

        :param now: the situation.
        :param sent: what the previous decision sent, None before the first;
            the guard has no other memory. One that no guard can have sent
            counts as None.
        """
        if sent is not None and (len(sent) != len(self._low) or not limits.is_finite(sent)):
            sent = None
        safe = self._safe_command(now.measured, sent)
        refusal = self._refusal(now)
        if (refusal is not None or safe is None or now.candidate is None
                or now.measured is None or now.armed_s is None):
            # Only a robot that holds, and has not told where it is, gets here unrefused.
            if safe is not None and refusal is not None and refusal.is_of_command:
                # It moves yet, and is seen: zero effort alone would let it run into an end.
                safe = self._braked(safe, now)
            return Decision(None if safe is None else tuple(safe.tolist()),
                            Reason.BLIND if refusal is None else refusal,
                            (True,) * len(self._low))
        wanted = np.array(now.candidate.values, dtype=np.float64)
        low, high = limits.narrow(self._low, self._high, safe, self._authority(now.armed_s))
        clamped = limits.clamp(wanted, low, high)
        reason = Reason.CLAMPED if (clamped != wanted).any() else Reason.PASSED
        previous = safe if sent is None else limits.clamp(np.array(sent), self._low, self._high)
        values, reason = self._limited(clamped, reason, previous, now.elapsed_s, now.measured)
        braked = self._braked(values, now)
        if (braked != values).any():
            values, reason = braked, Reason.BRAKED
        return Decision(tuple(values.tolist()), reason, tuple((values != wanted).tolist()))

    def _refusal(self, now: Situation) -> Reason | None:
        """Name the most severe reason not to use the candidate, None if there is none."""
        if now.estop:
            return Reason.ESTOP
        if now.armed_s is None:
            return Reason.NOT_ARMED
        if now.measured is None or not now.measurement_age_s <= self._blind_s:
            return Reason.BLIND
        if not len(now.measured.position) == len(now.measured.velocity) == len(self._speed):
            return Reason.BLIND
        speed = np.abs(np.array(now.measured.velocity, dtype=np.float64))
        if (speed[self._free] > self._speed[self._free]).any():
            return Reason.OVERSPEED
        if now.candidate is None:
            return Reason.SILENT
        return self._bad_candidate(now.candidate, now.measured.stamp_ns, now.command_age_s)

    def _bad_candidate(self, candidate: Candidate, stamp_ns: int, age_s: float) -> Reason | None:
        if len(candidate.values) != len(self._low):
            return Reason.WRONG_LENGTH
        if not limits.is_finite(candidate.values):
            return Reason.NON_FINITE
        if not age_s <= self._silence_s:
            return Reason.SILENT
        lag_ticks = (stamp_ns - candidate.stamp_ns) / NS_PER_S / self._period_s
        # Topics are not ordered among each other: one tick ahead is in order.
        if lag_ticks < -1.5:
            return Reason.FUTURE
        if lag_ticks > self._settings.stale_ticks + 0.5:
            return Reason.STALE
        return None

    def _safe_command(self, measured: Measured | None,
                      sent: tuple[float, ...] | None) -> limits.Vector | None:
        """Zero, or for a position robot what it was told last or where it is."""
        if not self._hold:
            return np.zeros_like(self._low)
        held = sent
        if held is None and measured is not None and len(measured.position) == len(self._speed):
            held = tuple(float(measured.position[joint]) for joint in self._joint)
        if held is None or not limits.is_finite(held):
            return None
        return limits.clamp(np.array(held), self._low, self._high)

    def _limited(self, values: limits.Vector, reason: Reason, previous: limits.Vector,
                 elapsed_s: float, measured: Measured) -> tuple[limits.Vector, Reason]:
        """Apply rate and ends in turn; the last that changed something is the reason."""
        place = np.array(measured.position, dtype=np.float64)[self._joint]
        speed = np.array(measured.velocity, dtype=np.float64)[self._joint]
        # A position command has its own limits, and cannot push: nothing to block.
        place, speed = (np.where(self._is_position | ~self._has_joint, np.nan, item)
                        for item in (place, speed))
        low, high, fast = (item[self._joint]
                           for item in (self._place_low, self._place_high, self._speed))
        # What time has not passed may not be used up: 0 if the clock says nonsense.
        elapsed_s = min(elapsed_s, self._period_s) if elapsed_s > 0.0 else 0.0
        step = np.where(np.isinf(self._rate), np.inf, self._finite_rate * elapsed_s)
        for name, after in (
                (Reason.RATE_LIMITED, lambda v: limits.limit_rate(v, previous, step)),
                (Reason.POSITION_LIMIT, lambda v: limits.block_outward(v, place, low, high)),
                (Reason.VELOCITY_LIMIT, lambda v: limits.block_outward(v, speed, -fast, fast))):
            before, values = values, after(values)
            if (values != before).any():
                reason = name
        return values, reason

    def _braked(self, values: limits.Vector, now: Situation) -> limits.Vector:
        """Leave room to stop before the ends; more than the authority may be needed for that."""
        assert now.measured is not None
        place, speed = (np.array(item, dtype=np.float64)[self._joint]
                        for item in (now.measured.position, now.measured.velocity))
        recent = [limits.clamp(np.array(item), self._low, self._high) for item in now.recent
                  if len(item) == len(self._low) and limits.is_finite(item)]
        return self._ends.keep(values, place, speed, recent)

    def _authority(self, armed_s: float) -> float:
        """Fraction of the limits in force so long after arming; 0 for a time that is none."""
        if not armed_s >= 0.0:
            return 0.0
        ramp_s = self._settings.ramp_s
        return self._settings.authority * (min(armed_s / ramp_s, 1.0) if ramp_s > 0.0 else 1.0)
