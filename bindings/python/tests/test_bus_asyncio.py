"""The bus in asyncio: waiting, cancelling, ending, and the bell."""

from __future__ import annotations

import asyncio
import threading

import pytest

import reqbus
from reqbus._waiting import bell_of


async def test_b5_an_iteration_ends_cleanly_on_close() -> None:
    bus = reqbus.Bus()
    async with bus.subscribe() as sub:

        async def read() -> list[object]:
            return [item.value async for item in sub]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        for number in range(100):
            bus.publish("k", number)
            if number % 7 == 0:
                await asyncio.sleep(0)
        bus.close()
        assert bus.publish("k", "late") is None
        assert await reading == list(range(100))
        with pytest.raises(reqbus.ClosedError):
            await sub.recv()
        assert [item async for item in sub] == []


async def test_a_wait_that_is_cancelled_takes_nothing() -> None:
    bus = reqbus.Bus()
    sub = bus.subscribe(overflow="catch_up")
    got: list[int] = []
    for number in range(300):
        waiting = asyncio.create_task(sub.recv())
        await asyncio.sleep(0)
        if number % 3 == 0:
            waiting.cancel()
            bus.publish("k", number)
        elif number % 3 == 1:
            bus.publish("k", number)
            waiting.cancel()  # woken, and cancelled before it ran
        else:
            bus.publish("k", number)
        try:
            got += [item.value for item in await waiting]
        except asyncio.CancelledError:
            assert sub.stats().delivered == len(got)
    got += [item.value for item in sub.try_recv(1000)]
    assert got == list(range(300))


async def test_an_iteration_that_stops_midway_leaves_the_rest() -> None:
    bus = reqbus.Bus()
    sub = bus.subscribe()
    for number in range(10):
        bus.publish("k", number)
    first = []
    async for item in sub:
        first.append(item.value)
        if len(first) == 3:
            break
    assert sub.settled is not None and sub.settled.seq == 3, "what was read ahead is not settled"
    assert first + [item.value for item in await sub.recv()] == list(range(10))


async def test_an_own_publish_wakes_without_the_descriptor() -> None:
    bus, loop = reqbus.Bus(), asyncio.get_running_loop()
    subs = [bus.subscribe(overflow="catch_up") for _ in range(70)]
    waiting = [asyncio.create_task(sub.recv()) for sub in subs]
    await asyncio.sleep(0)
    bell = bell_of(loop)
    raises = bell.raises()
    bus.publish("k", 1)
    assert bell.raises() == raises
    for task in waiting:
        assert [item.value for item in await task] == [1]
    assert bell.raises() == raises
    # Another thread's publish wakes the loop once, or once more where the loop was faster than the ringing.
    waiting = [asyncio.create_task(sub.recv()) for sub in subs]
    await asyncio.sleep(0)
    await asyncio.get_running_loop().run_in_executor(None, bus.publish, "k", 2)
    await asyncio.gather(*waiting)
    assert 1 <= bell.raises() - raises < len(subs) // 2


async def test_a_publish_of_another_thread_wakes_the_loop() -> None:
    bus = reqbus.Bus()
    sub = bus.subscribe(overflow="catch_up")
    count = 5_000

    def publish() -> None:
        for number in range(count):
            bus.publish("k", number)
        bus.close()

    thread = threading.Thread(target=publish)
    thread.start()
    got = 0
    async for item in sub:
        got += item.missed if isinstance(item, reqbus.Lost) else 1
    thread.join()
    assert got == count


async def test_a_second_wait_is_busy_and_the_first_goes_on() -> None:
    bus = reqbus.Bus()
    sub = bus.subscribe()
    waiting = asyncio.create_task(sub.recv())
    await asyncio.sleep(0)
    with pytest.raises(reqbus.BusyError):
        await sub.recv()
    with pytest.raises(reqbus.BusyError):
        sub.blocking.recv(timeout=1)
    bus.publish("k", 1)
    assert len(await waiting) == 1


async def test_a_timeout_takes_nothing_and_is_the_builtin_one_too() -> None:
    bus = reqbus.Bus()
    sub = bus.subscribe()
    with pytest.raises(TimeoutError) as caught:
        await sub.recv(timeout=0.01)
    assert isinstance(caught.value, reqbus.TimeoutError)
    bus.publish("k", 1)
    assert len(await sub.recv(timeout=0)) == 1


async def test_an_interrupt_ends_the_wait_and_no_other() -> None:
    bus = reqbus.Bus()
    sub = bus.subscribe()
    waiting = asyncio.create_task(sub.recv())
    await asyncio.sleep(0)
    await asyncio.get_running_loop().run_in_executor(None, sub.interrupt)
    with pytest.raises(reqbus.InterruptedError):
        await waiting
    bus.publish("k", 1)
    assert len(await sub.recv()) == 1
    # And a blocked thread's.
    blocked = asyncio.get_running_loop().run_in_executor(None, sub.blocking.recv)
    await asyncio.sleep(0.05)
    sub.interrupt()
    with pytest.raises(reqbus.InterruptedError):
        await blocked
    bus.publish("k", 2)
    assert [item.value for item in sub.blocking.recv()] == [2]


