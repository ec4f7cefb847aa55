"""reqbus: an event bus and request slots, hosted in the gateway's own process.

* ``Bus``: each finished request becomes an event; dashboards, loggers and metrics subscribe, live or resuming after a
  disconnect. A slow reader never slows a publisher down, and always learns exactly what it missed.
* ``SlotPool``: at most so many requests in flight per user, account or key; who finds no room waits its turn.

Whatever waits is awaited; ``.blocking`` of a bus, a subscription, a pool, a wait or a slot is the same object for
threads. All times are seconds, unless a name ends in ``_ns`` or ``_ms``. All errors are ``reqbus.Error``.
"""

from . import _fork as _fork
from ._blocking import BlockingBus, BlockingPool, BlockingSlot, BlockingSubscription, BlockingWait
from ._bus import Bus, Item, Subscription
from ._errors import (
    AudienceBusyError,
    BusyError,
    ClosedError,
    Error,
    ForkedError,
    InterruptedError,
    InvalidArgumentError,
    InvalidJsonError,
    InvalidUtf8Error,
    QueueFull,
    ReservedKindError,
    SlotBusy,
    SlotCancelled,
    SlotClosed,
    SlotError,
    SlotInvalid,
    SlotTimedOut,
    SlotUnavailable,
    StoreUnavailableError,
    SystemError,
    TimeoutError,
    TooLargeError,
    TooManySourcesError,
)
from ._fork import ForkedPoolWarning
from ._pool import Slot, SlotPool, Wait
from ._records import (
    BusStats,
    Consumer,
    Counters,
    Holder,
    KeyStats,
    Leak,
    Load,
    ScopeStats,
    SubscriptionStats,
    WaitTimes,
)
from ._reqbus import (
    Acquire,
    Backoff,
    CleanupGuard,
    Event,
    EventId,
    Lost,
    NewEvent,
    Request,
    Resync,
    Status,
    nonpositive_is_unlimited,
)

__all__ = [
    "Acquire",
    "AudienceBusyError",
    "Backoff",
    "BlockingBus",
    "BlockingPool",
    "BlockingSlot",
    "BlockingSubscription",
    "BlockingWait",
    "Bus",
    "BusStats",
    "BusyError",
    "CleanupGuard",
    "ClosedError",
    "Consumer",
    "Counters",
    "Error",
    "Event",
    "EventId",
    "ForkedError",
    "ForkedPoolWarning",
    "Holder",
    "InterruptedError",
    "InvalidArgumentError",
    "InvalidJsonError",
    "InvalidUtf8Error",
    "Item",
    "KeyStats",
    "Leak",
    "Load",
    "Lost",
    "NewEvent",
    "QueueFull",
    "Request",
    "ReservedKindError",
    "Resync",
    "ScopeStats",
    "Slot",
    "SlotBusy",
    "SlotCancelled",
    "SlotClosed",
    "SlotError",
    "SlotInvalid",
    "SlotPool",
    "SlotTimedOut",
    "SlotUnavailable",
    "Status",
    "StoreUnavailableError",
    "Subscription",
    "SubscriptionStats",
    "SystemError",
    "TimeoutError",
    "TooLargeError",
    "TooManySourcesError",
    "Wait",
    "WaitTimes",
    "nonpositive_is_unlimited",
]
