"""The runner, in both faces: what the periodic checks that it replaces were tested for, and what they were not."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import reqbus
from reqbus import _reqbus

needs_clock = pytest.mark.skipif(not _reqbus.has_test_clock(), reason="this build has no clock to drive")


def driven() -> Any:
    return _reqbus.Clock()  # type: ignore[attr-defined]


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


def until_in_threads(holds: Callable[[], bool]) -> None:
    again = threading.Event()
    for _ in range(20_000):
        if holds():
            return
        again.wait(0.001)
    raise AssertionError("it never came to hold")


class Checks:
    """Checks that end when they are let."""

    def __init__(self) -> None:
        self.due: list[Any] = []
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Future[object]] = {}

    async def check(self, check: reqbus.Check) -> object:
        self.begun.append(check.id)
        end = self.ends[check.id] = asyncio.get_running_loop().create_future()
        return await end


def made(checks: Checks, clock: Any, **options: Any) -> reqbus.Runner:
    return reqbus.Runner(lambda: checks.due, checks.check, _clock=clock, **options)


@needs_clock
async def test_each_round_checks_what_is_due_and_none_twice_at_once() -> None:
    clock, checks = driven(), Checks()
    checks.due = ["a", 7, ("b", 2.5)]
    runner = made(checks, clock)
    runner.start()
    runner.start()  # is one runner
    await until(lambda: len(checks.begun) == 3)
    assert checks.begun == ["b", "a", "7"], "the longest overdue first"
    clock.advance(5)
    runner._kick()
    await until(lambda: runner.stats().rounds == 2)
    assert runner.stats().skipped_busy == 3
    checks.ends["a"].set_result(None)
    checks.ends["b"].set_result(False)
    checks.ends["7"].set_exception(OSError("it broke down"))
    await until(lambda: not runner.in_flight())
    stats = runner.stats()
    assert (stats.run, stats.succeeded, stats.failed, stats.panicked) == (3, 1, 1, 1)
    checks.due = ["a"]
    clock.advance(5)
    runner._kick()
    await until(lambda: len(checks.begun) == 4)
    checks.ends["a"].set_result(True)
    assert await runner.stop() == reqbus.Stopped([], True)


@needs_clock
async def test_stop_waits_for_checks_and_names_those_that_do_not_end() -> None:
    clock, checks = driven(), Checks()
    checks.due = [f"{number}" for number in range(5)]
    runner = made(checks, clock)
    runner.start()
    await until(lambda: len(checks.begun) == 5)
    stopping = asyncio.ensure_future(runner.stop(timeout=60))
    await until(lambda: runner._rounds.stopped)
    for id in "0123":
        checks.ends[id].set_result(None)
    await asyncio.sleep(0)
    assert not stopping.done()
    clock.advance(0.2)
    left = await runner.stop(timeout=0)
    assert left == reqbus.Stopped([reqbus.InFlight("4", pytest.approx(0.2), False)], False)
    checks.ends["4"].set_result(None)
    assert await stopping == reqbus.Stopped([], True)
    assert await runner.stop() == reqbus.Stopped([], True)
    with pytest.raises(reqbus.ClosedError):
        runner.start()


async def test_stop_before_the_start_is_fine() -> None:
    runner = reqbus.Runner(list, print)
    assert await runner.stop() == reqbus.Stopped([], True)
    with pytest.raises(reqbus.ClosedError):
        runner.blocking.start()


@needs_clock
async def test_a_check_over_its_time_is_told_and_its_room_lent_once() -> None:
    clock, begun, told = driven(), [], []

    async def check(check: reqbus.Check) -> None:
        begun.append(check.id)
        await check.until_end()
        assert check.should_end and check.time_left == 0
        told.append(check.id)
        await asyncio.get_running_loop().create_future()

    runner = reqbus.Runner(lambda: ["a", "b", "c", "d"], check, at_once=1, _clock=clock)
    runner.start()
    await until(lambda: begun == ["a"])
    clock.advance(63)
    runner._kick()
    await until(lambda: begun == ["a", "b"] and told == ["a"])
    clock.advance(63)
    runner._kick()
    await until(lambda: told == ["a", "b"] and runner.stats().rounds == 3)
    assert begun == ["a", "b"] and runner.stats().stuck == 2
    assert [flight.stuck for flight in runner.in_flight()] == [True, True]
    assert [flight.id for flight in (await runner.stop(timeout=0)).left] == ["a", "b"]


@needs_clock
async def test_a_stop_tells_checks_that_are_under_way() -> None:
    async def check(check: reqbus.Check) -> None:
        await check.until_end()

    runner = reqbus.Runner(lambda: ["a"], check, _clock=driven())
    async with runner:
        await until(lambda: len(runner.in_flight()) == 1)
    assert runner.stats().succeeded == 1


@needs_clock
async def test_what_raises_is_heard_and_ends_nothing() -> None:
    clock, heard, rounds = driven(), [], []

    def due() -> list[str]:
        rounds.append(1)
        if len(rounds) == 1:
            raise LookupError("no list")
        return ["a", ""] if len(rounds) == 2 else ["a"]

    def check(_check: reqbus.Check) -> None:
        raise KeyError("no key")

    runner = reqbus.Runner(due, check, on_error=lambda id, error: heard.append((id, type(error))), _clock=clock)
    runner.start()
    for count in (1, 2, 3):
        await until(lambda count=count: len(rounds) == count and len(heard) >= count)
        clock.advance(5)
        runner._kick()
    await until(lambda: len(rounds) == 4 and not runner.in_flight())
    assert heard[:3] == [(None, LookupError), (None, reqbus.InvalidArgumentError), ("a", KeyError)]
    stats = runner.stats()
    assert (stats.failed_rounds, stats.run, stats.panicked) == (2, 2, 2)
    await runner.stop()


@needs_clock
async def test_who_hears_of_errors_may_fail_too(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    def on_error(id: str | None, error: BaseException) -> None:
        raise ValueError("deaf")

    runner = reqbus.Runner(lambda: 1 / 0, print, on_error=on_error, _clock=driven())  # type: ignore[arg-type, return-value]
    runner.start()
    await until(lambda: bool(unraisable))
    assert unraisable[0].exc_type is ValueError
    assert (await runner.stop()).ended and runner.stats().failed_rounds == 1


@needs_clock
async def test_a_pause_asks_nobody_and_ends_nothing() -> None:
    clock, checks, asked = driven(), Checks(), []
    runner = reqbus.Runner(lambda: (asked.append(1), checks.due)[1], checks.check, _clock=clock)
    checks.due = ["a"]
    runner.start()
    await until(lambda: checks.begun == ["a"])
    runner.pause()
    assert runner.paused and "paused" in repr(runner)
    clock.advance(5)
    runner._kick()
    await until(lambda: runner.stats().paused_rounds == 1)
    assert len(asked) == 1 and len(runner.in_flight()) == 1
    runner.resume()
    clock.advance(5)
    runner._kick()
    await until(lambda: len(asked) == 2)
    checks.ends["a"].set_result(None)
    assert (await runner.stop()).ended


@needs_clock
async def test_a_stop_from_inside_waits_for_nobody_who_stops_too() -> None:
    ends: dict[str, reqbus.Stopped] = {}

    async def check(check: reqbus.Check) -> None:
        # Of a task that the check makes, too.
        ends[check.id] = await asyncio.ensure_future(runner.stop(timeout=60))

    runner = reqbus.Runner(lambda: ["a", "b"], check, _clock=driven())
    runner.start()
    await until(lambda: len(ends) == 2)
    assert all(not stopped.ended or stopped.left == [] for stopped in ends.values())
    assert await runner.stop() == reqbus.Stopped([], True) and runner.stats().succeeded == 2


@needs_clock
async def test_a_stop_from_inside_does_not_count_its_own_check() -> None:
    ends: list[reqbus.Stopped] = []

    async def check(_check: reqbus.Check) -> None:
        ends.append(await runner.stop(timeout=60))

    runner = reqbus.Runner(lambda: ["a"], check, _clock=driven())
    runner.start()
    await until(lambda: bool(ends))
    assert ends == [reqbus.Stopped([], True)]


@needs_clock
async def test_a_cancelled_check_broke_down_and_a_cancelled_loop_has_stopped() -> None:
    checks = Checks()
    checks.due = ["a", "b"]
    runner = made(checks, driven())
    runner.start()
    await until(lambda: len(checks.begun) == 2)
    for task in list(runner._tasks):
        task.cancel()
    await until(lambda: not runner._tasks)
    assert runner.stats().panicked == 2
    assert await runner.stop() == reqbus.Stopped([], True)


@needs_clock
async def test_a_runner_of_a_loop_can_be_stopped_by_a_thread() -> None:
    runner = reqbus.Runner(lambda: ["a"], lambda check: check.until_end(), _clock=driven())
    runner.start()
    await until(lambda: len(runner.in_flight()) == 1)
    stopped = await asyncio.get_running_loop().run_in_executor(None, runner.blocking.stop)
    assert stopped == reqbus.Stopped([], True)


def test_a_loop_that_is_closed_leaves_a_stop_its_time() -> None:
    runner = reqbus.Runner(lambda: ["a"], lambda check: check.until_end())
    loop = asyncio.new_event_loop()

    async def start() -> None:
        runner.start()
        await until(lambda: len(runner.in_flight()) == 1)

    loop.run_until_complete(start())
    tasks = list(runner._tasks)
    stopped = runner.blocking.stop(timeout=0.01)
    assert [flight.id for flight in stopped.left] == ["a"] and not stopped.ended
    # As asyncio.run does.
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.wait(tasks))
    loop.close()
    assert runner.blocking.stop(timeout=60) == reqbus.Stopped([], True)


@needs_clock
async def test_what_was_checked_is_told_on_a_bus() -> None:
    bus, clock, checks = reqbus.Bus(), driven(), Checks()
    teller = reqbus.Teller(bus, ["check.finished"])
    checks.due = ["a"]
    runner = made(checks, clock, teller=teller)
    async with bus.subscribe(keys=["a"]) as sub:
        runner.start()
        await until(lambda: checks.begun == ["a"])
        clock.advance(0.25)
        checks.ends["a"].set_result(False)
        [event] = await sub.recv()
    assert isinstance(event, reqbus.Event) and event.kind == "check.finished"
    assert event.value == {"id": "a", "verdict": "failed", "took_ms": 250, "was_stuck": False}
    bus.close()
    clock.advance(5)
    runner._kick()
    await until(lambda: len(checks.begun) == 2)
    checks.ends["a"].set_result(True)
    assert (await runner.stop()).ended and teller.failed == 1 and "failed=1" in repr(teller)


async def test_what_happens_to_slots_is_told_on_a_bus() -> None:
    bus = reqbus.Bus()
    pool = reqbus.SlotPool(teller=reqbus.Teller(bus, reqbus.Teller.KINDS, secret_scopes=["user"]))
    with bus.subscribe() as sub:
        async with pool.acquire("user", "secret", limit=1, label="job"):
            with pytest.raises(reqbus.SlotBusy):
                await pool.try_acquire("user", "secret", limit=1)
        async with pool.acquire("account", 7, limit="unlimited"):
            pass
        events = [event for event in sub.try_recv() if isinstance(event, reqbus.Event)]
    assert [event.kind for event in events] == ["slot.granted", "slot.refused", "slot.granted"]
    assert events[0].value["keys"] == [{"scope": "user", "id": None}] and events[0].value["label"] == "job"
    assert [event.key for event in events] == ["", "", "7"] and events[1].value["outcome"] == "busy"
    with pytest.raises(reqbus.InvalidArgumentError):
        reqbus.Teller(bus, ["slot.unknown"])


@needs_clock
def test_threads_check_too() -> None:
    clock, seen, go = driven(), [], threading.Event()

    def check(check: reqbus.BlockingCheck) -> bool:
        seen.append((check.id, threading.current_thread().name))
        if check.id == "raises":
            raise OSError("it broke down")
        assert go.wait(60) and not check.until_end(timeout=0)
        return check.id == "a"

    heard: list[Any] = []
    due = [("a", 3), ("b", 2), ("raises", 1)]
    runner = reqbus.Runner(lambda: due, check, on_error=lambda *told: heard.append(told), _clock=clock)
    with runner.blocking as blocking:
        blocking.start()
        until_in_threads(lambda: len(seen) == 3 and len(blocking.in_flight()) == 2)
        assert {name for _, name in seen} == {"reqbus-check"} and len(heard) == 1
        assert sorted(flight.id for flight in blocking.in_flight()) == ["a", "b"]
        clock.advance(5)
        runner._kick()
        until_in_threads(lambda: blocking.stats().rounds == 2)
        go.set()
        until_in_threads(lambda: not blocking.in_flight() or len(seen) > 4)
    stats = runner.stats()
    assert stats.succeeded >= 1 and stats.failed >= 1 and stats.panicked >= 1 and stats.skipped_busy == 2
    assert blocking.stop() == reqbus.Stopped([], True) and heard[0][0] == "raises"


def test_a_thread_may_stop_its_runner_and_two_may() -> None:
    ends: list[reqbus.Stopped] = []
    both = threading.Barrier(2)

    def check(_check: reqbus.BlockingCheck) -> None:
        both.wait(60)
        ends.append(runner.stop(timeout=60))

    runner = reqbus.Runner(lambda: ["a", "b"], check).blocking
    runner.start()
    until_in_threads(lambda: len(ends) == 2)
    assert runner.stop() == reqbus.Stopped([], True)


def test_a_check_of_a_thread_is_told_of_a_stop() -> None:
    told: list[bool] = []
    runner = reqbus.Runner(lambda: ["a"], lambda check: told.append(check.until_end())).blocking
    runner.start()
    until_in_threads(lambda: len(runner.in_flight()) == 1)
    assert runner.stop() == reqbus.Stopped([], True) and told == [True]


def test_a_coroutine_function_is_refused_on_threads() -> None:
    async def check(check: reqbus.Check) -> None:
        raise AssertionError("it ran")

    heard: list[BaseException] = []
    runner = reqbus.Runner(lambda: ["a"], check, on_error=lambda _id, error: heard.append(error)).blocking
    with runner:
        until_in_threads(lambda: len(heard) == 1)
    assert isinstance(heard[0], TypeError) and runner.stats().panicked == 1


def test_a_runner_that_was_forgotten_goes() -> None:
    runner = reqbus.Runner(list, print)
    seen = weakref.ref(runner)
    del runner
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize(("option", "value"), [("every", 0), ("limit", 86_401), ("at_once", 0), ("jitter", -1)])
def test_wrong_options_are_named(option: str, value: Any) -> None:
    with pytest.raises(reqbus.InvalidArgumentError) as error:
        reqbus.Runner(list, print, **{option: value})
    assert error.value.context == option


FORGOTTEN = """
import sys, threading, reqbus
began = threading.Event()
def check(check):
    began.set()
    threading.Event().wait()
reqbus.Runner(lambda: ["a"], check).blocking.start()
began.wait(30)
sys.exit(7)
"""


def test_a_process_ends_with_its_runner_running() -> None:
    assert subprocess.run([sys.executable, "-c", FORGOTTEN], timeout=60, check=False).returncode == 7


def test_a_forked_child_has_a_runner_of_its_own() -> None:
    bus = reqbus.Bus()
    teller = reqbus.Teller(bus, ["check.finished"])
    begun = threading.Event()
    runner = reqbus.Runner(lambda: ["a"], lambda check: (begun.set(), check.until_end()), teller=teller).blocking
    runner.start()
    assert begun.wait(60)
    child = os.fork()
    if child == 0:
        try:
            new = runner.stats() == reqbus.RunnerStats(*[0] * 11) and not runner.in_flight()
            sub = bus.blocking.subscribe()
            begun.clear()
            runner.start()
            ran = begun.wait(60) and runner.stop() == reqbus.Stopped([], True)
            [event] = sub.recv(timeout=60)
            os._exit(0 if new and ran and event.kind == "check.finished" else 1)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert runner.stop() == reqbus.Stopped([], True) and runner.stats().run == 1
