"""reqbus: an event bus and request slots, hosted in the gateway's own process.

* ``Bus``: each finished request becomes an event; dashboards, loggers and metrics subscribe, live or resuming after a
  disconnect. A slow reader never slows a publisher down, and always learns exactly what it missed.
* ``SlotPool``: at most so many requests in flight per user, account or key; who finds no room waits its turn.
* ``Runner``: periodic checks, such as the health of upstream accounts, a few at a time.

Whatever waits is awaited; ``.blocking`` of a bus, a subscription, a pool, a wait, a slot or a runner is the same object for
threads. All times are seconds, unless a name ends in ``_ns`` or ``_ms``. All errors are ``reqbus.Error``.
"""

from . import _fork as _fork
from ._blocking_bus import BlockingBus, BlockingSubscription
from ._blocking_runner import BlockingCheck, BlockingRunner
from ._blocking_slots import BlockingPool, BlockingSlot, BlockingWait
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
    InFlight,
    KeyStats,
    Leak,
    Load,
    RunnerStats,
    ScopeStats,
    Stopped,
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
    Teller,
    nonpositive_is_unlimited,
)
from ._runner import Check, Runner

__all__ = [
    "Acquire",
    "AudienceBusyError",
    "Backoff",
    "BlockingBus",
    "BlockingCheck",
    "BlockingPool",
    "BlockingRunner",
    "BlockingSlot",
    "BlockingSubscription",
    "BlockingWait",
    "Bus",
    "BusStats",
    "BusyError",
    "Check",
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
    "InFlight",
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
    "Runner",
    "RunnerStats",
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
    "Stopped",
    "StoreUnavailableError",
    "Subscription",
    "SubscriptionStats",
    "SystemError",
    "Teller",
    "TimeoutError",
    "TooLargeError",
    "TooManySourcesError",
    "Wait",
    "WaitTimes",
    "nonpositive_is_unlimited",
]
