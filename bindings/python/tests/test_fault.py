"""Slots on a store that answers late, doubled, out of order or never: what asyncio promises holds there too."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

import reqbus
from reqbus import _reqbus

pytestmark = pytest.mark.skipif(not _reqbus.has_test_clock(), reason="this build has no store of tests")

LIMIT = 2


async def ask(clock: Any, question: Any) -> Any:
    """The answer of a store whose clock somebody has to move. One that is lost on the line is asked for again."""

    async def asked() -> Any:
        return await question()

    while True:
        task = asyncio.ensure_future(asked())
        for _ in range(100):
            clock.advance(0.05)
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            return task.result()


@pytest.mark.parametrize("seed", range(12))
async def test_s2_whatever_the_line_does_everything_is_given_back(seed: int) -> None:
    clock, chance = _reqbus.Clock(), random.Random(seed)  # type: ignore[attr-defined]
    fault = _reqbus.Fault(seed, latest=0.2, lost=30, doubled=100, lost_lease=50)  # type: ignore[attr-defined]
    pool = reqbus.SlotPool(_clock=clock, _fault=fault)
    held: set[reqbus.Slot] = set()
    ends: list[str] = []

    async def one() -> None:
        for _ in range(4):
            try:
                async with pool.acquire("user", 42, limit=LIMIT, timeout=10) as slot:
                    held.add(slot)
                    # What was lost is another's by now; its work goes on in a declared window.
                    assert sum(1 for slot in held if slot.lost is None) <= LIMIT
                    for _ in range(chance.randrange(5)):
                        await asyncio.sleep(0)
                    held.discard(slot)
                ends.append("granted")
            except reqbus.SlotError as refusal:
                ends.append(refusal.outcome)

    tasks = [asyncio.create_task(one()) for _ in range(8)]
    turns = 0
    while not all(task.done() for task in tasks):
        clock.advance(chance.random() * 0.1)
        await asyncio.sleep(0)
        turns += 1
        if turns == 200 and seed % 3 == 0:
            fault.go_down()
        if turns == 400:
            fault.come_back()
        if turns % 50 == 0:
            chance.choice(tasks).cancel()
    for task in tasks:
        if not task.cancelled():
            task.result()
    assert set(ends) <= {"granted", "timed_out", "store_unavailable", "busy", "queue_full"}
    held.clear()
    clock.advance(120)
    for _ in range(5):
        await asyncio.sleep(0)
        clock.advance(60)
    loads = await ask(clock, lambda: pool.load([("user", 42)]))
    assert (loads[0].in_use, loads[0].waiting) == (0, 0)


async def test_an_answer_that_comes_later_is_awaited() -> None:
    clock = _reqbus.Clock()  # type: ignore[attr-defined]
    pool = reqbus.SlotPool(_clock=clock, _fault=_reqbus.Fault(1, latest=0.5))  # type: ignore[attr-defined]
    asked = asyncio.ensure_future(pool.load([("user", 42)]))
    await asyncio.sleep(0)
    assert not asked.done()
    while not asked.done():
        clock.advance(0.1)
        await asyncio.sleep(0)
    assert asked.result()[0].in_use == 0
    taking = asyncio.ensure_future(_take(pool))
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    clock.advance(60)
    assert (await ask(clock, lambda: pool.load([("user", 42)])))[0].in_use == 0


async def _take(pool: reqbus.SlotPool) -> reqbus.Slot:
    return await pool.acquire("user", 42, limit=1)
