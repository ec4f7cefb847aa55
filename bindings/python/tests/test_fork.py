"""Forked children: a bus or a pool made before the fork works there, new and empty; older subscriptions are closed."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reqbus


def in_child(check: Callable[[], None], fork: Callable[[], int] = os.fork) -> None:
    """Runs ``check`` in a forked child, which must end well within 30 s."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = fork()
    if pid == 0:
        try:
            signal.alarm(30)
            check()
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_child_gets_a_bus_and_a_pool_of_its_own() -> None:
    bus, pool = reqbus.Bus(log_events=10), reqbus.SlotPool()
    sub = bus.subscribe()
    bus.publish("k", "parent")
    slot = pool.blocking.acquire("user", 1, limit=1)
    wait = pool.wait([("user", 1, 1)])
    epoch = bus.epoch

    def check() -> None:
        assert bus.epoch != epoch and bus.newest.seq == 0 and bus.stats().subscriptions == 0
        with pytest.raises(reqbus.ClosedError):
            sub.try_recv()
        assert sub.closed and list(sub.blocking) == [] and "parent" in repr(sub)
        mine = bus.subscribe()
        bus.publish("k", "child")
        assert [item.value for item in mine.blocking.recv()] == ["child"]
        with pytest.raises(reqbus.SlotInvalid) as caught:
            wait.try_next()
        assert isinstance(caught.value.cause, reqbus.ForkedError)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            pool.blocking.acquire("user", 1, limit=1).release()
            pool.blocking.acquire("user", 1, limit=1).release()
        assert [warning.category for warning in said] == [reqbus.ForkedPoolWarning]
        assert slot.release() == "already" and pool.blocking.load([("user", 1)])[0].in_use == 0

        async def read() -> list[Any]:
            reading = asyncio.create_task(mine.recv())
            await asyncio.sleep(0)
            bus.publish("k", "loop")
            return [item.value for item in await reading]

        assert asyncio.run(read()) == ["loop"]

    in_child(check)
    assert [item.value for item in sub.try_recv()] == ["parent"] and bus.epoch == epoch
    assert slot.release() == "released"
    assert isinstance(wait.try_next(), reqbus.Slot)


def test_a_fork_inside_a_running_loop_leaves_the_parents_loop_alone() -> None:
    bus = reqbus.Bus()

    async def main() -> None:
        sub = bus.subscribe()
        reading = asyncio.create_task(sub.recv())
        await asyncio.sleep(0)
        in_child(lambda: bus.close())
        assert not bus.closed
        await asyncio.get_running_loop().run_in_executor(None, bus.publish, "k", 1)
        assert len(await reading) == 1

    asyncio.run(main())


def test_a_fork_while_other_threads_hold_locks() -> None:
    bus, pool = reqbus.Bus(), reqbus.SlotPool()
    sub = bus.subscribe(overflow="catch_up")
    ended = threading.Event()

    def hammer() -> None:
        while not ended.is_set():
            bus.publish("k", text="x")
            pool.blocking.acquire("user", 1, limit=9).release()

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()

    def check() -> None:
        assert sub.closed
        bus.publish("k", 1)
        warnings.simplefilter("ignore")
        pool.blocking.acquire("user", 1, limit=1).release()

    try:
        for _ in range(30):
            in_child(check)
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_child_forked_past_python_is_told() -> None:
    import ctypes

    bus, pool = reqbus.Bus(), reqbus.SlotPool()
    sub = bus.subscribe()

    def check() -> None:
        with pytest.raises(reqbus.ForkedError):
            bus.publish("k", 1)
        with pytest.raises(reqbus.ForkedError):
            sub.try_recv()
        with pytest.raises(reqbus.SlotInvalid):
            pool.blocking.acquire("user", 1, limit=1)
        assert "forked" in repr(bus)

    in_child(check, ctypes.PyDLL(None).fork)
    bus.publish("k", 1)
    assert len(sub.try_recv()) == 1


BUS = reqbus.Bus()


def _worker(queue: Any) -> None:
    sub = BUS.subscribe()
    BUS.publish("k", os.getpid())
    queue.put([item.value for item in sub.try_recv()] == [os.getpid()] and BUS.newest.seq == 1)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str) -> None:
    BUS.publish("k", "parent")
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    workers = [context.Process(target=_worker, args=(queue,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=60) for _ in workers] == [True, True]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0


APP = """
    import asyncio, json, os
    import reqbus
    bus, pool = reqbus.Bus(), reqbus.SlotPool(processes=2)
    early = bus.subscribe()
    bus.publish("k", "before")

    def app(environ, start_response):
        sub = bus.subscribe(start="oldest", overflow="catch_up")
        with pool.blocking.acquire("user", 1, limit=4):
            bus.publish("k", os.getpid())
            in_use = pool.blocking.load([("user", 1)])[0].in_use
        values = [item.value for item in sub.try_recv()]
        body = json.dumps({"pid": os.getpid(), "values": values, "in_use": in_use, "epoch": bus.epoch}).encode()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body]
"""


@pytest.mark.parametrize("preload", [True, False])
def test_under_a_real_gunicorn(preload: bool, tmp_path: Path) -> None:
    (tmp_path / "gateway.py").write_text(textwrap.dedent(APP))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "gateway:app", "-w", "2", "-b", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command + ["--preload"] * preload, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        seen: dict[int, list[Any]] = {}
        deadline = time.monotonic() + 60
        while len(seen) < 2 or min(len(answers) for answers in seen.values()) < 3:
            assert server.poll() is None and time.monotonic() < deadline, seen
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
                    answer = json.load(response)
            except OSError:
                time.sleep(0.05)
                continue
            seen.setdefault(answer["pid"], []).append(answer)
        for pid, answers in seen.items():
            before = [] if preload else ["before"]
            assert answers[0]["values"][: len(before) + 1] == [*before, pid] and answers[0]["in_use"] == 1
            assert {answer["epoch"] for answer in answers} == {answers[0]["epoch"]}
        assert len({answers[0]["epoch"] for answers in seen.values()}) == 2
        server.terminate()
        _, said = server.communicate(timeout=30)
        assert "Traceback" not in said, said
    finally:
        server.kill()
        server.wait()
