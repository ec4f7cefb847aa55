"""Runs one case about a runner: see tests/conformance/README.md."""

from __future__ import annotations

from typing import Any

import reqbus
from reqbus import _reqbus

from .fields import Fields, Wrong, one_step, whole
from .pool_script import same_list, text


class Script:
    def __init__(self, f: Fields) -> None:
        options: dict[str, Any] = {}
        for field, name in (("every_ms", "every"), ("limit_ms", "limit"), ("jitter_ms", "jitter")):
            if f.has(field):
                options[name] = f.need(field) / 1000
        for name in ("at_once", "seed"):
            if f.has(name):
                options[name] = f.need(name)
        self.clock: Any = _reqbus.Clock()  # type: ignore[attr-defined]
        self.runner: Any = answered(f, lambda: reqbus.Runner(list, print, _clock=self.clock, **options))
        f.done()
        self.permits: dict[str, Any] = {}
        #: Items in the lists of rounds that were neither refused nor passed over.
        self.listed = 0

    def step(self, word: str, f: Fields) -> None:
        step = getattr(self, "do_" + word, None)
        if step is None:
            raise Wrong(f"unknown step {word}")
        step(f)
        f.done()
        self.adds_up()

    def adds_up(self) -> None:
        """After every step: each permit is in flight and nothing else is; each item and each check is counted once."""
        flights, stats = self.runner.in_flight(), self.runner.stats()
        if sorted(flight.id for flight in flights) != sorted(self.permits):
            raise Wrong(f"in flight {flights}, permits {list(self.permits)}")
        ended = stats.succeeded + stats.failed + stats.panicked
        if stats.run != ended + len(flights) or stats.run + stats.skipped_busy + stats.skipped_full != self.listed:
            raise Wrong(f"{self.listed} were listed: {stats}")

    def take(self, f: Fields) -> Any:
        return self.permits.pop(text(f.need("id")))

    def do_round(self, f: Fields) -> None:
        due = [(text(id), overdue / 1000) for id, overdue in f.need("due")]
        wanted = f.get("permits")
        permits = answered(f, lambda: self.runner._admit(due, f.get("at_most")))
        if permits is None:
            return
        if not self.runner.paused:
            self.listed += len(due)
        got = [permit.id for permit in permits]
        if any(id in self.permits for id in got) or len(set(got)) != len(got):
            raise Wrong(f"two permits of one id: {got}")
        self.permits |= {permit.id: permit for permit in permits}
        if wanted is not None and got != [text(id) for id in wanted]:
            raise Wrong(f"permits of {got}, not of {wanted}")

    def do_fail_round(self, f: Fields) -> None:
        self.runner._fail_round()

    def do_finish(self, f: Fields) -> None:
        self.take(f)._finish(f.need("verdict"))

    def do_drop(self, f: Fields) -> None:
        self.take(f)

    def do_pause(self, f: Fields) -> None:
        if f.need("paused"):
            self.runner.pause()
        else:
            self.runner.resume()

    def do_paused(self, f: Fields) -> None:
        f.same("answer", self.runner.paused)

    def do_stop(self, f: Fields) -> None:
        self.runner._stop()

    def do_advance(self, f: Fields) -> None:
        self.clock.advance(f.need("ms") / 1000)

    def do_until_next_round(self, f: Fields) -> None:
        ms = whole(self.runner._until_next_round(), 1e3)
        f.same("ms", ms)
        if f.has("at_most_ms") and ms is not None and ms > f.need("at_most_ms"):
            raise Wrong(f"it is {ms} ms")

    def do_in_flight(self, f: Fields) -> None:
        wanted = [want | {"id": text(want["id"])} if "id" in want else want for want in f.need("is")]
        flights = self.runner.in_flight()
        got = [{"id": one.id, "age_ms": whole(one.age, 1e3), "is_stuck": one.stuck} for one in flights]
        same_list(wanted, got, True)

    def do_permit(self, f: Fields) -> None:
        permit = self.permits[text(f.need("of"))]
        f.same("should_end", permit.should_end)
        f.same("left_ms", whole(permit.time_left, 1e3))

    def do_stats(self, f: Fields) -> None:
        for name, got in self.runner.stats()._asdict().items():
            f.same(name, got)


def answered(f: Fields, call: Any) -> Any:
    """What ``call`` returns; ``None`` if it was refused as it had to be."""
    want, context = f.get("expect", "ok"), f.get("context")
    try:
        answer = call()
    except reqbus.Error as error:
        if error.kind != want or context not in (None, error.context):
            raise Wrong(f"{error.kind} of {error.context!r}: {error}") from error
        return None
    if want != "ok":
        raise Wrong(f"it was not refused as {want}")
    return answer


def run(case: dict[str, Any]) -> None:
    """Runs one case. An error names the case, the step and what differs."""
    f = Fields(case)
    name, steps = f.need("name"), f.need("steps")
    f.get("about"), f.get("from")
    options = f.get("runner", {})
    f.done()
    script = Script(Fields(options))
    if script.runner is None:
        if steps:
            raise Wrong(f"{name}: it has steps, but no runner")
        return
    for at, step in enumerate(steps, 1):
        try:
            script.step(*one_step(step))
        except (Wrong, reqbus.Error, KeyError, TypeError, AttributeError) as error:
            raise Wrong(f"{name}, step {at}: {error!r}\n    the step: {step!r:.300}") from error
    script.permits.clear()
    script.adds_up()
