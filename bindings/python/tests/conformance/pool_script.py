"""Runs one case about a pool: see tests/conformance/README.md."""

from __future__ import annotations

import gc
from typing import Any

import reqbus
from reqbus import _reqbus

from .faces import Face
from .fields import MISSING, Fields, Wrong, one_step, whole


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    f = Fields(value)
    made: str = f.need("text") * f.need("times")
    f.done()
    return made


def key(value: Any) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise Wrong(f"not a key: {value!r:.80}")
    return text(value[0]), text(value[1])


def asks_of(f: Fields) -> list[Any]:
    asks: list[Any] = []
    for ask in f.need("asks"):
        if not isinstance(ask, list) or not 2 <= len(ask) <= 3:
            raise Wrong(f"not an ask: {ask!r:.80}")
        if len(ask) == 3 and not (isinstance(ask[2], int) or ask[2] == "unlimited"):
            raise Wrong(f"not a limit: {ask[2]!r}")
        asks.append((*key(ask[:2]), *ask[2:]))
    return asks


def is_unsayable(step: dict[str, Any]) -> bool:
    """Whether it asks with a negative limit, which is refused before there is a call."""
    [fields] = step.values()
    asks = fields.get("asks", []) if isinstance(fields, dict) else []
    return any(len(ask) == 3 and isinstance(ask[2], int) and ask[2] < 0 for ask in asks)


def same(want: Any, got: Any, timed: bool) -> None:
    """Compares the fields that the expectation names. A time needs a clock that stands still."""
    if not isinstance(want, dict) or not isinstance(got, dict):
        if want != got or isinstance(want, bool) != isinstance(got, bool):
            raise Wrong(f"it is {got!r}, not {want!r}")
        return
    for name, value in want.items():
        if name.endswith("_ms") and not timed:
            raise Wrong(f"{name} is compared in a case that moves no clock")
        if name not in got:
            raise Wrong(f"unknown field {name}")
        if got[name] != value or isinstance(got[name], bool) != isinstance(value, bool):
            raise Wrong(f"{name} is {got[name]!r}, not {value!r}; all: {got}")


def same_list(want: list[Any], got: list[Any], timed: bool) -> None:
    if len(want) != len(got):
        raise Wrong(f"{len(got)} items, not {len(want)}: {got}")
    for one, other in zip(want, got, strict=True):
        same(one, other, timed)


def refusal_as_json(error: reqbus.SlotError) -> dict[str, Any]:
    cause = error.cause
    return {
        "outcome": error.outcome,
        "scope": error.scope,
        "limit": error.limit,
        "in_use": error.in_use,
        "waiting": error.waiting,
        "position": error.position,
        "waited_ms": whole(error.waited, 1e3),
        "pings": error.pings,
        "retry_after_s": error.retry_after,
        "error": cause.kind if cause else None,
        "context": cause.context if cause else None,
        "cause": cause.message if cause else None,
    }


def holder_as_json(holder: reqbus.Holder | reqbus.Leak) -> dict[str, Any]:
    return {"key": list(holder.key), "label": holder.label, "age_ms": whole(holder.age, 1e3)}


def load_as_json(load: reqbus.Load) -> dict[str, Any]:
    return {
        "in_use": load.in_use,
        "waiting": load.waiting,
        "lapsed": load.lapsed,
        "limit": load.limit,
        "rate": load.rate,
        "is_closed": load.closed,
        "has_room": load.has_room,
        "oldest_wait_ms": whole(load.oldest_wait, 1e3),
        "oldest_hold_ms": whole(load.oldest_hold, 1e3),
    }


def counted(stats: reqbus.KeyStats | reqbus.ScopeStats) -> dict[str, Any]:
    waits = stats.waits
    return stats.counters._asdict() | {
        "waits": waits.waits,
        "wait_p50_ms": whole(waits.p50, 1e3),
        "wait_p90_ms": whole(waits.p90, 1e3),
        "wait_p99_ms": whole(waits.p99, 1e3),
        "wait_max_ms": whole(waits.max, 1e3),
    }


