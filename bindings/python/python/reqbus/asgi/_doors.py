"""Who may connect: how many at once, how many per address, and from which origin."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from .._errors import InvalidArgumentError
from ._types import Scope, header

_LOOPBACK = ("127.0.0.0/8", "::1/128")

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
Origin: TypeAlias = Literal["lax", "strict", "any"]


class Refused(Exception):
    """A connection that is not let in: an HTTP status and a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Doors:
    """What the endpoints of one ``app`` check before they let a connection in.

    ``max_connections`` (100) in all and ``max_per_address`` (20; 0 is no limit) at once. ``origin``: ``"lax"`` lets
    connections without an ``Origin`` header in, ``"strict"`` does not, ``"any"`` does not look; an origin's host must be
    that of the request. A forwarded host or address is believed only from ``trusted_proxies`` (networks; by default
    loopback). ``enabled`` is asked for each connection.
    """

    def __init__(
        self,
        *,
        max_connections: int = 100,
        max_per_address: int = 20,
        origin: Origin = "lax",
        trusted_proxies: Iterable[str | Network] = _LOOPBACK,
        enabled: Callable[[], bool] = lambda: True,
    ) -> None:
        if max_connections < 1 or max_per_address < 0:
            raise InvalidArgumentError("max_connections", "it must be 1 or more, and max_per_address 0 or more")
        if origin not in ("lax", "strict", "any"):
            raise InvalidArgumentError("origin", "it is none of lax, strict, any")
        self.max_connections = max_connections
        self.max_per_address = max_per_address
        self.origin = origin
        self.enabled = enabled
        try:
            self._trusted = [ipaddress.ip_network(proxy) for proxy in trusted_proxies]
        except ValueError as error:
            raise InvalidArgumentError("trusted_proxies", str(error)) from error
        self._addresses: Counter[str] = Counter()
        self._connections = 0

    @property
    def connections(self) -> int:
        """How many are in."""
        return self._connections

    @contextmanager
    def entered(self, scope: Scope) -> Iterator[None]:
        """Lets a connection in for as long as the block runs, or raises ``Refused``."""
        self._check_origin(scope)
        address = self.address(scope)
        over = self.max_per_address and self._addresses[address] >= self.max_per_address
        if over or self._connections >= self.max_connections:
            if not self._addresses[address]:
                del self._addresses[address]
            raise Refused(503, "too many connections")
        self._connections += 1
        self._addresses[address] += 1
        try:
            yield
        finally:
            self._connections -= 1
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def _is_trusted(self, scope: Scope) -> bool:
        address = _address(str((scope.get("client") or ("",))[0]))
        return address is not None and any(address in network for network in self._trusted if network.version == address.version)

    def address(self, scope: Scope) -> str:
        """The client's: the leftmost forwarded one behind a trusted proxy, else the peer's."""
        peer = str((scope.get("client") or ("",))[0])
        forwarded = header(scope, b"x-forwarded-for") if self._is_trusted(scope) else None
        leftmost = _address(forwarded.split(",")[0]) if forwarded else None
        return str(leftmost or _address(peer) or peer)

    def _check_origin(self, scope: Scope) -> None:
        if self.origin == "any":
            return
        origin = header(scope, b"origin")
        if not origin:
            if self.origin == "strict":
                raise Refused(403, "no origin")
            return
        host = header(scope, b"host") or ""
        if self._is_trusted(scope):
            host = (header(scope, b"x-forwarded-host") or host).split(",")[0].strip()
        try:
            allowed = urlsplit(origin).hostname == urlsplit(f"//{host}").hostname is not None
        except ValueError:
            allowed = False
        if not allowed:
            raise Refused(403, "another origin")


def parse_origin_policy(text: str) -> Origin:
    """``"lax"``, ``"strict"`` or ``"any"`` as an operator may write it, in any case; anything else is ``"lax"``."""
    policies: dict[str, Origin] = {"strict": "strict", "any": "any"}
    return policies.get(text.strip().lower(), "lax")


def parse_trusted_proxies(text: str) -> tuple[list[Network], list[str]]:
    """The networks of a list of addresses and networks, separated by commas, and its bad entries: the good ones hold all
    the same."""
    networks: list[Network] = []
    bad: list[str] = []
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            bad.append(entry)
    return networks, bad


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as servers and proxies write it: an IPv6 one in brackets, perhaps; an IPv4 one as an IPv6 one, perhaps."""
    try:
        address = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
