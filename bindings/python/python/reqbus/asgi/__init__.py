"""Plain ASGI for a bus and a pool, for any server and with or without a framework.

* ``app(bus)``: ``/events`` (server-sent events) and ``/ws`` (a WebSocket), to be mounted or served;
* ``Middleware(app, bus=…, pool=…)``: one request event per request, and slots taken before the application is called.
"""

from ._doors import Doors
from ._endpoints import App, app
from ._middleware import Middleware

__all__ = ["App", "Doors", "Middleware", "app"]
