"""Runs one case about a bus: see tests/conformance/README.md."""

from __future__ import annotations

import base64
import gc
from typing import Any

import reqbus
from reqbus import _reqbus

from .faces import Face
from .fields import Fields, Wrong, one_step


class Script:
    def __init__(self, f: Fields, timed: bool, face: Face, max_items: int) -> None:
        f.get("about")
        options = Fields(f.get("bus", {}))
        given: dict[str, Any] = {}
        for name in ("log_events", "log_bytes", "resume"):
            if options.has(name):
                given[name] = options.need(name)
        if options.has("resume_age_ms"):
            given["resume_age"] = options.need("resume_age_ms") / 1000
        options.done()
        f.done()
        self.clock: Any = None
        if timed:
            self.clock = given["_clock"] = _reqbus.Clock()  # type: ignore[attr-defined]
        self.made = reqbus.Bus(**given)
        self.face = face
        self.bus = face.of(self.made)
        self.max_items = max_items
        self.subs: dict[str, Any] = {}
        self.guards: dict[str, Any] = {}

    def step(self, word: str, f: Fields) -> None:
        step = getattr(self, "do_" + word, None)
        if step is None:
            raise Wrong(f"unknown step {word}")
        step(f)
        f.done()
        self.adds_up()

    def adds_up(self) -> None:
        """Promise B2, after every step and for each subscription."""
        for stats in [sub.stats() for sub in self.subs.values() if sub] + [self.bus.stats().totals]:
            if stats.matched != stats.delivered + stats.lost + stats.pending + stats.abandoned:
                raise Wrong(f"the account does not add up: {stats}")

    def sub(self, f: Fields, field: str) -> Any:
        sub = self.subs.get(f.need(field))
        if sub is None:
            raise Wrong(f"{field} names no subscription")
        return sub

    def fill_in(self, text: str) -> str:
        epoch = self.bus.epoch
        return text.replace("{epoch}", f"{epoch:016x}").replace("{other}", f"{epoch ^ 1:016x}")

    # What changes something.

    def expect(self, f: Fields, call: Any) -> Any:
        want, got, answer = f.get("expect", "ok"), "ok", None
        try:
            answer = call()
        except reqbus.Error as error:
            got = error.kind
        if got != want:
            raise Wrong(f"the answer is {got}, not {want}")
        return answer

    def payload(self, f: Fields) -> dict[str, Any]:
        given = [name for name in ("text", "json", "base64") if f.has(name)]
        times = f.get("text_times")
        if len(given) > 1 or (times is not None and given not in ([], ["text"])):
            raise Wrong("more than one payload")
        if given == ["json"]:
            return {"json": f.need("json")}
        if given == ["base64"]:
            return {"data": base64.b64decode(f.need("base64"))}
        return {"text": f.get("text", "") * (times or 1)}

    def event(self, f: Fields) -> tuple[str, dict[str, Any]]:
        options = {**self.payload(f), "key": f.get("key", "")}
        if f.has("time_ms"):
            options["time_ns"] = f.need("time_ms") * 1_000_000
        return f.need("kind"), options

    def published(self, f: Fields, call: Any) -> None:
        """A closed bus takes nothing, silently: there the answer is nothing."""

        def publish() -> Any:
            answer = call()
            if answer is None:
                raise reqbus.ClosedError("bus")
            return answer

        self.expect(f, publish)

    def do_publish(self, f: Fields) -> None:
        kind, options = self.event(f)
        for _ in range(f.get("times", 1)):
            self.published(f, lambda: self.bus.publish(kind, **options))

    def do_publish_many(self, f: Fields) -> None:
        all_fields = [Fields(event) for event in f.need("events")]
        events = [self.event(fields) for fields in all_fields]
        for fields in all_fields:
            fields.done()
        self.published(f, lambda: self.bus.publish_many([reqbus.NewEvent(kind, **given) for kind, given in events]))

    def do_publish_request(self, f: Fields) -> None:
        options = {name: f.need(name) for name in ("method", "path", "model", "account_id", "status", "latency_ms")}
        options["timestamp_ns"] = f.need("time_ms") * 1_000_000
        options["key"] = f.get("key", "")
        options["extra"] = f.get("extra")
        self.published(f, lambda: self.bus.publish_request(**options))

    def do_subscribe(self, f: Fields) -> None:
        name = f.need("as")
        if name in self.subs:
            raise Wrong(f"the name {name} was used before")
        start, after = f.get("start", "live"), self.fill_in(f.get("after", "")) * f.get("after_times", 1)
        options = {name: f.get(name) for name in ("capacity", "capacity_bytes", "audience")}
        options |= {"keys": f.get("keys", []), "kinds": f.get("kinds", []), "label": f.get("label", "")}
        options |= {"overflow": f.get("overflow", "drop_newest"), "pid": f.get("pid", 0)}
        options |= {"after": after} if start == "after" else {"start": start}
        if f.has("audience_wait_ms"):
            options["audience_wait"] = f.need("audience_wait_ms") / 1000

        def subscribe() -> Any:
            sub = self.bus.subscribe(**options)
            self.face.run(sub.joined())
            return sub

        sub = self.expect(f, subscribe)
        if sub is not None:
            f.same("is_first", sub.is_first)
            self.subs[name] = sub
        f.get("is_first")

    def do_status(self, f: Fields) -> None:
        source, state = f.need("source"), f.need("state")
        detail = f.get("detail", "") * f.get("detail_times", 1)
        numbered = f.get("numbered")
        for name in [source] if numbered is None else [f"{source}{number}" for number in range(1, numbered + 1)]:
            self.expect(f, lambda name=name: self.bus.set_status(name, state, detail))

    def do_guard(self, f: Fields) -> None:
        guard = self.sub(f, "of").cleanup_guard()
        f.same("taken", guard is not None)
        name = f.need("as")
        if guard is not None:
            self.guards[name] = guard

    def do_expired(self, f: Fields) -> None:
        f.same("answer", self.guards[f.need("of")].expired)

    def do_release(self, f: Fields) -> None:
        f.same("in_force", self.guards.pop(f.need("what")).release())

    def do_abort(self, f: Fields) -> None:
        f.same("is_member", self.guards.pop(f.need("what")).abort())

    def do_advance(self, f: Fields) -> None:
        self.clock.advance(f.need("ms") / 1000)

    def do_close(self, f: Fields) -> None:
        if f.need("what") == "bus":
            self.bus.close()
            return
        f.same("was_last", self.sub(f, "what").close())

    def do_free(self, f: Fields) -> None:
        self.sub(f, "what")
        self.subs[f.need("what")] = None
        if self.face.name == "asyncio":
            gc.collect()  # a loop's run_until_complete keeps what raised in a cycle

    # What reads.

    def read(self, f: Fields, form: str | None) -> list[Any]:
        limits = {name: f.need(name) for name in ("max_items", "max_bytes") if f.has(name)}
        once = bool(limits)
        if once and f.has("then"):
            raise Wrong("then is not allowed beside a limit")
        then = f.get("then", "empty")
        if then not in ("empty", "closed"):
            raise Wrong(f"no such then: {then}")
        sub = self.sub(f, "from")
        got: list[Any] = []
        end = settled = None
        while end is None:
            try:
                items = self.face.recv(sub, form, limits or {"max_items": self.max_items})
            except reqbus.ClosedError:
                end = "closed"
                break
            if not items:
                end = "empty"
                break
            got += items
            settled = sub.settled.seq
            if once:
                end = "once"
        if not once and end != then:
            raise Wrong(f"after {len(got)} items it is {end}")
        if settled is not None:
            f.same("settled", settled)
        f.get("settled")
        return got

    def do_recv(self, f: Fields) -> None:
        want: list[dict[str, Any]] = []
        for raw in f.need("expect"):
            want += wanted(raw)
        compare(want, [self.shown(item) for item in self.read(f, None)])

    def shown(self, item: Any) -> dict[str, Any]:
        """An item, with every field that an expectation may name."""
        match item:
            case reqbus.Event(id, kind, key, _, n):
                if id.epoch != self.bus.epoch:
                    raise Wrong("an event of another epoch")
                shown = {"event": id.seq, "n": n, "kind": kind, "key": key}
                if item.sort in ("json", "text"):
                    shown[item.sort] = item.payload
                elif item.sort == "bytes":
                    shown["base64"] = base64.b64encode(item.payload).decode()
                return shown
            case reqbus.Lost(missed, reason, next_n):
                return {"lost": missed, "reason": reason, "next_n": next_n}
            case reqbus.Resync(reason, head):
                if head.epoch != self.bus.epoch:
                    raise Wrong("a head of another epoch")
                return {"resync": reason, "head": head.seq}
            case reqbus.Status(source, state, detail):
                return {"status": source, "state": state, "detail": detail}
        raise Wrong(f"no item: {item!r}")

    def do_recv_texts(self, f: Fields) -> None:
        want = [self.fill_in(text) for text in f.need("expect")]
        got = [text.decode() for text in self.read(f, f.need("form"))]
        if want != got:
            raise Wrong(f"the texts are {got}, not {want}")

    def counts(self, f: Fields, stats: reqbus.SubscriptionStats) -> None:
        for name in ("matched", "delivered", "lost_full", "lost_window", "lost_evicted", "pending"):
            f.same(name, getattr(stats, name))

    def do_stats(self, f: Fields) -> None:
        stats = self.sub(f, "of").stats()
        f.same("resyncs", stats.resyncs)
        self.counts(f, stats)

    def do_totals(self, f: Fields) -> None:
        stats = self.bus.stats()
        f.same("abandoned", stats.totals.abandoned)
        f.same("subscriptions", stats.subscriptions)
        self.counts(f, stats.totals)

    def do_consumers(self, f: Fields) -> None:
        got = [
            {
                "label": consumer.label,
                "pid": consumer.pid,
                "overflow": consumer.overflow,
                "audience": consumer.audience or "",
                "closed": consumer.closed,
                "matched": consumer.stats.matched,
                "delivered": consumer.stats.delivered,
                "lost": consumer.stats.lost,
                "pending": consumer.stats.pending,
            }
            for consumer in self.bus.consumers()
        ]
        compare(f.need("expect"), got)

    def do_settled(self, f: Fields) -> None:
        f.same("seq", self.sub(f, "of").settled.seq)

    def do_heartbeat(self, f: Fields) -> None:
        got = self.sub(f, "of").heartbeat(f.need("form")).decode()
        want = self.fill_in(f.need("text"))
        if got != want:
            raise Wrong(f"the heartbeat is {got!r}, not {want!r}")

    def do_newest(self, f: Fields) -> None:
        f.same("seq", self.bus.newest.seq)

    def do_wanted(self, f: Fields) -> None:
        f.same("answer", self.bus.wanted(f.need("kind")))

    def do_audience(self, f: Fields) -> None:
        f.same("count", self.bus.audience_count(f.need("name")))


