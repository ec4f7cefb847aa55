"""What buses and pools tell of themselves. All counters are cumulative and never reset; all times are seconds."""

from __future__ import annotations

from typing import NamedTuple

from ._errors import Limit
from ._reqbus import EventId


class SubscriptionStats(NamedTuple):
    """An account; at any quiet moment ``matched == delivered + lost + pending + abandoned``."""

    matched: int
    delivered: int
    lost_full: int
    lost_window: int
    lost_evicted: int
    pending: int
    #: Unread when it was freed: only in a bus's totals.
    abandoned: int
    resyncs: int

    @property
    def lost(self) -> int:
        """Lost, whatever the reason."""
        return self.lost_full + self.lost_window + self.lost_evicted


class BusStats(NamedTuple):
    """The account of a bus."""

    newest: EventId
    kept_events: int
    kept_bytes: int
    subscriptions: int
    #: Fields of ``extra`` that were left out because a request event has one of that name.
    extra_clashes: int
    #: Sums over all subscriptions there ever were.
    totals: SubscriptionStats


class Consumer(NamedTuple):
    """One subscription, as a listing shows it."""

    id: int
    label: str
    pid: int
    keys: list[str]
    kinds: list[str]
    overflow: str
    audience: str | None
    age: float
    closed: bool
    stats: SubscriptionStats


class Load(NamedTuple):
    """How a key stands."""

    in_use: int
    waiting: int
    lapsed: int
    limit: Limit
    closed: bool
    oldest_wait: float | None
    oldest_hold: float | None
    #: ``(in_use + waiting) * 100 // limit``, which may pass 100; 0 without a limit.
    rate: int
    has_room: bool


class Holder(NamedTuple):
    """One who holds a slot of a key."""

    id: int
    key: tuple[str, str]
    label: str
    age: float


class Leak(NamedTuple):
    """A slot that was collected without a release."""

    key: tuple[str, str]
    label: str
    age: float


class Counters(NamedTuple):
    """What was counted for a key or a scope."""

    granted: int
    granted_after_wait: int
    busy: int
    queue_full: int
    timed_out: int
    cancelled: int
    closed: int
    store_unavailable: int
    lost: int
    leaked: int
    lapsed_offers: int
    limit_changes: int


class WaitTimes(NamedTuple):
    """How long waits took that ended with a slot; percentiles are at most an eighth too high."""

    #: How many there were.
    waits: int
    p50: float
    p90: float
    p99: float
    max: float


class KeyStats(NamedTuple):
    """What is known of a key."""

    counters: Counters
    peak: int
    mean_hold: float | None
    waits: WaitTimes


class ScopeStats(NamedTuple):
    """The sum over the keys of a scope."""

    counters: Counters
    waits: WaitTimes


class InFlight(NamedTuple):
    """A check that is under way."""

    id: str
    age: float
    #: Whether it is over its time.
    stuck: bool


class RunnerStats(NamedTuple):
    """What a runner has counted; ``run == succeeded + failed + panicked +`` those in flight."""

    rounds: int
    #: Rounds in which the host could not say what is due.
    failed_rounds: int
    #: Rounds that were passed over because the runner was paused.
    paused_rounds: int
    run: int
    succeeded: int
    failed: int
    #: Checks that raised, or whose task was cancelled.
    panicked: int
    #: Checks that were over their time; they are counted by their end, too.
    stuck: int
    #: Due items that were still being checked.
    skipped_busy: int
    #: Due items that found no room.
    skipped_full: int
    #: Checks that were begun more than a round after they were due.
    late: int


class Stopped(NamedTuple):
    """How far a stop of a runner came."""

    #: Checks that have not ended, oldest first.
    left: list[InFlight]
    #: Nobody is left, and nobody asks what is due: nothing of the host's is called from now on.
    ended: bool
