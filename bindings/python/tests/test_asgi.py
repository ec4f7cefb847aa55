"""The ASGI endpoints and the middleware, mounted in Starlette and FastAPI under a real uvicorn."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import httpx
import pytest
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Mount

import reqbus
from reqbus import _reqbus, asgi

from .conftest import moving


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", loop="none"))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, 20)


def mounted(framework: str, app: Any) -> Any:
    if framework == "starlette":
        return Starlette(routes=[Mount("/reqbus", app)])
    api = fastapi.FastAPI()
    api.mount("/reqbus", app)
    return api


class Frames:
    """The blocks of an event stream, one by one."""

    def __init__(self, response: httpx.Response) -> None:
        self._bytes = response.aiter_bytes()
        self._buffer = b""

    async def next(self) -> dict[str, str]:
        while b"\n\n" not in self._buffer:
            self._buffer += await asyncio.wait_for(anext(self._bytes), 10)
        block, self._buffer = self._buffer.split(b"\n\n", 1)
        lines = [line.split(": ", 1) for line in block.decode().split("\n")]
        return {name: value for name, value in lines}

    async def event(self) -> dict[str, str]:
        while "data" not in (frame := await self.next()):
            pass
        return frame


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
async def test_events_resume_and_filter(framework: str) -> None:
    bus = reqbus.Bus()
    async with served(mounted(framework, asgi.app(bus))) as host, httpx.AsyncClient() as client:
        url = f"http://{host}/reqbus/events"
        async with client.stream("GET", url, params={"kind": ["a", "b"], "key": "u"}) as response:
            assert response.status_code == 200 and response.headers["cache-control"] == "no-store"
            assert response.headers["content-type"].startswith("text/event-stream")
            frames = Frames(response)
            assert await frames.next() == {"retry": "3000"} and set(await frames.next()) == {"id"}
            bus.publish("a", {"n": 1}, key="u")
            bus.publish("c", {"n": 2}, key="u")
            bus.publish("b", {"n": 3}, key="other")
            bus.publish("b", {"n": 4}, key="u")
            first = await frames.event()
            assert json.loads(first["data"]) == {"n": 1} and first["event"] == "a"
            assert json.loads((await frames.event())["data"]) == {"n": 4}
        # The header beats the query.
        headers, params = {"Last-Event-ID": first["id"]}, {"last_event_id": "nonsense"}
        async with client.stream("GET", url, headers=headers, params=params) as response:
            frames = Frames(response)
            assert [json.loads((await frames.event())["data"])["n"] for _ in range(3)] == [2, 3, 4]
        async with client.stream("GET", url, params=params) as response:
            resync = await Frames(response).event()
            assert resync["event"] == "reqbus.resync" and "malformed" in resync["data"]
            bus.close()
        while bus.stats().subscriptions:
            await asyncio.sleep(0.01)
        assert (await client.get(url)).status_code == 503
        assert (await client.get(f"http://{host}/reqbus/nothing")).status_code == 404


async def test_b9_a_quiet_stream_is_sent_its_settled_id() -> None:
    bus = reqbus.Bus()
    async with served(asgi.app(bus, heartbeat=0.05)) as host, httpx.AsyncClient() as client:
        async with client.stream("GET", f"http://{host}/events?kind=none") as response:
            frames = Frames(response)
            await frames.next()
            assert (await frames.next())["id"].endswith("-0")
            bus.publish("other", 1)
            while not (await frames.next())["id"].endswith("-1"):
                pass


async def test_a_client_that_leaves_is_forgotten() -> None:
    bus = reqbus.Bus()
    doors = asgi.Doors()
    async with served(asgi.app(bus, doors=doors)) as host, httpx.AsyncClient() as client:
        for _ in range(5):
            async with client.stream("GET", f"http://{host}/events") as response:
                await Frames(response).next()
                assert doors.connections == bus.stats().subscriptions == 1
            while doors.connections or bus.stats().subscriptions:
                await asyncio.sleep(0.01)


async def test_websockets_resume_and_end() -> None:
    bus = reqbus.Bus()
    async with served(asgi.app(bus)) as host:
        async with websockets.connect(f"ws://{host}/ws", subprotocols=["token-x", "reqbus"]) as socket_:
            assert socket_.subprotocol == "reqbus"
            await socket_.send("hello")
            bus.publish("k", {"n": 1})
            first = json.loads(await socket_.recv())
            assert first["kind"] == "k" and first["data"] == {"n": 1}
            bus.publish("k", {"n": 2})
            await socket_.recv()
        async with websockets.connect(f"ws://{host}/ws?last_event_id={first['id']}") as socket_:
            assert socket_.subprotocol is None and json.loads(await socket_.recv())["data"] == {"n": 2}
            await socket_.send("x" * 2000)
            with pytest.raises(websockets.ConnectionClosed):
                await socket_.recv()
            assert socket_.close_code == 1009
        async with websockets.connect(f"ws://{host}/ws") as socket_:
            await asyncio.sleep(0.05)
            bus.close()
            with pytest.raises(websockets.ConnectionClosed):
                await socket_.recv()
            assert socket_.close_code == 1000


async def test_doors_are_limited_before_the_upgrade() -> None:
    doors = asgi.Doors(max_connections=3, max_per_address=2)
    async with served(asgi.app(reqbus.Bus(), doors=doors)) as host:
        async with websockets.connect(f"ws://{host}/ws"), websockets.connect(f"ws://{host}/ws"):
            with pytest.raises(websockets.InvalidStatus) as caught:
                await websockets.connect(f"ws://{host}/ws")
            assert caught.value.response.status_code == 503
            async with httpx.AsyncClient() as client:
                refused = await client.get(f"http://{host}/events")
                assert (refused.status_code, refused.text) == (503, "too many connections")
                # Behind a trusted proxy the forwarded address counts.
                headers = {"X-Forwarded-For": "198.51.100.7, 10.0.0.1"}
                async with client.stream("GET", f"http://{host}/events", headers=headers) as response:
                    assert response.status_code == 200 and doors.connections == 3
        while doors.connections:
            await asyncio.sleep(0.01)
    assert not doors._addresses


async def test_switched_off_tells_clients_to_stop() -> None:
    doors = asgi.Doors(enabled=lambda: False)
    async with served(asgi.app(reqbus.Bus(), doors=doors)) as host:
        async with websockets.connect(f"ws://{host}/ws") as socket_:
            with pytest.raises(websockets.ConnectionClosed):
                await socket_.recv()
            assert (socket_.close_code, socket_.close_reason) == (4001, "realtime_disabled")
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://{host}/events")).status_code == 204


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
async def test_the_viewer_reads_the_events_beside_it(framework: str) -> None:
    async with served(mounted(framework, asgi.app(reqbus.Bus()))) as host, httpx.AsyncClient() as client:
        page = await client.get(f"http://{host}/reqbus/viewer")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert "new EventSource('events')" in page.text and "default-src 'none'" in page.headers["content-security-policy"]
        head = await client.head(f"http://{host}/reqbus/viewer")
        assert head.text == "" and head.headers["content-length"] == str(len(page.content))
        wrong = await client.post(f"http://{host}/reqbus/events")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
        assert (await client.get(f"http://{host}/reqbus/nothing")).status_code == 404


async def test_a_closed_bus_is_not_available() -> None:
    bus = reqbus.Bus()
    bus.close()
    async with served(asgi.app(bus)) as host, httpx.AsyncClient() as client:
        assert (await client.get(f"http://{host}/events")).status_code == 503
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(f"ws://{host}/ws")
        assert caught.value.response.status_code == 503


async def test_a_filter_that_is_too_long_is_the_clients_fault() -> None:
    async with served(asgi.app(reqbus.Bus())) as host, httpx.AsyncClient() as client:
        assert (await client.get(f"http://{host}/events?key={'x' * 256}")).status_code == 400


def test_what_an_operator_writes() -> None:
    for text, policy in (("STRICT", "strict"), (" Any ", "any"), ("", "lax"), ("nonsense", "lax")):
        assert asgi.parse_origin_policy(text) == policy
    networks, bad = asgi.parse_trusted_proxies("10.0.0.1, nonsense,, 192.0.2.7/24 ,::1, 1.2.3.4/33")
    assert [str(network) for network in networks] == ["10.0.0.1/32", "192.0.2.0/24", "::1/128"]
    assert bad == ["nonsense", "1.2.3.4/33"]
    scope = {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", b"198.51.100.7")]}
    assert asgi.Doors(trusted_proxies=networks).address(scope) == "198.51.100.7"
    with pytest.raises(reqbus.InvalidArgumentError):
        asgi.Doors(trusted_proxies=["nonsense"])


@pytest.mark.parametrize(
    ("policy", "client", "headers", "lets_in"),
    [
        ("lax", "192.0.2.1", {}, True),
        ("strict", "192.0.2.1", {}, False),
        ("any", "192.0.2.1", {"origin": "https://evil.example"}, True),
        ("lax", "192.0.2.1", {"origin": "https://a.example", "host": "a.example:8080"}, True),
        ("lax", "192.0.2.1", {"origin": "https://evil.example", "host": "a.example"}, False),
        ("lax", "192.0.2.1", {"origin": "null", "host": "a.example"}, False),
        ("lax", "192.0.2.1", {"origin": "http://[", "host": "a.example"}, False),
        ("lax", "127.0.0.1", {"origin": "https://a.example", "host": "in", "x-forwarded-host": "a.example, b"}, True),
        ("lax", "192.0.2.1", {"origin": "https://a.example", "host": "in", "x-forwarded-host": "a.example"}, False),
    ],
)
def test_origins(policy: Any, client: str, headers: dict[str, str], lets_in: bool) -> None:
    doors = asgi.Doors(origin=policy)
    scope = {"client": (client, 1), "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    try:
        with doors.entered(scope):
            assert lets_in and doors.connections == 1
    except Exception as refused:
        assert not lets_in and getattr(refused, "status", None) == 403
    assert doors.connections == 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("127.0.0.1", "2001:db8::1, 10.0.0.1", "2001:db8::1"),
        ("::1", "[2001:db8::2]", "2001:db8::2"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("::ffff:127.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
    ],
)
def test_addresses(peer: str, forwarded: str, address: str) -> None:
    scope = {"client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    assert asgi.Doors().address(scope) == address


def gateway(bus: reqbus.Bus, pool: reqbus.SlotPool, **options: Any) -> Any:
    api = fastapi.FastAPI()

    @api.post("/echo")
    async def echo(body: dict[str, Any]) -> dict[str, Any]:
        return body

    @api.get("/fail")
    async def fail() -> None:
        raise RuntimeError("no")

    @api.get("/limited")
    async def limited() -> None:
        raise fastapi.HTTPException(429)

    @api.get("/stream")
    async def stream(hold: float = 0) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            await asyncio.sleep(hold)
            yield b"data: 2\n\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    options.setdefault("slots", lambda scope: [("user", 1, 1)])
    return asgi.Middleware(api, bus=bus, pool=pool, **options)


async def test_one_event_on_every_way_out() -> None:
    bus, pool = reqbus.Bus(), reqbus.SlotPool()
    sub = bus.subscribe()
    app = gateway(bus, pool, describe=lambda scope: {"model": "m", "account_id": 7, "key": "u"})
    async with served(app) as host, httpx.AsyncClient(base_url=f"http://{host}") as client:
        assert (await client.post("/echo", json={"a": 1})).json() == {"a": 1}
        for path, status in (("/limited", 429), ("/nothing", 404), ("/fail", 500), ("/stream", 200)):
            assert (await client.get(path)).status_code == status
    events = [item.value for item in sub.try_recv()]
    assert [(event["path"], event["status"]) for event in events] == [
        ("/echo", "success"),
        ("/limited", "rate_limited"),
        ("/nothing", "error"),
        ("/fail", "error"),
        ("/stream", "success"),
    ]
    assert all(event["model"] == "m" and event["account_id"] == 7 and event["latency_ms"] >= 0 for event in events)
    assert (await pool.load([("user", 1)]))[0].in_use == 0


async def test_a_request_waits_its_turn_and_a_stream_is_pinged() -> None:
    bus, pool = reqbus.Bus(), reqbus.SlotPool()
    app = gateway(bus, pool, ping_every=0.02, timeout=5, ping=b'data: {"type": "ping"}\n\n')
    events = {"accept": "text/event-stream"}
    async with served(app) as host, httpx.AsyncClient(base_url=f"http://{host}") as client:
        held = await pool.acquire("user", 1, limit=1)
        streaming = asyncio.create_task(client.get("/stream", headers=events))
        waiting = asyncio.create_task(client.post("/echo", json={"a": 1}))
        while (await pool.load([("user", 1)]))[0].waiting < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        held.release()
        text = (await streaming).text
        assert text.startswith('data: {"type": "ping"}\n\n') and text.endswith("data: 1\n\ndata: 2\n\n")
        assert (await waiting).json() == {"a": 1}, "the body that came while it waited is the application's"


async def test_refusals_are_answers() -> None:
    clock = _reqbus.Clock()  # type: ignore[attr-defined]
    bus, pool = reqbus.Bus(), reqbus.SlotPool(_clock=clock)
    sub = bus.subscribe()
    async with served(gateway(bus, pool, ping_every=0.02, timeout=0.1)) as host, moving(clock):
        async with httpx.AsyncClient(base_url=f"http://{host}") as client:
            held = await pool.acquire("user", 1, limit=1)
            refused = await client.post("/echo", json={})
            assert refused.status_code == 429 and refused.json()["error"]["code"] == "slot_timed_out"
            streamed = await client.get("/stream", headers={"accept": "text/event-stream"})
            assert streamed.status_code == 200 and "event: error\ndata: {" in streamed.text
            await pool.close_key("user", 1)
            assert (await client.post("/echo", json={})).status_code == 503
            held.release()
    assert [item.value["status"] for item in sub.try_recv()] == ["rate_limited", "rate_limited", "error"]


async def test_a_client_that_leaves_while_it_waits_gives_up_its_place() -> None:
    bus, pool = reqbus.Bus(), reqbus.SlotPool()
    async with served(gateway(bus, pool, ping_every=30)) as host:
        async with httpx.AsyncClient(base_url=f"http://{host}") as client:
            held = await pool.acquire("user", 1, limit=1)
            waiting = asyncio.create_task(client.get("/stream"))
            while not (await pool.load([("user", 1)]))[0].waiting:
                await asyncio.sleep(0.01)
            waiting.cancel()
            while (await pool.load([("user", 1)]))[0].waiting:
                await asyncio.sleep(0.01)
            held.release()
    assert (await pool.load([("user", 1)]))[0].in_use == 0


async def test_a_request_that_is_cancelled_as_it_gets_its_slot_gives_it_back() -> None:
    pool = reqbus.SlotPool()

    async def served_(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def receive() -> Any:
        return await asyncio.get_running_loop().create_future()

    app = asgi.Middleware(served_, pool=pool, slots=lambda scope: [("user", 1, 1)])
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    for turns in range(12):
        held = await pool.acquire("user", 1, limit=1)
        request = asyncio.ensure_future(app(scope, receive, lambda message: asyncio.sleep(0)))
        for _ in range(4):
            await asyncio.sleep(0)
        held.release()
        for _ in range(turns):
            await asyncio.sleep(0)
        request.cancel()
        await asyncio.wait([request])
        assert (await pool.load([("user", 1)]))[0].in_use == 0, turns
    assert pool.leaked == 0


async def events_of(app: Any, send: Any) -> None:
    async def receive() -> Any:
        return await asyncio.get_running_loop().create_future()

    scope = {"type": "http", "method": "GET", "path": "/events", "headers": [], "query_string": b""}
    await app(scope, receive, send)


@pytest.mark.parametrize("quiet_for", [0, 0.1])
async def test_a_client_that_takes_nothing_is_let_go(quiet_for: float) -> None:
    bus, sent = reqbus.Bus(), []
    doors = asgi.Doors()

    async def send(message: Any) -> None:
        sent.append(message)
        if b"event: k" in message.get("body", b""):
            await asyncio.get_running_loop().create_future()

    serving = asyncio.ensure_future(events_of(asgi.app(bus, doors=doors, write_timeout=0.05), send))
    while len(sent) < 2:
        await asyncio.sleep(0)
    await asyncio.sleep(quiet_for)
    bus.publish("k", 1)
    await asyncio.wait_for(serving, 10)
    assert b"event: k" in sent[-1]["body"] and doors.connections == 0 and bus.stats().subscriptions == 0


async def test_a_slow_write_is_waited_for_and_followed_by_what_came_meanwhile() -> None:
    bus, bodies = reqbus.Bus(), []

    async def send(message: Any) -> None:
        bodies.append(message.get("body", b""))
        if bodies[-1].count(b"event: k"):
            await asyncio.sleep(0.02)

    serving = asyncio.ensure_future(events_of(asgi.app(bus, linger=0), send))
    while len(bodies) < 2:
        await asyncio.sleep(0)
    for number in range(40):
        bus.publish("k", number)
        await asyncio.sleep(0)
    while sum(body.count(b"event: k") for body in bodies) < 40:
        await asyncio.sleep(0)
    bus.close()
    await serving
    assert 2 <= sum(b"event: k" in body for body in bodies) < 40 and bodies[-1] == b""


async def test_connections_that_are_rung_together_are_woken_by_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    from reqbus.asgi import _telling

    bus, seen, timers = reqbus.Bus(), [0] * 8, []
    rung = _telling.Linger._wake_all
    monkeypatch.setattr(_telling.Linger, "_wake_all", lambda linger: (timers.append(len(linger._rung)), rung(linger)))
    app = asgi.app(bus)

    def sender(at: int) -> Any:
        async def send(message: Any) -> None:
            seen[at] += message.get("body", b"").count(b"event: k")

        return send

    serving = [asyncio.ensure_future(events_of(app, sender(at))) for at in range(8)]
    while bus.stats().subscriptions < 8:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    for number in range(5):
        bus.publish("k", number)
    while seen != [5] * 8:
        await asyncio.sleep(0.001)
    assert timers == [8]
    bus.close()
    await asyncio.wait(serving)
