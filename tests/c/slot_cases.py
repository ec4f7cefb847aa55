"""The pool scripts of tests/conformance (slots_*.json) as lines, for cases.py.

A case is a line `pool`, its steps, and a line `end`. A step is a line `slots.<step>` whose fields are those of the
README. What is no number and no text follows in lines of its own, of which the step's line says how many:

    texts    first=, last= of `pool`: `text` lines; memory_only= whether the case says so, watched= whether it has no `leak`
    asks     `ask` lines: scope, id, and limit (a number), unlimited=d1, or neither
    keys     `key` lines: scope, id
    expect   if it is an object, expect= is its outcome and wants=d1: one `want` line
    is       wants=: as many `want` lines, each with the fields to compare; nothing=d1 if `is` is null
    us, is   of `delays` and `order_by_load`: `number` lines, each with value=

In a `want` line the JSON's null is no_<field>=d1, "unlimited" is unlimited=d1, and a key is scope and id.
"""


class Printer:
    """What cases.py has: a way to write a line, and to read every field of an object."""

    def __init__(self, line, fields):
        self.line, self.fields = line, fields


def text(value):
    return value["text"] * value["times"] if isinstance(value, dict) else value


def key(raw):
    scope, name = raw
    return {"scope": text(scope), "id": text(name)}


def ask(raw):
    fields = key(raw[:2])
    if len(raw) > 2:
        fields |= {"unlimited": 1} if raw[2] == "unlimited" else {"limit": raw[2]}
    return fields


def want(raw):
    fields = {}
    for name, value in raw.items():
        if value is None:
            fields[f"no_{name}"] = 1
        elif value == "unlimited":
            fields["unlimited"] = 1
        elif name == "key":
            fields |= key(value)
        else:
            fields[name] = value
    return fields


ASKING = ("try", "try_first_of", "wait", "wait_on_top")
OF_KEY = ("set_limit", "clear_limit", "close_key", "open_key", "holders", "holder", "force", "key_stats")
# Fields that are numbers, texts or yes and no, as they stand.
PLAIN = {
    "try": ["as", "expect"], "try_first_of": ["as", "expect"],
    "wait": ["as", "timeout_ms", "max_waiting", "position"],
    "wait_on_top": ["as", "on", "timeout_ms", "max_waiting", "position"],
    "look": ["at", "as", "expect"], "position": ["of", "is"], "cancel": ["what", "cause"],
    "release": ["what", "expect"], "release_scope": ["what", "expect"],
    "join": ["to", "from", "expect", "context"], "keys": ["of"], "lost": ["of", "expect"],
    "leak": ["what"], "drop": ["what"], "close": [], "advance": ["ms"],
    "set_limit": ["expect", "context"], "clear_limit": ["expect", "context"],
    "close_key": ["expect", "context"], "open_key": ["expect", "context"],
    "load": ["expect", "context"], "order_by_load": ["expect", "context"], "holders": ["expect", "context"],
    "held_longer_than": ["ms"], "holder": ["as", "label"], "force": ["holder", "was_held", "expect", "context"],
    "key_stats": [], "scope_stats": [], "known_keys": ["count", "at_most"], "touch": ["scope", "count"],
    "leaked": ["count"], "told_leaks": [],
    "nonpositive_is_unlimited": ["number", "expect", "context"],
    "backoff": ["as", "seed", "random", "first_ms", "cap_ms", "expect", "context"],
    "delays": ["of", "count", "least_us", "most_us", "distinct_at_least", "mean_above_us", "same_as", "is_same"],
    "reset": ["of"], "attempt": ["of", "is"],
}
EXPECTED = {"try": "granted", "try_first_of": "granted", "release": "released", "release_scope": "released"}
WITH_ERRORS = {word for word, plain in PLAIN.items() if "context" in plain}


def limit_of(f):
    limit = f.get("limit")
    return {"unlimited": 1} if limit == "unlimited" else {"limit": limit}


def step(to, where, raw):
    (word, fields), = raw.items()
    if word not in PLAIN:
        raise SystemExit(f"{where}: unknown step {word}")
    f = to.fields(f"{where}, {word}", fields)
    out, after = {name: f.get(name) for name in PLAIN[word]}, []

    def lines(name, each, rows):
        out[name] = len(rows)
        after.extend((each, row) for row in rows)

    if isinstance(out.get("expect"), dict):
        expect = out["expect"]
        out |= {"expect": expect["outcome"], "wants": 1}
        after.append(("want", want(expect)))
    elif "expect" in out and out["expect"] is None:
        out["expect"] = EXPECTED.get(word, "ok" if word in WITH_ERRORS else None)
    if word in ASKING:
        out["label"] = text(f.get("label", ""))
        lines("asks", "ask", [ask(a) for a in f.need("asks")])
    if word in ("wait", "wait_on_top") and "ping_every_ms" in f:
        every = f.get("ping_every_ms")
        out |= {"no_pings": 1} if every is None else {"ping_every_ms": every}
    if word in ("try", "try_first_of", "look") and "keys" in f:
        lines("keys", "key", [key(k) for k in f.get("keys")])
    if word == "try_first_of" and "chosen" in f:
        chosen = f.get("chosen")
        out |= {"no_chosen": 1} if chosen is None else {"chosen": chosen}
    if word == "keys":
        lines("keys", "key", [key(k) for k in f.need("expect")])
    if word in ("release_scope", "scope_stats"):
        out["scope"] = text(f.need("scope"))
    if word in OF_KEY:
        out |= key(f.need("key"))
    if word in ("set_limit", "nonpositive_is_unlimited"):
        out |= limit_of(f)
    if word in ("load", "order_by_load"):
        lines("keys", "key", [key(k) for k in f.need("keys")])
    if word in ("load", "holders", "held_longer_than", "told_leaks") and "is" in f:
        lines("wants", "want", [want(w) for w in f.get("is")])
    if word in ("key_stats", "scope_stats"):
        expected = f.need("is")
        if expected is None:
            out["nothing"] = 1
        else:
            lines("wants", "want", [want(expected)])
    if word == "order_by_load" and "is" in f:
        lines("numbers", "number", [{"value": n} for n in f.get("is")])
    if word == "delays" and "us" in f:
        lines("numbers", "number", [{"value": n} for n in f.get("us")])
    f.done()
    to.line(f"slots.{word}", out)
    for each, row in after:
        to.line(each, row)


def script(to, where, raw):
    f = to.fields(where, raw)
    for ignored in ("about", "from"):
        f.get(ignored)
    memory_only = f.get("memory_only") is not None
    pool = to.fields(f"{where}, pool", f.get("pool", {}))
    steps = f.need("steps")
    ranks = "first" in pool or "last" in pool
    first, last = pool.get("first", []), pool.get("last", [])
    to.line("pool", {
        "name": f.need("name"), "clock": any("advance" in s for s in steps),
        "memory_only": memory_only, "watched": not any("leak" in s for s in steps), "processes": pool.get("processes", 1),
        "ranks": ranks, "first": len(first), "last": len(last),
    })
    for scope in first + last:
        to.line("text", {"text": scope})
    pool.done()
    f.done()
    for raw_step in steps:
        step(to, f"{where} {raw['name']}", raw_step)
    to.line("end", {})
