#!/usr/bin/env python3
"""Turns tests/conformance/*.json into lines that a C program reads.

    tests/c/cases.py [--slots | --runner] FILE.json...

With --slots it takes the scripts of pools (slots_*.json) only, with --runner those of runners (runner_*.json), without
either all others; slot_cases.py and runner_cases.py say what their lines are.

C has no JSON parser, and a test should not bring one. Each line is a word and then `name=value` fields,
parted by blanks; values are hexadecimal bytes for text (prefix x) or decimal numbers (prefix d). The
format of the files is in tests/conformance/README.md; an unknown field stops this script.
"""

import base64
import json
import sys
from pathlib import Path

import runner_cases
import slot_cases

SORTS = {"json": 0, "text": 1, "bytes": 2, "request": 3}
STARTS = {"live": 0, "oldest": 1, "after": 2}
OVERFLOWS = {"drop_newest": 0, "drop_oldest": 1, "catch_up": 2}
STATUSES = {"success": 0, "error": 1, "rate_limited": 2}
FORMS = {"json": 0, "envelope": 1, "ndjson": 2, "sse": 3}
NS_PER_MS = 1_000_000
COUNTS = ["matched", "delivered", "lost_full", "lost_window", "lost_evicted", "pending"]
NO_RESUME = 1
NO_WAIT = 1


class Fields:
    """A JSON object of which every field must be asked for."""

    def __init__(self, where, fields):
        self.where, self.fields, self.seen = where, fields, set()

    def __contains__(self, name):
        self.seen.add(name)
        return name in self.fields

    def get(self, name, default=None):
        self.seen.add(name)
        return self.fields.get(name, default)

    def need(self, name):
        if name not in self:
            raise SystemExit(f"{self.where}: field {name} is missing")
        return self.fields[name]

    def done(self):
        unknown = set(self.fields) - self.seen
        if unknown:
            raise SystemExit(f"{self.where}: unknown fields {sorted(unknown)}")


def line(word, fields):
    out = [word]
    for name, value in fields.items():
        if value is None:
            continue
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass")
        if isinstance(value, bytes):
            out.append(f"{name}=x{value.hex()}")
        else:
            out.append(f"{name}=d{int(value)}")
    print(" ".join(out))


def payload(f):
    """Sort and bytes of the payload named in `f`, or of an empty text."""
    for sort in ("text", "json", "base64"):
        if sort in f:
            value = f.get(sort)
            if sort == "base64":
                return SORTS["bytes"], base64.b64decode(value, validate=True)
            return SORTS[sort], value
    return None, None


def time_ns(f):
    ms = f.get("time_ms")
    return None if ms is None else ms * NS_PER_MS


def event(f):
    sort, content = payload(f)
    if sort is None:
        sort, content = SORTS["text"], ""
    if "text_times" in f:
        if sort != SORTS["text"]:
            raise SystemExit(f"{f.where}: text_times without a text")
        content *= f.get("text_times")
    return {"kind": f.need("kind"), "key": f.get("key", ""), "sort": sort, "payload": content, "time": time_ns(f)}


def request(f):
    names = ("method", "path", "model", "account_id", "latency_ms", "time_ms", "status")
    fields = {name: f.need(name) for name in names}
    fields |= {"time": fields.pop("time_ms") * NS_PER_MS, "status": STATUSES[fields["status"]]}
    return fields | {"key": f.get("key", ""), "extra": f.get("extra"), "expect": f.get("expect", "ok")}


def numbered(source, f):
    """The sources that a status is about: one, or as many as `numbered` says."""
    if "numbered" not in f:
        return [source]
    return [f"{source}{number}" for number in range(1, f.get("numbered") + 1)]


