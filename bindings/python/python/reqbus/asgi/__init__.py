"""Plain ASGI for a bus and a pool, for any server and with or without a framework.

* ``app(bus)``: ``/events`` (server-sent events), ``/ws`` (a WebSocket) and ``/viewer``, to be mounted or served;
* ``Middleware(app, bus=…, pool=…)``: one request event per request, and slots taken before the application is called.
"""

from ._doors import Doors, parse_origin_policy, parse_trusted_proxies
from ._endpoints import App, app
from ._middleware import Middleware

__all__ = ["App", "Doors", "Middleware", "app", "parse_origin_policy", "parse_trusted_proxies"]
