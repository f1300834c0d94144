"""Libraries that taut works with and does not depend on."""

import importlib
import os
import warnings
from types import ModuleType
from typing import Any

import pytest


def require(name: str) -> ModuleType:
    """Imports a module that the calling tests need.

    Without it they are skipped, except where the environment variable CI is set: there a skipped
    test would go unseen, so it is an error.
    """
    if not os.environ.get("CI"):
        return pytest.importorskip(name)
    with warnings.catch_warnings():
        # As importorskip does: what a library warns of while it is imported is not ours to mend.
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


LIBRARIES = ["numpy", "torch", "jax", "tensorflow"]


def to_library(name: str, x: Any) -> Any:
    """Returns an array of NumPy as one of another library."""
    if name == "numpy":
        return x
    if name == "torch":
        return require("torch").from_numpy(x.copy())
    if name == "jax":
        return require("jax").numpy.asarray(x)
    return require("tensorflow").constant(x)
