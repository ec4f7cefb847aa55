"""The runner for threads: one that asks what is due, and one for each check while it runs."""

from __future__ import annotations

import contextvars
import inspect
import threading
import time
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._records import InFlight, RunnerStats, Stopped
from ._reqbus import Permit
from ._rounds import Work, current
from ._runner import Check, Runner, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable


class BlockingRunner:
    """A runner for threads: ``Runner.blocking``. Its threads are daemons: none keeps the interpreter from its end."""

    __slots__ = ("_runner",)

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def start(self) -> None:
        """As ``Runner.start``, on threads."""
        runner = self._runner
        if runner._rounds.start():
            _spawn("reqbus-runner", Work(runner, None), self._ask)

    def stop(self, timeout: float | None = None) -> Stopped:
        """As ``Runner.stop``, blocking."""
        runner, change = self._runner, threading.Event()
        rounds, own = runner._rounds, runner._own()
        end = time.monotonic() + (runner.limit if timeout is None else timeout)
        runner._stop()
        rounds.watch(change.set)
        try:
            rounds.stop(own)
            while True:
                change.clear()
                left = end - time.monotonic()
                if not rounds.left(own) or left <= 0:
                    return runner._stopped(own)
                change.wait(left)
        finally:
            rounds.unwatch(change.set)

    def pause(self) -> None:
        """As ``Runner.pause``."""
        self._runner.pause()

    def resume(self) -> None:
        """As ``Runner.resume``."""
        self._runner.resume()

    @property
    def paused(self) -> bool:
        """As ``Runner.paused``."""
        return self._runner.paused

    def in_flight(self) -> list[InFlight]:
        """As ``Runner.in_flight``."""
        return self._runner.in_flight()

    def stats(self) -> RunnerStats:
        """As ``Runner.stats``."""
        return self._runner.stats()

    @property
    def limit(self) -> float:
        """As ``Runner.limit``."""
        return self._runner.limit

    @property
    def blocking(self) -> BlockingRunner:
        """Itself."""
        return self

    def __enter__(self) -> BlockingRunner:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"{self._runner!r}.blocking"

    def _ask(self) -> None:
        runner, change = self._runner, threading.Event()
        rounds = runner._rounds
        rounds.watch(change.set)
        try:
            while not rounds.stopped:
                change.clear()
                left = runner._until_next_round()
                if left <= 0:
                    self._round()
                elif not rounds.stopped:
                    change.wait(left)
        finally:
            rounds.unwatch(change.set)
            runner._stop()
            rounds.stop(None)

    def _round(self) -> None:
        runner = self._runner
        if runner.paused:
            runner._admitted(())
            return
        try:
            due: Any = _not_awaitable(runner._due())
            permits = runner._admitted(due)
        except Exception as error:
            runner._fail_round()
            runner._tell(None, error)
            return
        while permits:
            permit = permits.pop(0)
            try:
                _spawn("reqbus-check", Work(runner, permit.id), partial(self._run, permit))
            except RuntimeError as error:  # no thread: the permit goes, and is counted
                runner._tell(permit.id, error)

    def _run(self, permit: Permit) -> None:
        runner = self._runner
        verdict: Verdict = "panicked"
        try:
            well = _not_awaitable(runner._check(BlockingCheck(Check(runner, permit))))
            verdict = "failed" if well is False else "succeeded"
        except Exception as error:
            runner._tell(permit.id, error)
        finally:
            permit._finish(verdict)


class BlockingCheck:
    """A check for threads: ``Check.blocking``."""

    __slots__ = ("_of",)

    def __init__(self, of: Check) -> None:
        self._of = of

    @property
    def id(self) -> str:
        """As ``Check.id``."""
        return self._of.id

    @property
    def time_left(self) -> float:
        """As ``Check.time_left``."""
        return self._of.time_left

    @property
    def should_end(self) -> bool:
        """As ``Check.should_end``."""
        return self._of.should_end

    def until_end(self, timeout: float | None = None) -> bool:
        """As ``Check.until_end``, blocking for at most ``timeout`` seconds. Whether it should end."""
        change, rounds = threading.Event(), self._of._runner._rounds
        end = None if timeout is None else time.monotonic() + timeout
        rounds.watch(change.set)
        try:
            while True:
                change.clear()
                if self.should_end:
                    return True
                left = self.time_left
                if end is not None:
                    left = min(left, end - time.monotonic())
                    if left <= 0:
                        return self.should_end
                change.wait(left)
        finally:
            rounds.unwatch(change.set)

    @property
    def blocking(self) -> BlockingCheck:
        """Itself."""
        return self

    def __repr__(self) -> str:
        return f"{self._of!r}.blocking"


def _not_awaitable(said: object) -> object:
    if inspect.isawaitable(said):
        if inspect.iscoroutine(said):
            said.close()
        raise TypeError("a coroutine function runs on a loop; start the runner there, not by .blocking")
    return said


def _spawn(name: str, work: Work, doing: Callable[[], None]) -> None:
    rounds = work.runner._rounds
    context = contextvars.copy_context()
    context.run(current.set, work)

    def run() -> None:
        try:
            context.run(doing)
        finally:
            rounds.end(work)

    rounds.begin(work)
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except BaseException:
        rounds.end(work)
        raise
