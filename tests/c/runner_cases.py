"""The runner scripts of tests/conformance (runner_*.json) as lines, for cases.py.

A case is a line `runner`, its steps, and a line `end`. A step is a line `runner.<step>` whose fields are those of the
README; a verdict is its number. What is no number and no text follows in lines of its own, of which the step's line
says how many:

    due, permits   of `round`: `due` lines (id, overdue_ms), then `id` lines
    is             wants=: as many `want` lines, each with the fields to compare
"""

VERDICTS = {"succeeded": 0, "failed": 1, "panicked": 2}
COUNTERS = ["rounds", "failed_rounds", "paused_rounds", "run", "succeeded", "failed", "panicked", "stuck",
            "skipped_busy", "skipped_full", "late"]


def text(value):
    return value["text"] * value["times"] if isinstance(value, dict) else value


def step(to, where, raw):
    (word, fields), = raw.items()
    f = to.fields(f"{where}, {word}", fields)
    out, after = {}, []
    if word == "round":
        due, permits = f.need("due"), f.get("permits")
        out = {"due": len(due), "at_most": f.get("at_most"), "expect": f.get("expect", "ok"),
               "context": f.get("context"), "permits": None if permits is None else len(permits)}
        after += [("due", {"id": text(name), "overdue_ms": overdue}) for name, overdue in due]
        after += [("id", {"id": text(name)}) for name in permits or []]
    elif word == "finish":
        out = {"id": text(f.need("id")), "verdict": VERDICTS[f.need("verdict")]}
    elif word == "drop":
        out = {"id": text(f.need("id"))}
    elif word == "pause":
        out = {"paused": f.need("paused")}
    elif word == "paused":
        out = {"answer": f.need("answer")}
    elif word == "advance":
        out = {"ms": f.need("ms")}
    elif word == "until_next_round":
        out = {"ms": f.get("ms"), "at_most_ms": f.get("at_most_ms")}
    elif word == "permit":
        out = {"of": text(f.need("of")), "should_end": f.get("should_end"), "left_ms": f.get("left_ms")}
    elif word == "in_flight":
        wants = f.need("is")
        out = {"wants": len(wants)}
        for raw_want in wants:
            want = to.fields(f.where, raw_want)
            after.append(("want", {"id": text(want.need("id")), "age_ms": want.get("age_ms"), "is_stuck": want.get("is_stuck")}))
            want.done()
    elif word == "stats":
        out = {name: f.get(name) for name in COUNTERS}
    elif word not in ("fail_round", "stop"):
        raise SystemExit(f"{where}: unknown step {word}")
    f.done()
    to.line(f"runner.{word}", out)
    for each, row in after:
        to.line(each, row)


def script(to, where, raw):
    f = to.fields(where, raw)
    for ignored in ("about", "from"):
        f.get(ignored)
    options = to.fields(f"{where}, runner", f.get("runner", {}))
    names = ("every_ms", "limit_ms", "jitter_ms", "at_once", "seed", "context")
    to.line("runner", {"name": f.need("name"), "expect": options.get("expect", "ok")} | {n: options.get(n) for n in names})
    options.done()
    steps = f.need("steps")
    f.done()
    for raw_step in steps:
        step(to, f"{where} {raw['name']}", raw_step)
    to.line("end", {})
