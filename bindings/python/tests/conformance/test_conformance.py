"""The cases that every language must agree on, in every face that Python has."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest

import reqbus
from reqbus import _reqbus

from . import bus_script, pool_script, runner_script
from .faces import FACES
from .fields import Wrong

FOLDER = Path(__file__).parents[4] / "tests" / "conformance"
BUS_FILES = ["audiences", "close", "expiry", "filters", "lifecycle", "overflow", "resume", "statuses", "texts"]
POOL_FILES = [
    "slots_backoff",
    "slots_bad_input",
    "slots_close",
    "slots_keys",
    "slots_limits",
    "slots_lost",
    "slots_order",
    "slots_outcomes",
    "slots_pings",
    "slots_scopes",
    "slots_try",
]
RUNNER_FILES = ["runner_bad_input", "runner_in_flight", "runner_order", "runner_rounds", "runner_stop"]


def cases(names: list[str]) -> list[Any]:
    all_cases = []
    for name in names:
        for case in json.loads((FOLDER / f"{name}.json").read_text())["cases"]:
            all_cases.append(pytest.param(case, id=case["name"]))
    return all_cases


def needs_clock(case: dict[str, Any]) -> bool:
    return any("advance" in step for step in case["steps"])


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Any:
    face = FACES[request.param]()
    yield face
    face.end()


def test_no_file_is_forgotten() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*BUS_FILES, *POOL_FILES, *RUNNER_FILES, "encodings"}


@pytest.mark.parametrize("case", cases(BUS_FILES))
def test_bus(case: dict[str, Any], face: Any) -> None:
    if needs_clock(case) and not _reqbus.has_test_clock():
        pytest.skip("this build has no clock to drive")
    for max_items in (256, 1):
        bus_script.run(case, face, max_items)


@pytest.mark.parametrize("case", cases(POOL_FILES))
def test_pool(case: dict[str, Any], face: Any) -> None:
    if needs_clock(case) and not _reqbus.has_test_clock():
        pytest.skip("this build has no clock to drive")
    if not pool_script.run(case, face):
        asks = [ask for step in case["steps"] for fields in step.values() for ask in fields.get("asks", [])]
        negative = next(ask for ask in asks if len(ask) == 3 and isinstance(ask[2], int) and ask[2] < 0)
        with pytest.raises(reqbus.InvalidArgumentError):
            reqbus.SlotPool().acquire(negative[0], negative[1], limit=negative[2])


@pytest.mark.skipif(not _reqbus.has_test_clock(), reason="this build has no store of tests")
@pytest.mark.parametrize("case", cases(POOL_FILES))
def test_pool_on_the_store_of_tests(case: dict[str, Any], face: Any) -> None:
    if "memory_only" in case:
        with pytest.raises(Wrong):
            pool_script.run(case, face, far=True)
    else:
        pool_script.run(case, face, far=True)


@pytest.mark.skipif(not _reqbus.has_test_clock(), reason="this build has no clock to drive")
@pytest.mark.parametrize("case", cases(RUNNER_FILES))
def test_runner(case: dict[str, Any]) -> None:
    runner_script.run(case)


def test_encodings() -> None:
    file = json.loads((FOLDER / "encodings.json").read_text())
    bus = reqbus.Bus()
    compared = 0
    for case in file["events"]:
        payload, time_ns = case["payload"], int(case["time_ns"])
        with bus.subscribe() as sub:
            if payload["sort"] == "request":
                bus.publish_request(
                    method=payload["method"],
                    path=payload["path"],
                    model=payload["model"],
                    account_id=int(payload["account_id"]),
                    status=payload["status"],
                    latency_ms=int(payload["latency_ms"]),
                    key=case["key"],
                    extra=payload.get("extra"),
                    timestamp_ns=time_ns,
                )
            else:
                data = {
                    "json": lambda p: {"json": p["json"]},
                    "text": lambda p: {"text": p["text"]},
                    "bytes": lambda p: {"data": base64.b64decode(p["base64"])},
                }[payload["sort"]](payload)
                bus.publish(case["kind"], key=case["key"], time_ns=time_ns, **data)
            [event] = sub.try_recv()
        assert isinstance(event, reqbus.Event)
        for form, want in case["expect"].items():
            assert event.encode(form).decode() == want.replace(case["id"], str(event.id)), (case["name"], form)
            compared += 1
    assert compared >= 100


def made_wrong(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The case with one expectation of its steps changed, in each way."""
    all_cases = []
    for at, step in enumerate(case["steps"]):
        [(word, fields)] = step.items()
        for name in ("expect", "is", "settled", "seq", "answer", "was_last", "position", "was_held", "chosen", "permits", "should_end", "left_ms", "ms"):
            if name not in fields or (word, name) in (("position", "of"), ("advance", "ms"), ("held_longer_than", "ms")):
                continue
            wrong = copy.deepcopy(case)
            value = fields[name]
            if isinstance(value, list):
                value = [*value, "x" if word == "recv_texts" else {"lost": 1, "reason": "full", "next_n": 1}]
            elif isinstance(value, bool) or value is None:
                value = 7
            elif isinstance(value, int):
                value = value + 1
            elif isinstance(value, dict):
                value = {**value, "outcome": "x"} if "outcome" in value else {"granted": -1}
            else:
                value = value + "x"
            wrong["steps"][at][word][name] = value
            all_cases.append(wrong)
    return all_cases


@pytest.mark.parametrize("name", [*BUS_FILES, *POOL_FILES, *RUNNER_FILES])
def test_every_case_can_fail(name: str) -> None:
    """The runner itself: each expectation that is made wrong is noticed."""
    face, tried = FACES["trying"](), 0
    for param in cases([name]):
        [case] = param.values
        if (needs_clock(case) or name in RUNNER_FILES) and not _reqbus.has_test_clock():
            continue
        for wrong in made_wrong(case):
            if name.startswith("runner_"):
                run: Any = lambda case, face: runner_script.run(case)  # noqa: E731
            elif name.startswith("slots_"):
                if any(pool_script.is_unsayable(step) for step in wrong["steps"]):
                    continue
                run = pool_script.run
            else:
                run = bus_script.run
            with pytest.raises(Wrong):
                run(wrong, face)
                print(wrong)
            tried += 1
    face.end()
    assert tried > 0
