"""The runner: periodic checks, as asyncio sees them."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from . import _fork, _reqbus
from ._errors import ClosedError
from ._records import Stopped
from ._reqbus import Permit, Teller
from ._rounds import Rounds, Work, current, on_loop
from ._waiting import wait_for

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._blocking_runner import BlockingCheck, BlockingRunner

#: What is due: ids, or ids with the seconds for which they have been due.
Due: TypeAlias = Iterable["str | int | tuple[str | int, float]"]
DueOf: TypeAlias = Callable[[], "Due | Awaitable[Due]"]
CheckOf: TypeAlias = Callable[[Any], "Awaitable[object] | object"]
#: How a check ended.
Verdict: TypeAlias = Literal["succeeded", "failed", "panicked"]
OnError: TypeAlias = Callable[["str | None", BaseException], object]

class _Unraisable(NamedTuple):
    """What ``sys.unraisablehook`` takes."""

    exc_type: type[BaseException]
    exc_value: BaseException
    exc_traceback: TracebackType | None
    err_msg: str
    object: object


class Runner(_reqbus.Runner):
    """Periodic checks of many things, such as the health of upstream accounts: a few at once, none twice at a time.

    Every ``every`` seconds (5; 0.001 to a day) ``due`` says what is due: ids, or pairs of an id and for how many seconds
    it has been due. At most ``at_once`` (5, up to 1,024) of them are checked at once, the longest overdue first, of
    equals each comes first in turn; what finds no room is counted and due again at the next round. The first round
    begins at once, or within ``jitter`` seconds, drawn from ``seed``.

    ``check`` is called with a ``Check`` and says whether the item is well: ``False`` is a failure, anything else is not,
    an exception is a check that broke down; none of them ends the runner. A check that takes longer than ``limit`` (63
    seconds) is told and counted as stuck: its id stays in flight until it returns, and its room is lent anew, once.
    ``on_error`` hears of what ``check`` and ``due`` raised, with the id that was checked or ``None``. A ``teller`` tells
    on its bus how checks end.

    Both may be coroutine functions here; by ``.blocking`` they are called on threads. Any thread may use it at any time.
    In a forked child it is a runner of its own, not begun. Raises ``InvalidArgumentError``.
    """

    __slots__ = ("_check", "_due", "_on_error", "_rounds", "_tasks")
    _check: CheckOf
    _due: DueOf
    _on_error: OnError | None
    _rounds: Rounds
    _tasks: set[asyncio.Task[None]]

    def __new__(
        cls,
        due: DueOf,
        check: CheckOf,
        *,
        every: float = 5.0,
        at_once: int = 5,
        limit: float = 63.0,
        jitter: float = 0.0,
        seed: int | None = None,
        on_error: OnError | None = None,
        teller: Teller | None = None,
        _clock: object = None,
    ) -> Self:
        self = super().__new__(
            cls, every=every, at_once=at_once, limit=limit, jitter=jitter, seed=seed, teller=teller, _clock=_clock
        )
        self._due = due
        self._check = check
        self._on_error = on_error
        self._rounds = Rounds()
        self._tasks = set()
        _fork.remember(self)
        return self

    @property
    def blocking(self) -> BlockingRunner:
        """The same runner for threads: its checks run on threads of their own."""
        from ._blocking_runner import BlockingRunner

        return BlockingRunner(self)

    def start(self) -> None:
        """Begins, as a task of the running loop; each check is a task of its own. Twice is once.

        Raises ``ClosedError`` after a ``stop``.
        """
        loop = asyncio.get_running_loop()
        if self._rounds.start():
            self._spawn(loop, Work(self, None), self._ask(loop))

    async def stop(self, timeout: float | None = None) -> Stopped:
        """Stops: no check begins any more, those under way are told, and this waits until they have ended, at most for
        ``timeout`` seconds (the runner's ``limit``). Those that did not are named, and go on.

        From inside a check or ``due`` it does not wait for that call, nor for others that stop the runner from inside.
        Twice is fine.
        """
        own = self._own()
        loop = asyncio.get_running_loop()
        end = loop.time() + (self.limit if timeout is None else timeout)
        self._stop()
        self._rounds.stop(own)
        while True:
            change: asyncio.Future[None] = loop.create_future()
            watcher = on_loop(loop, change)
            self._rounds.watch(watcher)
            try:
                if not self._rounds.left(own) or not await wait_for(change, max(0.0, end - loop.time())):
                    return self._stopped(own)
            finally:
                self._rounds.unwatch(watcher)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def _renew(self) -> None:
        super()._renew()
        self._rounds = Rounds()
        self._tasks = set()

    def _own(self) -> Work | None:
        """What the caller does for this runner, if it does."""
        work = current.get()
        return work if work is not None and work.runner is self and work in self._rounds.works else None

    def _stopped(self, own: Work | None) -> Stopped:
        left = [flight for flight in self.in_flight() if own is None or flight.id != own.id]
        asks = any(work.id is None and work is not own for work in self._rounds.left(None))
        return Stopped(left, not left and not asks)

    def _tell(self, id: str | None, error: BaseException) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(id, error)
        except Exception as other:
            parts = (type(other), other, other.__traceback__, "Exception ignored in", self._on_error)
            hook: Any = sys.unraisablehook
            hook(_Unraisable(*parts))

    def _kick(self) -> None:
        """Has all look at the clock again: for tests, which drive it."""
        self._rounds.wake()

    def _admitted(self, due: Due) -> list[Permit]:
        """Permits for a round; none once it was stopped."""
        items = [item if isinstance(item, tuple) else (item, 0.0) for item in due]
        try:
            return self._admit([(str(id), float(overdue)) for id, overdue in items])
        except ClosedError:
            return []

    def _spawn(self, loop: asyncio.AbstractEventLoop, work: Work, doing: Any) -> None:
        self._rounds.begin(work)
        context = contextvars.copy_context()
        context.run(current.set, work)
        task = context.run(loop.create_task, doing)
        # A loop holds its tasks weakly.
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._rounds.end(work)

        task.add_done_callback(done)

    async def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        """Asks what is due until it is stopped, or its loop ends it."""
        try:
            while not self._rounds.stopped:
                change: asyncio.Future[None] = loop.create_future()
                watcher = on_loop(loop, change)
                self._rounds.watch(watcher)
                try:
                    left = self._until_next_round()
                    if left > 0 and not self._rounds.stopped:
                        await wait_for(change, left)
                        continue
                finally:
                    self._rounds.unwatch(watcher)
                await self._round(loop)
        finally:
            self._stop()
            self._rounds.stop(None)

    async def _round(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.paused:
            self._admitted(())
            return
        try:
            due = self._due()
            items: Any = await due if inspect.isawaitable(due) else due
            permits = self._admitted(items)
        except Exception as error:
            self._fail_round()
            self._tell(None, error)
            return
        for permit in permits:
            self._spawn(loop, Work(self, permit.id), self._run(permit))

    async def _run(self, permit: Permit) -> None:
        """One check. A task that is cancelled drops its permit."""
        verdict: Verdict = "panicked"
        try:
            said = self._check(Check(self, permit))
            well: Any = await said if inspect.isawaitable(said) else said
            verdict = "failed" if well is False else "succeeded"
        except Exception as error:
            self._tell(permit.id, error)
        finally:
            permit._finish(verdict)


class Check:
    """One check of a ``Runner``: what is to be checked, and when it should end."""

    __slots__ = ("_permit", "_runner")

    def __init__(self, runner: Runner, permit: Permit) -> None:
        self._runner = runner
        self._permit = permit

    @property
    def id(self) -> str:
        """What is to be checked."""
        return self._permit.id

    @property
    def time_left(self) -> float:
        """Seconds that are left; 0 when it is over its time."""
        return self._permit.time_left

    @property
    def should_end(self) -> bool:
        """Whether it is to end: it is over its time, or the runner is being stopped."""
        return self._permit.should_end

    async def until_end(self) -> None:
        """Waits until it should end."""
        loop = asyncio.get_running_loop()
        while True:
            change: asyncio.Future[None] = loop.create_future()
            watcher = on_loop(loop, change)
            self._runner._rounds.watch(watcher)
            try:
                if self.should_end:
                    return
                await wait_for(change, self.time_left)
            finally:
                self._runner._rounds.unwatch(watcher)

    @property
    def blocking(self) -> BlockingCheck:
        """The same check for threads."""
        from ._blocking_runner import BlockingCheck

        return BlockingCheck(self)

    def __repr__(self) -> str:
        return f"<reqbus.Check of {self.id!r}, {self.time_left:.1f} s left>"
