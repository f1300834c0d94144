"""Arrays of every dtype and layout, and the strategies that draw them."""

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

DTYPES = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}


def _contiguous(x: NDArray[Any]) -> NDArray[Any]:
    return np.array(x, order="C")


def _fortran(x: NDArray[Any]) -> NDArray[Any]:
    return np.array(x, order="F")


def _every_second(x: NDArray[Any]) -> NDArray[Any]:
    out = np.zeros([2 * extent for extent in x.shape], x.dtype)
    view = out[(..., *[slice(None, None, 2)] * x.ndim)]
    view[...] = x
    return view


def _reversed(x: NDArray[Any]) -> NDArray[Any]:
    flip = (..., *[slice(None, None, -1)] * x.ndim)
    return np.array(x[flip], order="C")[flip]


def _inner_slice(x: NDArray[Any]) -> NDArray[Any]:
    out = np.zeros([extent + 3 for extent in x.shape], x.dtype)
    view = out[(..., *[slice(1, extent + 1) for extent in x.shape])]
    view[...] = x
    return view


def _unaligned(x: NDArray[Any]) -> NDArray[Any]:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


LAYOUTS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "contiguous": _contiguous,
    "fortran": _fortran,
    "every second": _every_second,
    "reversed": _reversed,
    "inner slice": _inner_slice,
    "unaligned": _unaligned,
}


def random_array(shape: Any, dtype: str, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(DTYPES[dtype])


def numbers(dtype: str, count: int, seed: int) -> NDArray[np.float64]:
    """Returns finite numbers: ordinary ones, and zeros, small integers, subnormals, large ones."""
    # The squares of float64 numbers must be finite for the oracle's sum.
    largest = {"float64": 1e150, "float32": 3e38, "float16": 6e4, "bfloat16": 3e38}[dtype]
    special = [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 1e-30, 1e-40, -6e-8, largest, -largest]
    generator = np.random.default_rng(seed)
    share = generator.choice([0.0, 0.1, 0.5, 1.0])
    return np.where(
        generator.random(count) < share,
        generator.choice(special, count),
        generator.standard_normal(count) * generator.choice([1e-20, 1e-4, 1.0, 100.0]),
    )


@st.composite
def arrays(draw: st.DrawFn, rank: int | None = None) -> NDArray[Any]:
    """Draws an array of any dtype and layout, with extents from 0 to a few."""
    dtype = draw(st.sampled_from(list(DTYPES)))
    rank = draw(st.integers(0, 5)) if rank is None else rank
    most = {0: 1, 1: 70, 2: 9}.get(rank, 4)
    shape = draw(st.tuples(*[st.integers(0, most)] * rank))
    values = numbers(dtype, math.prod(shape), draw(st.integers(0, 2**32 - 1)))
    x = values.reshape(shape).astype(DTYPES[dtype])
    return LAYOUTS[draw(st.sampled_from(list(LAYOUTS)))](x)
