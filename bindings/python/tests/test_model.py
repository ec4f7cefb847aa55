"""Slots against a small model: whatever is done in whatever order, the pool is what the model says (S1, S2, S3)."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import reqbus

from .conftest import STRESS

KEYS = st.sampled_from(["a", "b"])
LIMIT = {"a": 1, "b": 3}
MAX_WAITING = 3


class Slots(RuleBasedStateMachine):
    """One queue per key, in the order of the asks; a slot goes to the first of it the moment there is room."""

    held = Bundle("held")
    waits = Bundle("waits")

    def __init__(self) -> None:
        super().__init__()
        self.pool = reqbus.SlotPool()
        self.limits = dict(LIMIT)
        self.in_use = dict.fromkeys(LIMIT, 0)
        #: Waits in the order of their tickets: those that were offered a slot count as in use.
        self.queue: dict[str, list[Any]] = {key: [] for key in LIMIT}
        self.offered: list[Any] = []

    def hand_over(self, key: str) -> None:
        while self.queue[key] and self.in_use[key] < self.limits[key]:
            self.offered.append(self.queue[key].pop(0))
            self.in_use[key] += 1

    @rule(target=held, key=KEYS)
    def try_acquire(self, key: str) -> Any:
        has_room = not self.queue[key] and self.in_use[key] < self.limits[key]
        try:
            slot = self.pool.blocking.try_acquire("user", key, limit=LIMIT[key])
        except reqbus.SlotBusy as error:
            assert not has_room and error.in_use == self.in_use[key]
            return None
        assert has_room
        self.in_use[key] += 1
        return (key, slot)

    @rule(target=waits, key=KEYS)
    def wait(self, key: str) -> Any:
        wait = self.pool.wait([("user", key, LIMIT[key])], max_waiting=MAX_WAITING)
        if not self.queue[key] and self.in_use[key] < self.limits[key]:
            self.in_use[key] += 1
            self.offered.append(wait)
        elif self.limits[key] == 0 or len(self.queue[key]) >= MAX_WAITING:
            try:
                wait.try_next()
                raise AssertionError("it was not refused")
            except (reqbus.QueueFull, reqbus.SlotBusy):
                return None
        else:
            self.queue[key].append(wait)
        return (key, wait)

    @rule(target=held, waited=consumes(waits))
    def look(self, waited: Any) -> Any:
        if waited is None:
            return None
        key, wait = waited
        step = wait.try_next()
        if wait in self.offered:
            self.offered.remove(wait)
            assert isinstance(step, reqbus.Slot)
            return (key, step)
        assert step is None
        self.queue[key].remove(wait)
        wait.cancel()
        return None

    @rule(waited=consumes(waits))
    def cancel(self, waited: Any) -> None:
        if waited is None:
            return
        key, wait = waited
        if wait in self.offered:
            self.offered.remove(wait)
            self.in_use[key] -= 1
        else:
            self.queue[key].remove(wait)
        wait.cancel("no more")
        self.hand_over(key)

    @rule(taken=consumes(held), twice=st.booleans())
    def release(self, taken: Any, twice: bool) -> None:
        if taken is None:
            return
        key, slot = taken
        assert slot.release() == "released"
        if twice:
            assert slot.release() == "already"
        self.in_use[key] -= 1
        self.hand_over(key)

    @rule(key=KEYS, limit=st.integers(0, 4))
    def set_limit(self, key: str, limit: int) -> None:
        self.pool.blocking.set_limit("user", key, limit)
        self.limits[key] = limit
        self.hand_over(key)

    @invariant()
    def the_pool_is_what_the_model_says(self) -> None:
        for key, load in zip(LIMIT, self.pool.blocking.load([("user", key) for key in LIMIT]), strict=True):
            assert (load.in_use, load.waiting) == (self.in_use[key], len(self.queue[key])), (key, load)
            assert len(self.pool.blocking.holders("user", key)) == load.in_use


Slots.TestCase.settings = settings(max_examples=150 * STRESS, stateful_step_count=40, deadline=None)
TestSlots = Slots.TestCase
