"""The control loop: one thread that waits for a state, makes the tick and publishes the command before everything else.

Another thread puts states into the mailbox. A tick begins with the arrival of the first state that is due by its
stamp (scheduling.Grid), so its phase locks to the robot's. When none arrives within 1.5 periods, the tick is missed
and counted, and once the newest state is older than the time-out the safe command goes out every period. States that
come between ticks may be answered with the plan's feedback (feedback_player.py). In lockstep every state gets exactly
one command, in the order of the stamps, and no clock is read.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ..controllers.base import Controller
from ..exceptions import ConfigurationError, TargetError
from ..safety.state_machine import Request
from .conditions import LiveConditions
from .control_cycle import ControlCycle
from .event_log import Event
from .feedback_player import FeedbackPlayer
from .interfaces import Clock, CommandSupervisor, Outputs, Tick
from .loop_watch import LoopWatch
from .mailbox import Arrival, Mailbox
from .scheduling import CommandAge, Deadline
from .statistics import LoopStatistics

Result = TypeVar("Result")
WATCH = 0.2  # [s] of wall time between two looks at a clock that may not have begun


class ControlLoop:
    """Makes the ticks of a control cycle in one thread between start() and stop().

    Whoever changes the controller or the supervisor from outside does it through `between_commands`; only targets may
    come at any time.

    Parameters
    ----------
    controller, supervisor, outputs
        the parts of a tick; see controllers/base.py and interfaces.py.
    clock
        the time of deadlines, and the age of the newest state.
    dt
        the control period [s].
    timeout
        once the newest state is older than this [s], the safe command goes out.
    lockstep
        every state gets exactly one command.
    answer_after
        a command leaves no earlier than this long after its state can have come [s].
    frame_latency
        from exposure to features [s]; in lockstep frames count from then on.
    shadow
        another controller drives the robot: what acts is the measured effort.
    player, player_period
        answers states between two ticks, for how long [s] each of its commands holds; None: they are not answered.
    keep_alive
        while a state is late, the last command is sent again every period: a guard takes silence for a failure.
    before_tick
        is called in the thread before each state is answered, outside of the tick.
    settle
        is called first in the thread.
    """

    def __init__(
        self,
        controller: Controller,
        supervisor: CommandSupervisor,
        outputs: Outputs,
        clock: Clock,
        *,
        dt: float,
        timeout: float,
        lockstep: bool = False,
        answer_after: float = 0.0,
        frame_latency: float = 0.0,
        shadow: bool = False,
        player: FeedbackPlayer | None = None,
        player_period: float | None = None,
        keep_alive: bool = False,
        before_tick: Callable[[], None] = lambda: None,
        settle: Callable[[], None] = lambda: None,
    ):
        self.controller, self.supervisor, self.outputs, self.clock = controller, supervisor, outputs, clock
        self.dt, self.lockstep = dt, lockstep
        conditions = self._conditions = LiveConditions(
            clock, dt, timeout, lockstep=lockstep, answer_after=answer_after, shadow=shadow
        )
        self._cycle = ControlCycle(
            controller,
            supervisor,
            outputs,
            conditions,
            dt=dt,
            timeout=timeout,
            lockstep=lockstep,
            player=player,
            player_period=player_period,
        )
        self.mailbox = Mailbox(
            dt,
            lockstep=lockstep,
            player_period=player_period if player else None,
            events=self.statistics.events,
            frame_latency=frame_latency,
        )
        self.deadline = Deadline(dt)
        self.exclusive = threading.Lock()  # held during a tick
        self._settle, self._keep_alive, self._before_tick = settle, keep_alive, before_tick
        self._stopping = self._stands = False  # whether time stood still at the last look
        self._paused = 0.0  # [s]: the longest time without this thread since the newest state was answered
        self._watched, self._timeout = -math.inf, timeout  # when the clock was last watched
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None

    @property
    def statistics(self) -> LoopStatistics:
        """Counts and durations of the ticks."""
        return self._cycle.statistics

    @property
    def age(self) -> CommandAge:
        """How old the commands that act are, beyond the delay."""
        return self._cycle.age

    @property
    def loop_watch(self) -> LoopWatch:
        """Whether the closed loop is bad."""
        return self._cycle.loop_watch

    @property
    def commands_sent(self) -> int:
        """The number of the last command, counted from 1 since construction."""
        return self._cycle.commands_sent

    # --- from any thread ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread.

        Raises
        ------
        ConfigurationError
            if the robot may not be commanded with this configuration.
        """
        if self.supervisor.unready:
            raise ConfigurationError(self.supervisor.unready, key="supervisor.safe_effort")
        prepared = self.controller.joins.prepared  # how long that takes is no part of a recording: each end is an event
        self.between_commands("activate", self._begin, leaps_recorded=True, joins_recorded=prepared)
        self.mailbox.open()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the last thing it sends is the safe command."""
        self._stopping = True
        self.mailbox.close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def between_commands(self, name: str, action: Callable[[], Result], **details: Any) -> Result:
        """Run `action` between two commands and record it as the event `name`, unless it raises an error.

        Parameters
        ----------
        name
            of the event.
        action
            what is done; its result is returned.
        details
            whatever doing it again in a replay needs, as JSON values.
        """
        with self.exclusive:
            event = self._cycle.event(name, **details)
            result = action()
            self.outputs.event(event)
            return result

    def request(self, request: Request) -> bool:
        """Handle HOLD, RESUME, CLEAR or E_STOP; return whether it was granted. An E_STOP acts at once."""
        return self.between_commands(request.name.lower(), lambda: self._cycle.request(request))

    def stop_motion(self, accepted: int | None = None) -> bool:
        """Let the arm come to rest and forget every target; it stays ready for the next one.

        Parameters
        ----------
        accepted
            nothing is done where other than so many targets have been accepted by now.

        Returns
        -------
        bool
            whether it was done.
        """

        def stop() -> None:
            if accepted is not None and self.controller.targets_accepted != accepted:
                raise TargetError("another target has come")
            self._cycle.stop_motion()

        try:
            self.between_commands("stop_motion", stop)
        except TargetError:
            return False
        return True

    def target_refused(self, topic: str, stamp: float, newer: int = 0) -> None:
        """Record that a target with the header stamp `stamp` [s] was refused: a replay must not give it later.

        newer: how many came on its topic with this stamp since.
        """
        self.tell_of_target("refuse_target", topic=topic, stamp=stamp, **({"newer": newer} if newer else {}))

    def tell_of_target(self, name: str, **details: Any) -> None:
        """Record as the event `name` what was found of a target; `details` are JSON values."""
        self.outputs.event(Event(name, self.commands_sent, self.controller.targets_accepted, details=details))

    # --- in the control thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._settle()
        while True:
            arrival = self.mailbox.take(None if self.lockstep else self._time_left)
            if self._stopping:
                break
            if arrival is not None:
                self._before_tick()
            with self.exclusive:
                tick = self._miss() if arrival is None else self._answer(arrival)
            self._cycle.publish_results(tick)
        self.between_commands("deactivate", self._cycle.end)

    def _begin(self) -> None:
        self._stopping = False
        self._cycle.begin()

    def _time_left(self) -> float:
        """Return how long to wait for a state [s]: to the deadline, or a period of the wall clock while time stands."""
        if self._cycle.beginning or self.clock.stands():
            return self._watched + (self.dt if self._stands else WATCH) - self.clock.elapsed()
        return self.deadline.time - self.clock.now()

    def _answer(self, arrival: Arrival) -> Tick | None:
        if arrival.repeated:
            self._cycle.repeat_command(arrival.observation.stamp)
            return None
        if not arrival.due:
            self._cycle.play(arrival)
            return None
        if self._stands:
            self._watch_time()
        tick, self._paused = self._cycle.tick(arrival), 0.0
        self.deadline.after_tick(self.clock.now())
        return tick

    def _watch_time(self) -> bool:
        """Return whether time stands still, and report a change."""
        self._watched, stands = self.clock.elapsed(), self.clock.stands()
        if stands is not self._stands:
            self._stands = stands
            what = "simulated time stands still or has not begun: no message on /clock" if stands else "/clock is back"
            self.outputs.log("warning" if stands else "info", what)
        return stands

    def _miss(self) -> Tick | None:
        stands = self._watch_time()
        if self._cycle.beginning:
            return None
        paused, noted = self._conditions.paused(self.deadline.time), self._paused
        self._paused = max(noted, paused)
        # states wait: a safe command and the answer to one of them would leave in one period. Once only, since coarse
        # simulated time looks like a pause in every period, also where the robot is silent
        if paused and not noted:
            self.statistics.add_miss()
            self.deadline.after_miss(self.clock.now())
            return None
        age = self.clock.age() - self._paused  # once: the robot was not silent while nobody could listen
        if stands:  # the safe command goes out; no simulated time has passed in which a fault could begin
            # a position that is held is safe; braking would lead it away from an arm for which time stands, too
            age = 0.0 if self.controller.robot.interface == "position" else max(age, 1.001 * self._timeout)
        self.deadline.after_miss(self.clock.now())
        tick = self._cycle.miss(age)
        if tick is None and (self._keep_alive or stands):
            self._cycle.repeat_command()
        return tick
