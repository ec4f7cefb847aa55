"""Forked children: each bus and pool is renewed there, empty, before anything else runs."""

from __future__ import annotations

import os
import warnings
import weakref
from typing import Protocol

from . import _reqbus


class ForkedPoolWarning(RuntimeWarning):
    """A pool made before a fork limits each process for itself."""


class _Renewable(Protocol):
    def _renew(self) -> None: ...


_made: weakref.WeakSet[_Renewable] = weakref.WeakSet()


def remember(made: _Renewable) -> None:
    """Has ``made`` renewed in every child that is forked from now on."""
    _made.add(made)


def _in_child() -> None:
    for made in list(_made):
        made._renew()
    _reqbus.renewed()


os.register_at_fork(after_in_child=_in_child)


def say_limits_are_per_process() -> None:
    """Says once per process that a pool which was made before the fork knows nothing of its siblings."""
    warnings.warn(
        "this SlotPool was made before fork(): each process admits up to its limits for itself; "
        "pass processes=k to divide them among k workers",
        ForkedPoolWarning,
        stacklevel=3,
    )