def wanted(raw: Any) -> list[dict[str, Any]]:
    """The items that one expectation says, one by one."""
    f = Fields(raw)
    all_items: list[dict[str, Any]] = []
    if f.has("event") or f.has("events"):
        item = {name: f.need(name) for name in ("n", "kind", "key", "text", "json", "base64") if f.has(name)}
        first, last = f.get("events") or (f.need("event"), f.need("event"))
        for seq in range(first, last + 1):
            counted = {"n": item["n"] + seq - first} if "n" in item else {}
            all_items.append(item | counted | {"event": seq})
    elif f.has("status"):
        item = {"status": f.need("status"), "state": f.need("state")}
        item |= {"detail": f.need("detail")} if f.has("detail") else {}
        numbered = f.get("numbered")
        names = [""] if numbered is None else [str(number) for number in range(1, numbered + 1)]
        all_items = [item | {"status": item["status"] + name} for name in names]
    elif f.has("resync"):
        all_items = [{"resync": f.need("resync"), "head": f.need("head")}]
    else:
        all_items = [{"lost": f.need("lost"), "reason": f.need("reason"), "next_n": f.need("next_n")}]
    f.done()
    return all_items


def compare(want: list[Any], got: list[Any]) -> None:
    """Compares, at each place only the fields that the expectation names."""
    if len(want) != len(got):
        raise Wrong(f"{len(got)} items, not {len(want)}: {got}")
    for at, (one, other) in enumerate(zip(want, got, strict=True)):
        if any(other.get(name) != value for name, value in one.items()):
            raise Wrong(f"item {at} is {other}, not {one}")


def run(case: dict[str, Any], face: Face, max_items: int = 256) -> None:
    """Runs one case. An error names the case, the step and what differs."""
    f = Fields(case)
    name, steps = f.need("name"), f.need("steps")
    timed = any("advance" in step for step in steps)
    script = Script(f, timed, face, max_items)
    for at, step in enumerate(steps, 1):
        try:
            script.step(*one_step(step))
        except (Wrong, reqbus.Error, KeyError, TypeError) as error:
            raise Wrong(f"{name}, step {at}: {error!r}\n    the step: {step!r:.300}") from error
