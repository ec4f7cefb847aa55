"""Server-sent events and WebSockets: what a bus tells, to browsers and others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from .._bus import Bus, Subscription
from .._errors import AudienceBusyError, ClosedError, InvalidArgumentError, TooLargeError
from ._doors import Doors, Refused
from ._telling import Linger, Telling
from ._types import Message, Receive, Scope, Send, header

#: A client of the WebSocket has nothing to say that is longer.
_LONGEST_MESSAGE = 1024
_SWITCHED_OFF = 4001
_TEXT = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

_PAGE = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
    ),
]


class App:
    """An ASGI application: ``/events``, ``/ws`` and ``/viewer`` below wherever it is mounted. Made by ``app``."""

    def __init__(
        self,
        bus: Bus,
        *,
        doors: Doors,
        heartbeat: float,
        retry: float,
        linger: float,
        write_timeout: float,
        subprotocol: str,
    ) -> None:
        self.bus = bus
        self.doors = doors
        self.heartbeat = heartbeat
        self.retry = retry
        self.linger = linger
        self.write_timeout = write_timeout
        self.subprotocol = subprotocol
        self._linger: Linger | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, path = scope["type"], scope.get("path", "")
        mounted = scope.get("root_path", "")
        if mounted and path.startswith(mounted):
            path = path[len(mounted) :]
        if kind == "lifespan":
            await _lifespan(receive, send)
        elif kind == "http":
            await self._http(path, scope, receive, send)
        elif kind == "websocket":
            await self._websocket(path, scope, receive, send)

    async def _http(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        path = path.rstrip("/")
        if path not in ("/events", "/viewer"):
            return await _answer(send, 404, "not found")
        if scope["method"] not in ("GET", "HEAD"):
            return await _answer(send, 405, "method not allowed", [(b"allow", b"GET, HEAD")])
        if path == "/viewer":
            return await _show(scope, send)
        if not self.doors.enabled():
            # The one status by which an EventSource stops for good.
            return await _answer(send, 204, "")
        try:
            with self.doors.entered(scope):
                async with self._subscribed(scope) as sub:
                    await self._stream(sub, scope, receive, send)
        except Refused as refused:
            await _answer(send, refused.status, refused.reason)

    @asynccontextmanager
    async def _subscribed(self, scope: Scope) -> AsyncIterator[Subscription]:
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        after = header(scope, b"last-event-id")
        if after is None:
            after = asked.get("last_event_id", [None])[0]
        try:
            sub = self.bus.subscribe(
                keys=asked.get("key", ()),
                kinds=asked.get("kind", ()),
                after=after,
                overflow="catch_up",
                label=self.doors.address(scope)[:255],
            )
        except (InvalidArgumentError, TooLargeError) as error:
            raise Refused(400, str(error)) from error
        except (ClosedError, AudienceBusyError) as error:
            raise Refused(503, "closed") from error
        async with sub:
            yield sub

    async def _stream(self, sub: Subscription, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _STREAM})
        if scope["method"] == "HEAD":
            return await send({"type": "http.response.body", "body": b""})
        retry = b"retry: %d\n\n" % round(self.retry * 1000)
        # The settled id at once: a client that breaks off before the first event resumes from here.
        first = retry + sub.heartbeat("sse")
        await send({"type": "http.response.body", "body": first, "more_body": True})

        async def write(text: bytes) -> None:
            await send({"type": "http.response.body", "body": text, "more_body": True})

        telling = self._telling(sub, "sse")
        await _while_connected(receive, telling.run(write, joined=True), _is_gone)
        if sub.closed or self.bus.closed:
            await send({"type": "http.response.body", "body": b""})

    def _telling(self, sub: Subscription, form: str) -> Telling:
        loop = asyncio.get_running_loop()
        if self._linger is None or self._linger.loop is not loop:
            self._linger = Linger(loop, self.linger)
        return Telling(sub, form, self._linger, self.heartbeat, self.write_timeout)

    async def _websocket(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        if path.rstrip("/") != "/ws":
            return await _deny(scope, send, 404, "not found")
        offered = scope.get("subprotocols", ())
        # A token that was sent as a subprotocol is never sent back.
        accepted = self.subprotocol if self.subprotocol in offered else None
        accept: Message = {"type": "websocket.accept", "subprotocol": accepted}
        if not self.doors.enabled():
            await send(accept)
            return await send({"type": "websocket.close", "code": _SWITCHED_OFF, "reason": "realtime_disabled"})
        try:
            with self.doors.entered(scope):
                async with self._subscribed(scope) as sub:
                    await send(accept)
                    await self._talk(sub, receive, send)
        except Refused as refused:
            await _deny(scope, send, refused.status, refused.reason)

    async def _talk(self, sub: Subscription, receive: Receive, send: Send) -> None:
        async def write(texts: list[bytes] | bytes) -> None:
            for text in [texts] if isinstance(texts, bytes) else texts:
                if text:
                    await send({"type": "websocket.send", "text": text.decode()})

        telling = self._telling(sub, "envelope")
        last = await _while_connected(receive, telling.run(write, joined=False), _is_over)
        if last is None:
            await send({"type": "websocket.close", "code": 1000 if sub.closed or self.bus.closed else 1011})
        elif last["type"] == "websocket.receive":
            await send({"type": "websocket.close", "code": 1009, "reason": "message too big"})


def app(
    bus: Bus,
    *,
    doors: Doors | None = None,
    heartbeat: float = 15.0,
    retry: float = 3.0,
    linger: float = 0.01,
    write_timeout: float = 10.0,
    subprotocol: str = "reqbus",
) -> App:
    """An ASGI application that tells what ``bus`` tells: ``/events`` as server-sent events, ``/ws`` as JSON envelopes,
    and ``/viewer`` as a page.

    The first two resume: after the ``Last-Event-ID`` header, else ``?last_event_id=``; ``?key=`` and ``?kind=`` filter,
    and may be repeated. ``heartbeat`` (seconds): a quiet connection is sent its settled id. ``retry`` (seconds): when a
    browser connects again. ``linger`` (seconds): a burst is one write. A client that takes nothing for ``write_timeout``
    seconds is let go; one that answers no WebSocket pings is let go by the server, which sends them. ``doors`` says who
    may connect; only ``subprotocol`` is ever accepted.
    """
    return App(
        bus,
        doors=doors or Doors(),
        heartbeat=heartbeat,
        retry=retry,
        linger=linger,
        write_timeout=write_timeout,
        subprotocol=subprotocol,
    )


def _is_gone(message: Message) -> bool:
    return bool(message["type"] == "http.disconnect")


def _is_over(message: Message) -> bool:
    if message["type"] == "websocket.receive":
        text = message.get("text")
        return len(text.encode() if text is not None else message.get("bytes") or b"") > _LONGEST_MESSAGE
    return True


async def _while_connected(receive: Receive, telling: Any, ends: Callable[[Message], bool]) -> Message | None:
    """Runs ``telling`` until it ends (``None``), or until the client says something that ends it."""

    async def listen() -> Message:
        while True:
            message = await receive()
            if ends(message):
                return message

    tasks = [asyncio.ensure_future(telling), asyncio.ensure_future(listen())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # Nothing of this connection runs on after it.
        await asyncio.gather(*tasks, return_exceptions=True)
    told, heard = tasks
    failed = None if told.cancelled() else told.exception()
    if failed is not None:
        raise failed
    return None if heard.cancelled() or heard.exception() else heard.result()


async def _answer(send: Send, status: int, text: str, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*_TEXT, *more]})
    await send({"type": "http.response.body", "body": text.encode()})


async def _show(scope: Scope, send: Send) -> None:
    """The page that shows requests as they finish. It reads them from ``events`` beside its own address."""
    page = _viewer()
    length = (b"content-length", str(len(page)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*_PAGE, length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else page})


@cache
def _viewer() -> bytes:
    return files("reqbus.asgi").joinpath("viewer.html").read_bytes()


async def _deny(scope: Scope, send: Send, status: int, text: str) -> None:
    """Refuses before the upgrade, with the status if the server can say one."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": _TEXT})
        await send({"type": "websocket.http.response.body", "body": text.encode()})
    else:
        await send({"type": "websocket.close", "code": 1013 if status == 503 else 1008, "reason": text})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
