"""The logger, in the real LiteLLM, whose own mock answers stand for a provider."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import reqbus

from .conftest import run_on

MESSAGES = [{"role": "user", "content": "secret question"}]


litellm: Any = None


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Any:
    global litellm
    # Its prices come with it; it shall not look for newer ones.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm", reason="litellm is not installed")
    gc.freeze()  # its many objects are no affair of the tests that count and collect theirs
    from reqbus.litellm import Logger

    bus, before = reqbus.Bus(), list(litellm.callbacks)
    litellm.callbacks = [Logger(bus)]
    yield bus
    litellm.callbacks = before


@pytest.mark.filterwarnings("default")
def test_calls_become_request_events(bus: reqbus.Bus) -> None:
    # On one loop: LiteLLM's own logging worker stays with the first that it meets.
    run_on(asyncio.new_event_loop, calls(bus))


async def calls(bus: reqbus.Bus) -> None:
    sub = bus.subscribe()
    answer = await litellm.acompletion(
        model="openai/gpt-4o-mini", messages=MESSAGES, mock_response="secret answer", user="u-1", api_key="sk-secret"
    )
    assert answer.choices[0].message.content == "secret answer"
    with pytest.raises(litellm.RateLimitError):
        await litellm.acompletion(
            model="openai/gpt-4o-mini", messages=MESSAGES, mock_response="litellm.RateLimitError", num_retries=0
        )
    with pytest.raises(litellm.InternalServerError):
        await litellm.acompletion(
            model="openai/gpt-4o-mini", messages=MESSAGES, mock_response="litellm.InternalServerError", num_retries=0
        )
    got: dict[str, Any] = {}
    while len(got) < 3:
        for item in await sub.recv(timeout=30):
            got[item.value["status"]] = item.value
            assert b"secret" not in item.encode("envelope")
    success = got["success"]
    assert (success["model"], success["method"]) == ("gpt-4o-mini", "acompletion") and success["prompt_tokens"] > 0
    assert got["rate_limited"]["error"] == "RateLimitError" and got["error"]["error"] == "InternalServerError"
    await asyncio.sleep(0.1)
    assert sub.try_recv() == [], "one event per call"
