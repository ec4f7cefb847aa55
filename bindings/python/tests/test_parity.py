"""The two faces have the same methods, with the same parameters, and both are documented."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import reqbus

PAIRS = [
    (reqbus.Bus, reqbus.BlockingBus),
    (reqbus.Subscription, reqbus.BlockingSubscription),
    (reqbus.SlotPool, reqbus.BlockingPool),
    (reqbus.Wait, reqbus.BlockingWait),
    (reqbus.Slot, reqbus.BlockingSlot),
    (reqbus.Runner, reqbus.BlockingRunner),
    (reqbus.Check, reqbus.BlockingCheck),
]

#: How each face is entered and iterated, which differs by its nature.
PROTOCOLS = {"__aiter__": "__iter__", "__anext__": "__next__", "__aenter__": "__enter__", "__aexit__": "__exit__"}

#: A task is cancelled from outside; a thread has to say how long it waits.
MORE = {("until_lost", "timeout"), ("until_end", "timeout")}


def public(face: Any) -> dict[str, Any]:
    inherited = dir(object)
    return {name: getattr(face, name) for name in dir(face) if not name.startswith("_") and name not in inherited}


@pytest.mark.parametrize(("face", "blocking"), PAIRS)
def test_both_faces_have_the_same_methods(face: Any, blocking: Any) -> None:
    ours, theirs = public(face), public(blocking)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if not callable(ours[name]):
            assert not callable(theirs[name]), name
            continue
        one, other = (
            {
                parameter: (given.kind is given.KEYWORD_ONLY, given.default)
                for parameter, given in inspect.signature(method).parameters.items()
                if parameter != "self" and (name, parameter) not in MORE
            }
            for method in (ours[name], theirs[name])
        )
        assert one == other, name


@pytest.mark.parametrize(("face", "blocking"), PAIRS)
def test_both_faces_can_be_entered_and_iterated(face: Any, blocking: Any) -> None:
    for ours, theirs in PROTOCOLS.items():
        if hasattr(face, ours):
            assert hasattr(blocking, theirs), theirs


@pytest.mark.parametrize("name", reqbus.__all__)
def test_everything_public_is_documented(name: str) -> None:
    thing = getattr(reqbus, name)
    if name == "Item":
        return
    assert inspect.getdoc(thing), name
    if not inspect.isclass(thing) or issubclass(thing, tuple):
        return
    for method, value in public(thing).items():
        if callable(value) or isinstance(value, property) or inspect.isdatadescriptor(value):
            if inspect.ismemberdescriptor(value) or issubclass(thing, BaseException):
                continue
            record = thing in (reqbus.EventId, reqbus.Event, reqbus.Request, reqbus.Lost, reqbus.Resync, reqbus.Status)
            assert inspect.getdoc(value) or record, f"{name}.{method}"


def test_each_face_leads_to_the_other_object() -> None:
    bus, pool, runner = reqbus.Bus(), reqbus.SlotPool(), reqbus.Runner(list, print)
    sub = bus.subscribe()
    bus.blocking.publish("k", 1)
    assert [item.value for item in sub.blocking.try_recv()] == [1]
    with pool.blocking.acquire("user", 1, limit=1) as slot:
        assert slot.blocking.keys == [("user", "1")] and pool.blocking.load([("user", 1)])[0].in_use == 1
    for thing in (bus, sub, pool, slot, runner):
        assert thing.blocking.blocking is not None and "blocking" in repr(thing.blocking)
