"""The libraries whose contestants take part.

A library is a module here and a line of `LIBRARIES`. Its module is imported in a process that times
it, never in the one that prints.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol, cast

from taut.bench.contestant import Arrays, Contestant
from taut.bench.kinds import Kind


@dataclass(frozen=True)
class Options:
    """What libraries are told.

    Attributes:
        threads: How many each may use.
        quick: Whether to spare what takes long to prepare.
        directory: Where programs are built, for all processes of a run.
    """

    threads: int
    quick: bool
    directory: str


class Library(Protocol):
    """What a library's module has."""

    def begin(self, options: Options) -> dict[str, str]:
        """Prepares the library, and gives it its threads.

        Returns:
            The versions of what takes part, by name.

        Raises:
            UnavailableError: If it cannot take part.
        """

    def contestants(self, kind: Kind, weights: Arrays) -> Iterator[Contestant]:
        """Yields the ways to do this work with the library: none if it does not have it.

        Args:
            kind: The work.
            weights: Of float32, contiguous; nobody writes to them.
        """


class UnavailableError(Exception):
    """Why a library cannot take part, in one line."""


@dataclass(frozen=True)
class Entry:
    """Where a library is, and where it is timed.

    Attributes:
        module: Its module here.
        needs: The modules that it imports.
        process: Libraries of one process take turns there. taut is in each.
        environment: What its process must have been started with.
        has: The penalties that it has, without proximal steps; all, and those, if None.
    """

    module: str
    needs: tuple[str, ...]
    process: str = "main"
    environment: Mapping[str, str] | None = None
    has: tuple[str, ...] | None = None

    def does(self, kind: Kind) -> bool:
        """Returns whether it has contestants for this kind of work."""
        return self.has is None or (kind.penalty in self.has and kind.operation != "prox")

    def missing(self) -> list[str]:
        """Returns which of the modules that it needs are not installed."""
        return [module for module in self.needs if find_spec(module) is None]

    def load(self) -> Library:
        """Imports it."""
        return cast(Library, importlib.import_module(f"{__name__}.{self.module}"))


def _keras(backend: str) -> Entry:
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return Entry(
        "keras", ("keras", backend), f"Keras on {backend}", environment, ("l1", "l2", "orthogonal")
    )


OWN = "taut"
LIBRARIES: Mapping[str, Entry] = {
    OWN: Entry("own", ()),
    "NumPy": Entry("numpy", ()),
    "torch": Entry("torch", ("torch",)),
    "JAX": Entry("jax", ("jax",)),
    "Eigen": Entry("eigen", ()),
    "Keras on torch": _keras("torch"),
    "Keras on JAX": _keras("jax"),
    "Keras on TensorFlow": _keras("tensorflow"),
}
