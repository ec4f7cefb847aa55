"""What can go wrong: one class per kind, all of them ``Error``; and how an acquire ends without a slot: ``SlotError``."""

from __future__ import annotations

import builtins
from typing import ClassVar, Literal, TypeAlias

Limit: TypeAlias = int | Literal["unlimited"] | None


class Error(Exception):
    """Whatever reqbus raises. ``kind`` is its stable name, ``context`` the argument or the operation that it is about.

    No text shows a payload, a key or an id: they may be secrets.
    """

    kind: ClassVar[str] = "error"
    context: str
    message: str

    def __init__(self, context: str = "", message: str = "") -> None:
        super().__init__(f"{context}: {message}" if context else message)
        self.context = context
        self.message = message


class InvalidArgumentError(Error, ValueError):
    """An argument is outside its documented range, or two contradict each other."""

    kind = "invalid_argument"


class InvalidUtf8Error(Error, ValueError):
    """A text is no UTF-8."""

    kind = "invalid_utf8"


class InvalidJsonError(Error, ValueError):
    """A ``json`` payload or an ``extra`` is not JSON, is nested deeper than 128 levels, or, for ``extra``, is no object."""

    kind = "invalid_json"


class TooLargeError(Error, ValueError):
    """A payload, key, kind, label or list is longer than its limit, which the text names."""

    kind = "too_large"


class ReservedKindError(Error, ValueError):
    """A kind that begins with ``reqbus.``."""

    kind = "reserved_kind"


class TooManySourcesError(Error):
    """A 65th status source."""

    kind = "too_many_sources"


class ClosedError(Error):
    """It is closed, and what it held has been read."""

    kind = "closed"


class TimeoutError(Error, builtins.TimeoutError):
    """A deadline passed. Nothing was taken."""

    kind = "timeout"


class InterruptedError(Error):
    """The wait was interrupted. Nothing was taken."""

    kind = "interrupted"


class BusyError(Error):
    """Another wait is under way on this object."""

    kind = "busy"


class AudienceBusyError(Error):
    """The audience was being cleaned up until the caller's deadline. Nothing was joined."""

    kind = "audience_busy"


class StoreUnavailableError(Error):
    """The store of a pool cannot be reached, or did not answer."""

    kind = "store_unavailable"


class ForkedError(Error):
    """The object was made in a parent process, and this child was forked past Python's own hooks."""

    kind = "forked"


class SystemError(Error):
    """The operating system refused: descriptors, random numbers, threads."""

    kind = "system"


class SlotError(Error):
    """There is no slot. Which key refused, and how it stood at that moment."""

    outcome: ClassVar[str] = ""
    #: The scope of the key that refused, or that was waited for; of several the first.
    scope: str
    #: The limit of that key; ``None`` if it has none.
    limit: Limit
    #: Slots of that key in use, offers included.
    in_use: int
    #: Waiters of that key, this one not included.
    waiting: int
    #: Where the caller stood in the queue, from 1; 0 if it did not stand there.
    position: int
    #: How long the caller waited, in seconds.
    waited: float
    #: Pings that the host came back from.
    pings: int
    #: Whole seconds after which to try again; ``None`` while that cannot be told.
    retry_after: int | None
    #: What caused it, if something did. Of a cancelled wait the host's own reason.
    cause: Error | None

    def __init__(
        self,
        scope: str = "",
        limit: Limit = None,
        in_use: int = 0,
        waiting: int = 0,
        position: int = 0,
        waited: float = 0.0,
        pings: int = 0,
        retry_after: int | None = None,
        cause: Error | None = None,
        text: str = "",
    ) -> None:
        super().__init__("", text)
        self.context = cause.context if cause else ""
        self.scope = scope
        self.limit = limit
        self.in_use = in_use
        self.waiting = waiting
        self.position = position
        self.waited = waited
        self.pings = pings
        self.retry_after = retry_after
        self.cause = cause
        self.__cause__ = cause


class SlotBusy(SlotError):
    """There is no room, and the caller would not wait."""

    kind = outcome = "busy"


class QueueFull(SlotError):
    """There is no room, and as many as may wait do."""

    kind = outcome = "queue_full"


class SlotTimedOut(SlotError, builtins.TimeoutError):
    """The time that the caller gave has passed."""

    kind = outcome = "timed_out"


class SlotCancelled(SlotError):
    """The wait was cancelled: by the host, or because its ping could not be written (``__cause__``)."""

    kind = outcome = "cancelled"


class SlotClosed(SlotError):
    """The key or the pool is closed."""

    kind = outcome = "closed"


class SlotUnavailable(SlotError):
    """The store could not answer."""

    kind = outcome = "store_unavailable"


class SlotInvalid(SlotError, ValueError):
    """The call is wrong; ``cause`` says how."""

    kind = outcome = "invalid"


_KINDS: dict[str, type[Error]] = {
    error.kind: error
    for error in (
        InvalidArgumentError,
        InvalidUtf8Error,
        InvalidJsonError,
        TooLargeError,
        ReservedKindError,
        TooManySourcesError,
        ClosedError,
        TimeoutError,
        InterruptedError,
        BusyError,
        AudienceBusyError,
        StoreUnavailableError,
        ForkedError,
        SystemError,
    )
}

_OUTCOMES: dict[str, type[SlotError]] = {
    error.outcome: error
    for error in (SlotBusy, QueueFull, SlotTimedOut, SlotCancelled, SlotClosed, SlotUnavailable, SlotInvalid)
}


def make_error(kind: str, context: str, message: str) -> Error:
    """The exception of a kind of core's. A kind that this package does not know is an ``Error``."""
    return _KINDS.get(kind, Error)(context, message)


def make_refusal(
    outcome: str,
    scope: str,
    limit: Limit,
    in_use: int,
    waiting: int,
    position: int,
    waited: float,
    pings: int,
    retry_after: int | None,
    cause: tuple[str, str, str] | None,
    text: str,
) -> SlotError:
    """The exception of an outcome of core's."""
    error = make_error(*cause) if cause else None
    make = _OUTCOMES.get(outcome, SlotError)
    return make(scope, limit, in_use, waiting, position, waited, pings, retry_after, error, text)
