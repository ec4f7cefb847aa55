"""CPU per delivered SSE frame: 64 dashboards on real sockets, each event of a gateway to all of them.

The server is a process of its own (``python -m bench.dashboards ours|theirs``) under uvicorn, as it is run: with uvloop
and httptools. It publishes what one worker finishes in a second, at that pace, and says how much CPU it took until every
dashboard had every frame. The readers are in the process that measures, whose CPU is not counted.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

DASHBOARDS = 64
#: What one worker finishes in a second.
FRAMES = 1_000
EACH = 4
REQUEST = {"method": "POST", "path": "/v1/messages", "model": "m-large", "account_id": 42, "status": "success", "latency_ms": 812}


def measure(which: str) -> float:
    """Nanoseconds of the server's CPU for a frame."""
    command = [sys.executable, "-m", "bench.dashboards", which]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None and server.stdout is not None
        port = int(server.stdout.readline())

        def say(word: str) -> None:
            assert server.stdin is not None
            server.stdin.write(word + "\n")
            server.stdin.flush()

        try:
            _read_all(port, lambda: say("go"))
            say("done")
            return int(server.stdout.readline()) / (FRAMES * DASHBOARDS)
        finally:
            server.kill()


def _read_all(port: int, begin: Callable[[], None]) -> None:
    """Connects the dashboards, calls ``begin`` when all have heard something, and returns when each has its frames."""
    with selectors.DefaultSelector() as selector:
        seen: dict[socket.socket, int] = {}
        for _ in range(DASHBOARDS):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
            selector.register(sock, selectors.EVENT_READ)
        while seen.keys() != {key.fileobj for key in selector.get_map().values()}:
            for key, _ in selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                text = sock.recv(1 << 16)
                assert sock in seen or b"200 OK" in text
                seen[sock] = 0
        begin()
        left = set(seen)
        while left:
            for key, _ in selector.select(60):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                text = sock.recv(1 << 18)
                assert text and b"reqbus.lost" not in text
                # One to a frame, wherever reads and chunks end.
                seen[sock] += text.count(b"{")
                if seen[sock] >= FRAMES:
                    left.discard(sock)
        for sock in seen:
            sock.close()


def _ours() -> tuple[Any, Callable[[], object]]:
    import reqbus
    from reqbus import asgi

    bus = reqbus.Bus()
    app = asgi.app(bus, doors=asgi.Doors(max_per_address=0))
    return app, lambda: bus.publish_request(**REQUEST)  # type: ignore[arg-type]


def _theirs() -> tuple[Any, Callable[[], object]]:
    from sse_starlette import EventSourceResponse
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.routing import Route

    queues: set[asyncio.Queue[dict[str, Any]]] = set()

    async def events(request: Request) -> EventSourceResponse:
        async def each() -> AsyncIterator[dict[str, Any]]:
            queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            queues.add(queue)
            try:
                yield {"comment": "connected"}
                while True:
                    yield {"event": "request", "data": json.dumps(await queue.get())}
            finally:
                queues.discard(queue)

        return EventSourceResponse(each())

    def publish() -> None:
        event = {"timestamp": time.time(), **REQUEST}
        for queue in queues:
            queue.put_nowait(event)

    return Starlette(routes=[Route("/events", events)]), publish


async def _serve(which: str) -> None:
    import uvicorn

    app, publish = _ours() if which == "ours" else _theirs()
    loop = asyncio.get_running_loop()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(DASHBOARDS)
        config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", http="httptools")
        serving = asyncio.create_task(uvicorn.Server(config).serve([listening]))
        print(listening.getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        before, begun = time.process_time_ns(), loop.time()
        for at in range(FRAMES // EACH):
            for _ in range(EACH):
                publish()
            await asyncio.sleep(max(0.0, begun + (at + 1) * EACH / FRAMES - loop.time()))
        await loop.run_in_executor(None, sys.stdin.readline)
        print(time.process_time_ns() - before, flush=True)
        await serving


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(sys.argv[1]))