#: What is not known of a wait that gives up on a store far away, which is not asked how its key stands.
STANDING = ("limit", "in_use", "waiting", "position", "retry_after_s")

#: An answer for each key, and what comes of it.
LOOKS = 20


class Script:
    def __init__(self, f: Fields, timed: bool, face: Face, watched: bool, far: bool) -> None:
        f.get("about")
        f.get("from")
        f.get("memory_only")
        options = Fields(f.get("pool", {}))
        given: dict[str, Any] = {"processes": options.get("processes", 1)}
        if options.has("first") or options.has("last"):
            given |= {"first": options.get("first", []), "last": options.get("last", [])}
        options.done()
        f.done()
        self.told: list[reqbus.Leak] = []
        self.clock: Any = None
        timed = timed or far
        if timed:
            self.clock = given["_clock"] = _reqbus.Clock()  # type: ignore[attr-defined]
        if far:
            given["_fault"] = _reqbus.Fault(0)  # type: ignore[attr-defined]
        self.made: Any = reqbus.SlotPool(on_leak=self.told.append, **given)
        self.face = face
        self.pool = face.of(self.made)
        self.slots: dict[str, Any] = {}
        self.waits: dict[str, Any] = {}
        self.backoffs: dict[str, reqbus.Backoff] = {}
        self.holder_ids: dict[str, int] = {}
        self.keys: set[tuple[str, str]] = set()
        self.timed = timed
        self.watched = watched
        self.far = far

    def step(self, word: str, f: Fields) -> None:
        step = getattr(self, "do_" + word, None)
        if step is None:
            raise Wrong(f"unknown step {word}")
        step(f)
        f.done()
        self.adds_up()

    def each_load(self) -> list[tuple[tuple[str, str], reqbus.Load]]:
        if self.pool is None:
            return []
        return [(key, self.face.run(self.pool.load([key]))[0]) for key in sorted(self.keys)]

    def adds_up(self) -> None:
        """Promise S1, after every step: the count is that of the set of holders."""
        for key, load in self.each_load() if self.watched else []:
            holders = self.face.run(self.pool.holders(*key))
            if load.in_use != len(holders):
                raise Wrong(f"{key}: {load.in_use} in use, {len(holders)} holders")

    def end(self) -> None:
        """Promise S2, in the end: whatever was granted has been given back, and nobody waits."""
        self.waits.clear()
        self.slots.clear()
        if self.face.name == "asyncio":
            gc.collect()  # as in bus_script
        for key, load in self.each_load():
            if (load.in_use, load.waiting) != (0, 0):
                raise Wrong(f"{key} is left behind: {load}")

    def note(self, asks: list[Any]) -> None:
        for scope, id, *_ in asks:
            if 0 < len(scope.encode()) <= 255 and 0 < len(id.encode()) <= 255:
                self.keys.add((scope, id))

    def slot(self, f: Fields, field: str) -> Any:
        slot = self.slots.get(f.need(field))
        if slot is None:
            raise Wrong(f"{field} names no slot")
        return slot

    def wait_of(self, f: Fields, field: str) -> Any:
        wait = self.waits.get(f.need(field))
        if wait is None:
            raise Wrong(f"{field} names no wait")
        return wait

    def new_name(self, f: Fields) -> str:
        name: str = f.need("as")
        if name in self.slots or name in self.waits or name == "pool":
            raise Wrong(f"the name {name} was used before")
        return name

    def came_to(self, f: Fields, call: Any) -> Any:
        """Compares what a call came to with field expect, and keeps the slot under its name."""
        want = f.get("expect", "granted")
        keys = f.get("keys")
        try:
            slot = call()
        except reqbus.SlotError as error:
            if isinstance(want, dict):
                if "outcome" not in want:
                    raise Wrong("outcome is missing") from None
                if self.far and error.outcome in ("timed_out", "cancelled"):
                    want = {name: value for name, value in want.items() if name not in STANDING}
                same(want, refusal_as_json(error), self.timed)
            elif want != error.outcome:
                raise Wrong(f"{error!r}, not {want}") from None
            return None
        if want != "granted":
            raise Wrong(f"granted, not {want}")
        if keys is not None:
            same_list(keys, [list(key) for key in slot.keys], True)
        self.slots[self.new_name(f)] = slot
        return slot

    def do_try(self, f: Fields) -> None:
        asks, label = asks_of(f), text(f.get("label", ""))
        self.note(asks)
        if len(asks) == 1 and self.face.name != "asyncio":
            scope, id, *limit = asks[0]
            call = lambda pool: pool.try_acquire(scope, id, limit=limit[0] if limit else None, label=label)  # noqa: E731
        else:
            call = lambda pool: pool.try_acquire_all(asks, label=label)  # noqa: E731
        self.came_to(f, lambda: self.face.run(call(self.pool)))

    def do_try_first_of(self, f: Fields) -> None:
        asks, label = asks_of(f), text(f.get("label", ""))
        self.note(asks)
        chosen: list[int] = []

        def call() -> Any:
            at, slot = self.face.run(self.pool.try_first_of(asks, label=label))
            chosen.append(at)
            return slot

        self.came_to(f, call)
        if f.has("chosen"):
            same(f.need("chosen"), chosen[0] if chosen else None, True)

    def begin(self, f: Fields, on: Any) -> None:
        asks, label = asks_of(f), text(f.get("label", ""))
        self.note(asks)
        options: dict[str, Any] = {"label": label, "max_waiting": f.get("max_waiting")}
        if f.has("timeout_ms"):
            options["timeout"] = f.need("timeout_ms") / 1000
        every = f.get("ping_every_ms", MISSING)
        if every is not MISSING:
            options["ping_every"] = None if every is None else every / 1000
        wait = self.pool.wait(asks, on_top_of=on, **options)
        f.same("position", wait.position)
        self.waits[self.new_name(f)] = wait

    def do_wait(self, f: Fields) -> None:
        self.begin(f, None)

    def do_wait_on_top(self, f: Fields) -> None:
        self.begin(f, self.slot(f, "on"))

    def do_look(self, f: Fields) -> None:
        wait, want = self.wait_of(f, "at"), f.need("expect")

        def call() -> Any:
            # A store far away is asked for the next key, and for an offer, when the owner looks.
            looks = (self.face.look(wait) for _ in range(LOOKS if self.far else 1))
            step = next((step for step in looks if step is not None), None)
            if step is None or step == "ping":
                said = step or "nothing"
                if said != want:
                    raise Wrong(f"{said}, not {want}")
                raise StopIteration
            return step

        try:
            self.came_to(f, call)
        except StopIteration:
            pass

    def do_position(self, f: Fields) -> None:
        f.same("is", self.wait_of(f, "of").position)

    def do_cancel(self, f: Fields) -> None:
        self.wait_of(f, "what").cancel(f.get("cause"))

    def do_release(self, f: Fields) -> None:
        same(f.get("expect", "released"), self.slot(f, "what").release(), True)

    def do_release_scope(self, f: Fields) -> None:
        got = self.slot(f, "what").release_scope(text(f.need("scope"))) or "none"
        same(f.get("expect", "released"), got, True)

    def do_join(self, f: Fields) -> None:
        to, other = self.slot(f, "to"), self.slot(f, "from")
        if to is other:
            raise Wrong("a slot joins itself")
        self.answered(f, lambda: to.join(other))

    def do_keys(self, f: Fields) -> None:
        same_list(f.need("expect"), [list(key) for key in self.slot(f, "of").keys], True)

    def do_lost(self, f: Fields) -> None:
        same(f.need("expect"), self.slot(f, "of").lost or "none", True)

    def do_leak(self, f: Fields) -> None:
        self.slot(f, "what")
        self.slots[f.need("what")] = None  # CPython's own finaliser leaks it

    def do_told_leaks(self, f: Fields) -> None:
        same_list(f.need("is"), [holder_as_json(leak) for leak in self.told], self.timed)
        self.told.clear()

    def do_leaked(self, f: Fields) -> None:
        f.same("count", self.pool.leaked)

    def do_drop(self, f: Fields) -> None:
        name = f.need("what")
        if name == "pool":
            if self.pool is None:
                raise Wrong("the pool is gone")
            self.pool = self.made = None
        elif self.waits.get(name) is not None:
            self.waits[name] = None
        elif self.slots.get(name) is not None:
            # Released, as Rust's drop does; that a finaliser counts it is the step leak.
            self.slots[name].release()
            self.slots[name] = None
        else:
            raise Wrong(f"{name} is nothing")

    def do_close(self, f: Fields) -> None:
        self.pool.close()

    def do_advance(self, f: Fields) -> None:
        self.clock.advance(f.need("ms") / 1000)

    # About keys.

    def answered(self, f: Fields, call: Any) -> Any:
        want, context, got, answer = f.get("expect", "ok"), f.get("context"), "ok", None
        try:
            answer = call()
        except reqbus.Error as error:
            got = error.kind
            if context is not None and context != error.context:
                raise Wrong(f"context is {error.context}") from None
        if got != want:
            raise Wrong(f"the answer is {got}, not {want}")
        if got == "ok" and context is not None:
            raise Wrong("context without an error")
        return answer

    def ask(self, f: Fields, call: Any) -> Any:
        return self.answered(f, lambda: self.face.run(call()))

    def do_set_limit(self, f: Fields) -> None:
        scope, id = key(f.need("key"))
        limit = f.need("limit")
        if not isinstance(limit, int) and limit != "unlimited":
            raise Wrong(f"not a limit: {limit}")
        self.ask(f, lambda: self.pool.set_limit(scope, id, limit))

    def do_clear_limit(self, f: Fields) -> None:
        scope, id = key(f.need("key"))
        self.ask(f, lambda: self.pool.clear_limit(scope, id))

    def do_close_key(self, f: Fields) -> None:
        scope, id = key(f.need("key"))
        self.ask(f, lambda: self.pool.close_key(scope, id))

    def do_open_key(self, f: Fields) -> None:
        scope, id = key(f.need("key"))
        self.ask(f, lambda: self.pool.open_key(scope, id))

    def do_load(self, f: Fields) -> None:
        keys = [key(one) for one in f.need("keys")]
        loads = self.ask(f, lambda: self.pool.load(keys))
        want = f.get("is")
        if loads is not None:
            same_list(f.need("is"), [load_as_json(load) for load in loads], self.timed)
        elif want is not None and f.get("expect", "ok") == "ok":
            raise Wrong("no loads")

    def do_order_by_load(self, f: Fields) -> None:
        keys = [key(one) for one in f.need("keys")]
        order = self.ask(f, lambda: self.pool.order_by_load(keys))
        if order is not None and order != f.need("is"):
            raise Wrong(f"the order is {order}")
        f.get("is")

    def same_holders(self, f: Fields, holders: list[reqbus.Holder]) -> None:
        # Oldest first for each key; the order of keys is not told.
        got = [holder_as_json(holder) for holder in sorted(holders, key=lambda holder: holder.key)]
        same_list(f.need("is"), got, self.timed)

    def do_holders(self, f: Fields) -> None:
        scope, id = key(f.need("key"))
        holders = self.ask(f, lambda: self.pool.holders(scope, id))
        if holders is not None:
            self.same_holders(f, holders)
        f.get("is")

    def do_held_longer_than(self, f: Fields) -> None:
        self.same_holders(f, self.face.run(self.pool.held_longer_than(f.need("ms") / 1000)))

    def do_holder(self, f: Fields) -> None:
        scope, id = key(f.need("key"))
        label, name = f.need("label"), f.need("as")
        found = [holder for holder in self.face.run(self.pool.holders(scope, id)) if holder.label == label]
        if not found or name in self.holder_ids:
            raise Wrong("no holder has that label, or the name was used before")
        self.holder_ids[name] = found[0].id

    def do_force(self, f: Fields) -> None:
        scope, id = key(f.need("key"))
        holder = self.holder_ids[f.need("holder")]
        was_held = self.ask(f, lambda: self.pool.force(scope, id, holder))
        if was_held is not None:
            f.same("was_held", was_held)

    def do_key_stats(self, f: Fields) -> None:
        stats = self.pool.key_stats(*key(f.need("key")))
        got = None
        if stats is not None:
            got = counted(stats) | {"peak": stats.peak, "mean_hold_ms": whole(stats.mean_hold, 1e3)}
        same(f.need("is"), got, self.timed)

    def do_scope_stats(self, f: Fields) -> None:
        same(f.need("is"), counted(self.pool.scope_stats(text(f.need("scope")))), self.timed)

    def do_known_keys(self, f: Fields) -> None:
        f.same("count", self.pool.known_keys)
        if f.has("at_most") and self.pool.known_keys > f.need("at_most"):
            raise Wrong(f"{self.pool.known_keys} keys")

    def do_touch(self, f: Fields) -> None:
        scope = f.need("scope")
        for number in range(1, f.need("count") + 1):
            self.face.run(self.pool.try_acquire(scope, number, limit=1)).release()

    def do_nonpositive_is_unlimited(self, f: Fields) -> None:
        number = f.need("number")
        limit = self.answered(f, lambda: reqbus.nonpositive_is_unlimited(number))
        same(f.get("limit"), limit, True)

    # About backoffs.

    def do_backoff(self, f: Fields) -> None:
        name, seed = f.need("as"), f.get("seed")
        options: dict[str, Any] = {"jitter": seed is not None or f.get("random") is True}
        f.get("random")
        if seed is not None:
            options["seed"] = seed
        for given, said in (("first_ms", "first"), ("cap_ms", "cap")):
            if f.has(given):
                options[said] = f.need(given) / 1000
        backoff = self.answered(f, lambda: reqbus.Backoff(**options))
        if backoff is not None:
            if name in self.backoffs:
                raise Wrong(f"the name {name} was used before")
            self.backoffs[name] = backoff

    def do_delays(self, f: Fields) -> None:
        exact = f.get("us")
        count = f.get("count", len(exact) if exact is not None else None)
        if count is None:
            raise Wrong("how many?")
        take = lambda backoff: [whole(backoff.next_delay(), 1e6) for _ in range(count)]  # noqa: E731
        got = take(self.backoffs[f.need("of")])
        if exact is not None and exact != got:
            raise Wrong(f"they are {got}")
        if f.has("same_as"):
            other = take(self.backoffs[f.need("same_as")])
            if (other == got) is not f.get("is_same", True):
                raise Wrong(f"{got} and {other}")
        if not all(f.get("least_us", 0) <= delay <= f.get("most_us", 1 << 60) for delay in got):
            raise Wrong(f"out of bounds: {got}")
        if len(set(got)) < f.get("distinct_at_least", 0):
            raise Wrong(f"only {len(set(got))} differ")
        if f.has("mean_above_us") and sum(got) // max(1, count) <= f.need("mean_above_us"):
            raise Wrong(f"their mean is {sum(got) // count}")

    def do_reset(self, f: Fields) -> None:
        self.backoffs[f.need("of")].reset()

    def do_attempt(self, f: Fields) -> None:
        f.same("is", self.backoffs[f.need("of")].attempt)


def run(case: dict[str, Any], face: Face, far: bool = False) -> bool:
    """Runs one case, on memory or on the store of tests, and says whether it can be said in Python. An error names the case, the step and what differs."""
    f = Fields(case)
    name, steps = f.need("name"), f.need("steps")
    if any(is_unsayable(step) for step in steps):
        return False
    has = {word for step in steps for word in step}
    script = Script(f, "advance" in has, face, "leak" not in has, far)
    for at, step in enumerate(steps, 1):
        try:
            script.step(*one_step(step))
        except (Wrong, reqbus.Error, KeyError, TypeError, AttributeError) as error:
            raise Wrong(f"{name}, step {at}: {error!r}\n    the step: {step!r:.300}") from error
    script.end()
    return True