def item(where, raw):
    f = Fields(where, raw)
    if "event" in f or "events" in f:
        first, last = f.get("events") or [f.get("event")] * 2
        sort, content = payload(f)
        fields = {"first": first, "last": last, "n": f.get("n"), "kind": f.get("kind"),
                  "key": f.get("key"), "sort": sort, "payload": content}
        line("item.event", fields)
    elif "lost" in f:
        fields = {"missed": f.get("lost"), "reason": f.need("reason"), "next_n": f.need("next_n")}
        line("item.lost", fields)
    elif "resync" in f:
        line("item.resync", {"reason": f.get("resync"), "head": f.need("head")})
    elif "status" in f:
        for source in numbered(f.get("status"), f):
            line("item.status", {"source": source, "state": f.need("state"), "detail": f.get("detail")})
    else:
        raise SystemExit(f"{where}: no such item: {raw}")
    f.done()


def wait_flags(f):
    """A step never waits: a wait can only be left out or 0."""
    if f.get("audience_wait_ms", 0) != 0:
        raise SystemExit(f"{f.where}: a step must not wait")
    return NO_WAIT if "audience_wait_ms" in f else 0


def recv(word, f):
    limited = "max_items" in f or "max_bytes" in f
    if limited and "then" in f:
        raise SystemExit(f"{f.where}: then is not allowed beside a limit")
    items = f.need("expect")
    form = FORMS[f.need("form")] if word == "recv_texts" else None
    count = len(items) + sum(i.get("numbered", 1) - 1 for i in items if isinstance(i, dict))
    line(word, {"from": f.need("from"), "form": form, "limited": limited, "max_items": f.get("max_items"),
                "max_bytes": f.get("max_bytes"), "count": count, "settled": f.get("settled"),
                "closed": {"empty": 0, "closed": 1}[f.get("then", "empty")]})
    for raw in items:
        if word == "recv":
            item(f.where, raw)
        else:
            line("text", {"text": raw})


def consumers(f):
    rows = f.need("expect")
    line("consumers", {"count": len(rows)})
    for raw in rows:
        row = Fields(f.where, raw)
        overflow = OVERFLOWS[row.get("overflow")] if "overflow" in row else None
        names = ("label", "pid", "audience", "closed", "matched", "delivered", "lost", "pending")
        line("consumer", {name: row.get(name) for name in names} | {"overflow": overflow})
        row.done()


def step(where, raw):
    (word, fields), = raw.items()
    f = Fields(f"{where}, {word}", fields)
    if word == "publish":
        line(word, event(f) | {"times": f.get("times", 1), "expect": f.get("expect", "ok")})
    elif word == "publish_many":
        events = f.need("events")
        line(word, {"count": len(events), "expect": f.get("expect", "ok")})
        for raw_event in events:
            inner = Fields(f.where, raw_event)
            line("event", event(inner))
            inner.done()
    elif word == "publish_request":
        line(word, request(f))
    elif word == "subscribe":
        keys, kinds = f.get("keys", []), f.get("kinds", [])
        line(word, {
            "as": f.need("as"), "start": STARTS[f.get("start", "live")],
            "after": f.get("after", "") * f.get("after_times", 1),
            "overflow": OVERFLOWS[f.get("overflow", "drop_newest")],
            "capacity": f.get("capacity", 0), "capacity_bytes": f.get("capacity_bytes", 0),
            "audience": f.get("audience", ""), "is_first": f.get("is_first"),
            "label": f.get("label", ""), "pid": f.get("pid", 0), "flags": wait_flags(f),
            "keys": len(keys), "kinds": len(kinds), "expect": f.get("expect", "ok"),
        })
        for name in keys + kinds:
            line("name", {"name": name})
    elif word in ("recv", "recv_texts"):
        recv(word, f)
    elif word == "stats":
        line(word, {"of": f.need("of")} | {name: f.get(name) for name in [*COUNTS, "resyncs"]})
    elif word == "totals":
        line(word, {name: f.get(name) for name in [*COUNTS, "abandoned", "subscriptions"]})
    elif word == "consumers":
        consumers(f)
    elif word == "settled":
        line(word, {"of": f.need("of"), "seq": f.need("seq")})
    elif word == "newest":
        line(word, {"seq": f.need("seq")})
    elif word == "status":
        detail = f.get("detail", "") * f.get("detail_times", 1)
        for source in numbered(f.need("source"), f):
            line(word, {"source": source, "state": f.need("state"), "detail": detail, "expect": f.get("expect", "ok")})
    elif word == "heartbeat":
        line(word, {"of": f.need("of"), "form": FORMS[f.need("form")], "text": f.need("text")})
    elif word == "wanted":
        line(word, {"kind": f.need("kind"), "answer": f.need("answer")})
    elif word == "guard":
        line(word, {"of": f.need("of"), "as": f.need("as"), "taken": f.need("taken")})
    elif word == "expired":
        line(word, {"of": f.need("of"), "answer": f.need("answer")})
    elif word == "release":
        line(word, {"what": f.need("what"), "answer": f.need("in_force")})
    elif word == "abort":
        line(word, {"what": f.need("what"), "answer": f.need("is_member")})
    elif word == "audience":
        line(word, {"name": f.need("name"), "count": f.need("count")})
    elif word == "advance":
        line(word, {"ms": f.need("ms")})
    elif word == "close":
        checked = "was_last" in f
        was_last = {None: -1, False: 0, True: 1}[f.get("was_last")] if checked else None
        line(word, {"what": f.need("what"), "was_last": was_last})
    elif word == "free":
        line(word, {"what": f.need("what")})
    else:
        raise SystemExit(f"{where}: unknown step {word}")
    f.done()


