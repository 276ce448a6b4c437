"""Signals to the processes of a run: what they are called, and whom we may not send any."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress


def named(number: int) -> str:
    """Return what people call a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def send(groups: Iterable[int], number: signal.Signals) -> frozenset[int]:
    """Send a signal to process groups; return those of which we may not signal any member.

    They belong to another user, as what a program starts by way of sudo does. The others get it.
    """
    refused = set()
    for group in groups:
        try:
            with suppress(ProcessLookupError):
                os.killpg(group, number)
        except PermissionError:
            refused.add(group)
    return frozenset(refused)
