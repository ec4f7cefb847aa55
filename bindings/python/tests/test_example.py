"""The example, run as its reader would run it."""

from __future__ import annotations

import asyncio
import json
import runpy
from pathlib import Path

import httpx

from .test_asgi import Frames, served

EXAMPLE = Path(__file__).parents[3] / "examples" / "python" / "gateway.py"


async def test_the_example_takes_slots_publishes_and_serves_events() -> None:
    gateway = runpy.run_path(str(EXAMPLE))
    async with served(gateway["app"]) as host, httpx.AsyncClient(base_url=f"http://{host}", timeout=30) as client:
        async with client.stream("GET", "/reqbus/events") as response:
            frames = Frames(response)
            await frames.next()
            answers = await asyncio.gather(
                *[
                    client.post("/v1/messages", json={"model": "m"}, headers={"x-user": str(number % 4)})
                    for number in range(12)
                ]
            )
            assert all(answer.status_code == 200 and "account" in answer.text for answer in answers)
            events = [json.loads((await frames.event())["data"]) for _ in answers]
            assert {event["status"] for event in events} == {"success"}
            assert {event["account_id"] for event in events} == {7, 8}
    loads = await gateway["pool"].load([("user", str(number)) for number in range(4)] + [("account", 7), ("account", 8)])
    assert not any(load.in_use or load.waiting for load in loads) and gateway["pool"].leaked == 0
