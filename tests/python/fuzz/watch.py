"""Sees whether anything is imported, compiled, opened or started meanwhile."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import taut.arrays.exchanged
import taut.bound  # noqa: F401  # what is imported when it is needed, has been

np.ones(2).ctypes.data, repr(np.ones(2))

# An auditing hook stays for as long as the process lives.
_events: list[tuple[str, str]] | None = None
_TOLD = ("import", "compile", "exec", "open", "os.", "subprocess.", "socket.", "pickle.")


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _events is not None and event.startswith(_TOLD):
        _events.append((event, repr(arguments[:1])))


sys.addaudithook(_hook)


@contextmanager
def nothing_runs() -> Iterator[None]:
    """Fails if there is an event that a config, or an array, has no business with."""
    global _events
    _events = seen = []
    try:
        yield
    finally:
        _events = None
    assert seen == [], seen


def remember(**example: Any) -> None:
    """Writes an example down, for whoever finds that the process has ended."""
    if path := os.environ.get("TAUT_FUZZ_LATEST"):
        Path(path).write_text("\n".join(f"{name} = {each!r}" for name, each in example.items()))
