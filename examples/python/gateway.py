"""A gateway in miniature: takes a slot per user and account, calls an upstream, publishes, and shows what happens.

    pip install reqbus fastapi uvicorn
    uvicorn gateway:app            # then: curl -N localhost:8000/reqbus/events
    curl -X POST localhost:8000/v1/messages -H 'x-user: 42' -d '{"model": "m", "stream": true}' -N
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Header, Response
from fastapi.responses import StreamingResponse

import reqbus
from reqbus import asgi

bus = reqbus.Bus()
pool = reqbus.SlotPool(on_leak=lambda leak: print("leaked:", leak))
app = FastAPI()
app.mount("/reqbus", asgi.app(bus))

PER_USER, PER_ACCOUNT, ACCOUNTS = 2, 3, (7, 8)


async def upstream(account: int, model: str) -> AsyncIterator[str]:
    """Stands for the provider."""
    for word in ("hello", "from", f"account {account}", model):
        await asyncio.sleep(0.02)
        yield f"data: {json.dumps({'text': word})}\n\n"


@app.post("/v1/messages")
async def messages(body: dict[str, Any], x_user: str = Header("anonymous")) -> Response:
    model, begun = str(body.get("model", "m")), time.perf_counter()

    def done(status: Any, account: int = 0) -> None:
        took = (time.perf_counter() - begun) * 1000
        bus.publish_request(
            method="POST", path="/v1/messages", model=model, account_id=account, status=status, latency_ms=took, key=x_user
        )

    order = await pool.order_by_load([("account", account) for account in ACCOUNTS])
    account = ACCOUNTS[order[0]]
    try:
        asks: list[Any] = [("user", x_user, PER_USER), ("account", account, PER_ACCOUNT)]
        slot = await pool.acquire_all(asks, timeout=10, label=model)
    except reqbus.SlotError as refusal:
        done("rate_limited")
        headers = {"retry-after": str(refusal.retry_after)} if refusal.retry_after else {}
        return Response(f"{refusal.outcome}: {refusal.scope}", status_code=429, headers=headers)

    async def answer() -> AsyncIterator[str]:
        status = "error"
        with slot:  # given back when the stream ends, or its client goes
            try:
                async for part in upstream(account, model):
                    yield part
                status = "success"
            finally:
                done(status, account)

    return StreamingResponse(answer(), media_type="text/event-stream")