def script(where, raw):
    f = Fields(where, raw)
    f.get("about")
    bus = Fields(f"{where}, bus", f.get("bus", {}))
    steps = f.need("steps")
    line("case", {
        "name": f.need("name"), "clock": any("advance" in s for s in steps),
        "log_events": bus.get("log_events", 0), "log_bytes": bus.get("log_bytes", 0),
        "resume_age_ms": bus.get("resume_age_ms", 0),
        "flags": 0 if bus.get("resume", True) else NO_RESUME,
    })
    bus.done()
    f.done()
    for raw_step in steps:
        step(f"{where} {raw['name']}", raw_step)
    line("end", {})


def encodings(data):
    for raw in data["events"]:
        p = raw["payload"]
        fields = {"name": raw["name"], "kind": raw["kind"], "key": raw["key"], "id": raw["id"],
                  "time": int(raw["time_ns"]), "sort": SORTS[p["sort"]]}
        if p["sort"] == "request":
            fields |= {name: p[name] for name in ("method", "path", "model")}
            fields |= {name: int(p[name]) for name in ("account_id", "latency_ms")}
            fields |= {"status": STATUSES[p["status"]], "extra": p.get("extra")}
        elif p["sort"] == "bytes":
            fields["payload"] = base64.b64decode(p["base64"], validate=True)
        else:
            fields["payload"] = p[p["sort"]]
        line("encoding", fields | raw["expect"])
    # The other control items cannot be made at will from outside.
    for raw in data["items"]:
        if raw["item"]["sort"] == "status":
            fields = {name: raw["item"][name] for name in ("source", "state", "detail")}
            line("encoding.status", {"name": raw["name"]} | fields | raw["expect"])


OTHERS = {"--slots": ("slots_", slot_cases), "--runner": ("runner_", runner_cases)}


def main():
    names = sys.argv[1:]
    option = names.pop(0) if names and names[0] in OTHERS else None
    for name in names:
        file = Path(name).name
        of = next((option for option, (prefix, _) in OTHERS.items() if file.startswith(prefix)), None)
        if of != option:
            continue
        data = json.loads(Path(name).read_text(encoding="utf-8"))
        line("file", {"name": file})
        if option is not None:
            _, module = OTHERS[option]
            for case in data["cases"]:
                module.script(slot_cases.Printer(line, Fields), name, case)
        elif "cases" in data:
            for case in data["cases"]:
                script(name, case)
        else:
            encodings(data)
    line("done", {})


main()
