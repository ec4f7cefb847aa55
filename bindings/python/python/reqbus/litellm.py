"""LiteLLM: a custom logger that publishes each call's end on a bus.

    litellm.callbacks = [reqbus.litellm.Logger(bus)]
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from litellm.exceptions import RateLimitError
from litellm.integrations.custom_logger import CustomLogger

from ._bus import Bus


class Logger(CustomLogger):  # type: ignore[misc, unused-ignore]
    """Publishes one request event per call: ``success``, ``error``, or ``rate_limited``, with tokens and cost.

    ``method`` is the kind of call (``acompletion``), ``path`` the model group where there is one, else the model, ``key``
    the user. Nothing of the prompt or of the answer is published, and no key of an API. It never raises: what a bus
    refuses is no reason to fail a call.
    """

    def __init__(self, bus: Bus) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._bus = bus

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """A call that ended well."""
        self._publish(kwargs, response_obj, start_time, end_time, "success")

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """A call that failed, or was refused for its rate."""
        error = kwargs.get("exception")
        limited = isinstance(error, RateLimitError) or getattr(error, "status_code", None) == 429
        self._publish(kwargs, response_obj, start_time, end_time, "rate_limited" if limited else "error")

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """A call that ended well."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """A call that failed, or was refused for its rate."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)

    def _publish(self, kwargs: Mapping[str, Any], response: Any, start: Any, end: Any, status: Any) -> None:
        params: Mapping[str, Any] = kwargs.get("litellm_params") or {}
        metadata: Mapping[str, Any] = params.get("metadata") or {}
        model = str(kwargs.get("model") or "")
        extra: dict[str, Any] = {"provider": str(kwargs.get("custom_llm_provider") or "")}
        usage = getattr(response, "usage", None)
        if usage is not None:
            extra["prompt_tokens"] = getattr(usage, "prompt_tokens", 0)
            extra["completion_tokens"] = getattr(usage, "completion_tokens", 0)
        if isinstance(kwargs.get("response_cost"), float):
            extra["cost"] = kwargs["response_cost"]
        error = kwargs.get("exception")
        if error is not None:
            extra["error"] = type(error).__name__
        latency = (end - start).total_seconds() if isinstance(start, datetime) and isinstance(end, datetime) else 0.0
        user = str(kwargs.get("user") or metadata.get("user_api_key_user_id") or "")
        try:
            self._bus.publish_request(
                method=str(kwargs.get("call_type") or ""),
                path=str(metadata.get("model_group") or model),
                model=model,
                status=status,
                latency_ms=latency * 1000,
                key=user if len(user.encode()) <= 255 else "",
                extra=extra,
            )
        except (ValueError, TypeError):
            return
