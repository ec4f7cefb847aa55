"""A middleware: one request event per request, and slots before the application is called."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from .._bus import Bus
from .._errors import SlotError
from .._pool import Ask, SlotPool
from .._reqbus import Slot
from ._types import ASGIApp, Message, Receive, Scope, Send, header

_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
#: What an outcome is answered with; anything else is 503.
_STATUS = {"busy": 429, "queue_full": 429, "timed_out": 429}

Describe = Callable[[Scope], Mapping[str, Any]]
Slots = Callable[[Scope], "Iterable[Ask] | None | Awaitable[Iterable[Ask] | None]"]


class _Gone(Exception):
    """The client went away while it waited."""


class Middleware:
    """Publishes one request event for each HTTP request that ``app`` serves, on every way out, and takes slots for it.

    ``describe(scope)``, called when the request ends, adds to the event: ``model``, ``account_id``, ``key``, ``extra``,
    or ``status``. Without it a status below 400 is ``success``, 429 is ``rate_limited``, and all else ``error``.

    ``slots(scope)``, which may be a coroutine function, names the slots that a request needs, as
    ``SlotPool.acquire_all`` takes them, or none. They are taken before ``app`` is called, and given back when it returns;
    as ``scope["reqbus.slot"]`` the application sees them. A client that waits for a stream (``streams(scope)``, by
    default one that accepts ``text/event-stream``) is sent ``ping``, by default a comment, every ``ping_every`` seconds:
    from the first on its status is 200, and a refusal is an ``error`` event. Else a refusal is 429, or 503, with
    ``Retry-After`` where that can be told.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        bus: Bus | None = None,
        pool: SlotPool | None = None,
        slots: Slots | None = None,
        describe: Describe | None = None,
        streams: Callable[[Scope], bool] | None = None,
        timeout: float = 30.0,
        max_waiting: int = 20,
        ping_every: float = 15.0,
        ping: bytes = b": ping\n\n",
    ) -> None:
        self.app = app
        self.bus = bus
        self.pool = pool
        self.slots = slots
        self.describe = describe
        self.streams = streams or _accepts_events
        self.timeout = timeout
        self.max_waiting = max_waiting
        self.ping_every = ping_every
        self.ping = ping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun, answer = time.perf_counter(), _Answer(send, self.ping)
        failed = True
        try:
            await self._serve(scope, _Listener(receive), answer)
            failed = False
        finally:
            if self.bus is not None:
                self._publish(scope, answer, failed, time.perf_counter() - begun)

    def _publish(self, scope: Scope, answer: _Answer, failed: bool, seconds: float) -> None:
        status = "success" if answer.status < 400 else "rate_limited" if answer.status == 429 else "error"
        event: dict[str, Any] = {
            "method": scope["method"],
            "path": scope.get("path", ""),
            "status": "error" if failed and status == "success" else status,
            "latency_ms": seconds * 1000,
        }
        if self.describe is not None:
            event.update(self.describe(scope))
        assert self.bus is not None
        self.bus.publish_request(**event)

    async def _serve(self, scope: Scope, listener: _Listener, answer: _Answer) -> None:
        asks = self.slots(scope) if self.slots is not None else None
        if inspect.isawaitable(asks):
            asks = await asks
        if not asks or self.pool is None:
            return await self.app(scope, listener.receive, answer.send)
        try:
            slot = await self._slot(self.pool, list(asks), scope, listener, answer)
        except SlotError as refusal:
            return await answer.refuse(refusal)
        except _Gone:
            answer.status = 499
            return
        with slot:
            scope["reqbus.slot"] = slot
            await self.app(scope, listener.receive, answer.send)

    async def _slot(self, pool: SlotPool, asks: list[Ask], scope: Scope, listener: _Listener, answer: _Answer) -> Slot:
        async def take() -> Slot:
            return await pool.acquire_all(
                asks,
                label=scope.get("path", "")[:255].encode()[:255].decode(errors="ignore"),
                timeout=self.timeout,
                max_waiting=self.max_waiting,
                ping_every=self.ping_every if self.streams(scope) else None,
                on_ping=answer.ping,
            )

        taking, gone = asyncio.ensure_future(take()), asyncio.ensure_future(listener.gone())
        try:
            await asyncio.wait((taking, gone), return_when=asyncio.FIRST_COMPLETED)
            # Both end before the application is called: it listens by itself.
            gone.cancel()
            taking.cancel()
            await asyncio.wait((taking, gone))
            if taking.cancelled():
                raise _Gone
            return taking.result()
        except BaseException:
            gone.cancel()
            taking.cancel()
            # This task may be cancelled in any turn, also in one in which the slot was there.
            if taking.done():
                _give_back(taking)
            else:
                taking.add_done_callback(_give_back)
            raise


def _give_back(taken: asyncio.Task[Slot]) -> None:
    if not taken.cancelled() and taken.exception() is None:
        taken.result().release()


def _accepts_events(scope: Scope) -> bool:
    return "text/event-stream" in (header(scope, b"accept") or "")


class _Listener:
    """Hears a disconnect while the request waits, and keeps the first part of its body for the application."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: Message | None = None

    async def gone(self) -> None:
        """Returns when the client has gone; never, where that cannot be heard without reading its body on."""
        if self._kept is None:
            self._kept = await self._receive()
        if self._kept["type"] != "http.disconnect":
            if self._kept.get("more_body"):
                await asyncio.get_running_loop().create_future()
            await self._receive()
            self._kept = {"type": "http.disconnect"}

    async def receive(self) -> Message:
        kept, self._kept = self._kept, None
        return kept if kept is not None else await self._receive()


class _Answer:
    """What the client has been sent. Pings begin the answer; the application's own beginning is then passed over."""

    def __init__(self, send: Send, ping: bytes) -> None:
        self._send = send
        self._ping = ping
        self._begun = False
        self.status = 500

    async def ping(self) -> None:
        if not self._begun:
            self._begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM})
        await self._send({"type": "http.response.body", "body": self._ping, "more_body": True})

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._begun:
                return
        await self._send(message)

    async def refuse(self, refusal: SlotError) -> None:
        self.status = _STATUS.get(refusal.outcome, 503)
        kind = "rate_limit_error" if self.status == 429 else "api_error"
        said = {"type": kind, "code": f"slot_{refusal.outcome}", "scope": refusal.scope, "retry_after": refusal.retry_after}
        body = json.dumps({"type": "error", "error": said}, separators=(",", ":")).encode()
        if self._begun:
            await self._send({"type": "http.response.body", "body": b"event: error\ndata: " + body + b"\n\n"})
            return
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        if refusal.retry_after is not None:
            headers.append((b"retry-after", str(refusal.retry_after).encode()))
        await self._send({"type": "http.response.start", "status": self.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