async def test_a_subscription_may_change_loops_and_faces() -> None:
    bus = reqbus.Bus()
    sub = bus.subscribe()
    bus.publish("k", 0)
    assert len(await sub.recv()) == 1

    def elsewhere() -> list[object]:
        async def read() -> list[object]:
            waiting = asyncio.create_task(sub.recv())
            await asyncio.sleep(0)
            bus.publish("k", 1)
            return [item.value for item in await waiting]

        return asyncio.run(read())

    assert await asyncio.get_running_loop().run_in_executor(None, elsewhere) == [1]
    blocked = asyncio.get_running_loop().run_in_executor(None, sub.blocking.recv)
    await asyncio.sleep(0.02)
    bus.publish("k", 2)
    assert [item.value for item in await blocked] == [2]
    waiting = asyncio.create_task(sub.recv())
    await asyncio.sleep(0)
    bus.publish("k", 3)
    assert [item.value for item in await waiting] == [3]


async def test_b6_a_newcomer_awaits_the_cleanup_of_its_audience() -> None:
    bus = reqbus.Bus()
    first = bus.subscribe(audience="a")
    assert first.is_first
    guard = first.cleanup_guard()
    assert guard is not None
    with pytest.raises(reqbus.AudienceBusyError):
        await bus.subscribe(audience="a", audience_wait=0.01)
    second = bus.subscribe(audience="a", audience_wait=30)
    waiting = asyncio.create_task(second.recv())
    await asyncio.sleep(0)
    assert bus.audience_count("a") == 0
    guard.release()
    await asyncio.sleep(0)
    assert second.is_first
    bus.publish("k", 1)
    assert [item.value for item in await waiting] == [1]


async def test_a_burst_gathers_for_the_linger() -> None:
    bus = reqbus.Bus()
    sub = bus.subscribe(linger=0.05)
    waiting = asyncio.create_task(sub.recv_bytes("ndjson"))
    await asyncio.sleep(0)
    for number in range(3):
        bus.publish("k", number)
        await asyncio.sleep(0)
    assert (await waiting).count(b"\n") == 3


async def test_resume_over_three_lives() -> None:
    bus = reqbus.Bus()
    after: reqbus.EventId | None = None
    got = []
    for life in range(3):
        async with bus.subscribe(after=after, start="oldest", overflow="catch_up") as sub:
            for number in range(5):
                bus.publish("k", life * 5 + number)
            async for item in sub:
                got.append(item.value)
                after = item.id
                if len(got) % 5 == 3:
                    break
    got += [item.value for item in bus.subscribe(after=str(after), overflow="catch_up").try_recv()]
    assert got == list(range(15))
    for hostile in ("", "x" * 10_000, b"\xff\x00", "\ud800", f"{bus.epoch:016x}-007"):
        [item] = bus.subscribe(after=hostile).try_recv()
        assert isinstance(item, reqbus.Resync) and item.reason == "malformed"


async def test_items_are_like_dataclasses() -> None:
    bus = reqbus.Bus()
    one, other = bus.subscribe(), bus.subscribe()
    bus.publish_request(method="GET", path="/x", model="m", account_id=-5, status="error", latency_ms=1.6, extra={"a": 1})
    bus.publish("k", data=b"\x00\xff", key="u")
    bus.set_status("up", "connected", "d")
    items = one.try_recv()
    assert items == other.try_recv() and len({hash(item) for item in items}) == 3
    status, request, data = items
    assert isinstance(status, reqbus.Status)
    match request:
        case reqbus.Event(id, "request", "", {"a": 1, "latency_ms": 2}, 1):
            assert reqbus.EventId.parse(str(id)) == id
        case _:
            pytest.fail(repr(request))
    assert request.payload.account_id == -5 and request.payload.extra == '{"a":1}'
    assert data.value == b"\x00\xff" and data.sort == "bytes" and data.key == "u"
    with pytest.raises(AttributeError):
        data.kind = "other"
    for item in items:
        assert type(item).__name__ in repr(item)


async def test_errors_have_one_root_and_name_no_value() -> None:
    bus = reqbus.Bus()
    wrong = {
        reqbus.TooLargeError: lambda: bus.publish("secret" * 100, 1),
        reqbus.ReservedKindError: lambda: bus.publish("reqbus.x", 1),
        reqbus.InvalidJsonError: lambda: bus.publish("k", json="{secret"),
        reqbus.InvalidArgumentError: lambda: bus.publish("k", text="secret", data=b"secret"),
    }
    for kind, call in wrong.items():
        with pytest.raises(kind) as caught:
            call()
        assert isinstance(caught.value, reqbus.Error) and "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="JSON compliant"):
        bus.publish("k", float("nan"))
    assert bus.newest.seq == 0, "what is refused uses no seq"
    classes = {getattr(reqbus, name) for name in reqbus.__all__ if name.endswith("Error")}
    assert all(issubclass(error, reqbus.Error) for error in classes)
    kinds = [error.kind for error in classes if not issubclass(error, reqbus.SlotError)]
    assert len(set(kinds)) == len(kinds) == 15
