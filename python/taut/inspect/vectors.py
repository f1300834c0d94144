"""What is measured between a tensor's rows, and between its columns: how alike they are."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from taut.inspect import elements
from taut.inspect.stored import Array
from taut.regularizers import OrthogonalRegularizer

Mode = Literal["rows", "columns"]

NEAR_DUPLICATE = 0.99  # |cos| from here on

# All pairs of n vectors of d elements are n * n * d multiplications; with so many a matrix takes
# well under a second. Of more vectors a sample is compared, and the report says so.
WORK = 1 << 34
_BLOCK_ELEMENTS = 1 << 20  # of vectors that are compared with others at a time
_BLOCK_VECTORS = 1024
_LEAST_NORM = 1e-7  # as OrthogonalRegularizer divides

_OF_KERNELS = (np.float16, np.float32, np.float64)


@dataclass(frozen=True)
class Vectors:
    """What is measured between the rows, or the columns.

    Attributes:
        mode: Which of the two: of a tensor of more axes than two, the rows are the first axis by
            the rest (torch's filters), the columns the rest by the last (Keras's).
        count: How many there are.
        dimensions: How many elements each has.
        zero: How many are all zeros.
        compared: How many were compared with each other: a sample where all are too many.
        mean: The mean of |cos| over pairs of these, None where one has NaN or Inf.
        largest: The largest |cos| of a pair; vectors with NaN or Inf are left out.
        nearest: That pair's indices, in order; None where no pair has an angle.
        near_duplicates: How many have a |cos| of `NEAR_DUPLICATE` or more with another.
    """

    mode: Mode
    count: int
    dimensions: int
    zero: int
    compared: int
    mean: float | None
    largest: float
    nearest: tuple[int, int] | None
    near_duplicates: int


def measure(x: Array, mode: Mode, largest_element: float, work: float = WORK) -> Vectors | None:
    """Compares a tensor's rows, or columns, pair by pair.

    Beside a copy that the orthogonal penalty makes of the matrix, the working memory does not grow
    with the tensor.

    Args:
        x: Real numbers.
        mode: Which vectors to compare.
        largest_element: The largest absolute value of the finite elements.
        work: How many multiplications all pairs may take before a sample is compared.

    Returns:
        None if there is nothing to compare: fewer than two vectors, or of fewer than two elements.
    """
    matrix = _matrix(x, mode)
    if matrix is None:
        return None
    count, dimensions = matrix.shape
    exponent = elements.exponent_of(largest_element)
    norms = _norms(matrix, exponent)
    chosen = _sample(count, dimensions, work)
    compared = matrix if len(chosen) == count else matrix[chosen]
    pair, near = _nearest(compared, norms[chosen], exponent)
    mean = _mean(compared)
    nearest = None if pair is None else (int(chosen[pair[0]]), int(chosen[pair[1]]))
    return Vectors(
        mode=mode,
        count=count,
        dimensions=dimensions,
        zero=int(np.count_nonzero(norms == 0)),
        compared=len(chosen),
        mean=mean if math.isfinite(mean) else None,
        largest=0.0 if nearest is None else _cosine(matrix, norms, nearest, exponent),
        nearest=nearest,
        near_duplicates=near,
    )


def _matrix(x: Array, mode: Mode) -> Array | None:
    """Returns the vectors as the rows of a matrix, without a copy of a contiguous tensor."""
    if x.ndim < 2 or x.size == 0:
        return None
    matrix = x.reshape(len(x), -1) if mode == "rows" else x.reshape(-1, x.shape[-1]).T
    return matrix if min(matrix.shape) >= 2 else None


def _sample(count: int, dimensions: int, work: float) -> NDArray[np.intp]:
    """Returns the indices of all vectors, or of a random choice that is always the same."""
    most = max(2, math.isqrt(int(min(work, 2**62)) // dimensions))
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _blocks(matrix: Array) -> Iterator[slice]:
    step = max(1, min(_BLOCK_VECTORS, _BLOCK_ELEMENTS // matrix.shape[1]))
    for begin in range(0, len(matrix), step):
        yield slice(begin, min(begin + step, len(matrix)))


def _scaled(vectors: Array, exponent: int) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = np.ldexp(vectors.astype(np.float64), -exponent)
    return scaled


def _norms(matrix: Array, exponent: int) -> NDArray[np.float64]:
    """Returns the norms over 2**exponent: NaN and Inf of vectors that have one."""
    norms = [np.linalg.norm(_scaled(matrix[block], exponent), axis=1) for block in _blocks(matrix)]
    return np.concatenate(norms)


def _mean(matrix: Array) -> float:
    """Returns the orthogonal penalty of factor 1, which is the mean of |cos|."""
    dtype = matrix.dtype.newbyteorder("=")  # files may have the other order
    if dtype not in _OF_KERNELS and dtype.name != "bfloat16":
        dtype = np.dtype(np.float32)
    # The matrix lies as its file has it: the penalty takes its rows however they are strided.
    return float(OrthogonalRegularizer(1.0)(matrix.astype(dtype, copy=False)))


def _nearest(
    matrix: Array, norms: NDArray[np.float64], exponent: int
) -> tuple[tuple[int, int] | None, int]:
    """Returns the pair with the largest |cos|, and how many vectors have a near duplicate."""
    has_twin = np.zeros(len(matrix), bool)
    best, pair = -1.0, None
    units = _units(matrix, norms, exponent)
    blocks = list(_blocks(matrix))
    for number, block in enumerate(blocks):
        left = units(block)
        for other in blocks[number:]:
            products = left @ (left if other is block else units(other)).T
            np.abs(products, out=products)
            if other is block:
                index = np.arange(len(products))
                products[index[:, np.newaxis] >= index] = -1.0  # each pair once, none with itself
            row, column = divmod(int(products.argmax()), products.shape[1])
            if products[row, column] > best:
                best = float(products[row, column])
                pair = block.start + row, other.start + column
            if products[row, column] >= NEAR_DUPLICATE:
                near = products >= NEAR_DUPLICATE
                has_twin[block] |= near.any(axis=1)
                has_twin[other] |= near.any(axis=0)
    return (pair if best > 0.0 else None), int(np.count_nonzero(has_twin))


def _units(
    matrix: Array, norms: NDArray[np.float64], exponent: int
) -> Callable[[slice], NDArray[Any]]:
    """Returns what makes unit vectors of some vectors; zeros of those with NaN or Inf."""
    is_finite = np.isfinite(norms)
    divisors = np.where(is_finite, _divisors(norms, exponent), 1.0)

    def units(block: slice) -> NDArray[Any]:
        vectors = _scaled(matrix[block], exponent)
        vectors[~is_finite[block]] = 0.0
        vectors /= divisors[block, np.newaxis]
        return vectors.astype(np.float32)

    return units


def _divisors(norms: NDArray[np.float64], exponent: int) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # of subnormals' exponents; what is over infinity is 0, as due
        return np.maximum(norms, np.ldexp(_LEAST_NORM, -exponent))


def _cosine(
    matrix: Array, norms: NDArray[np.float64], pair: tuple[int, int], exponent: int
) -> float:
    """Returns |cos| of a pair in float64: the products of many are taken in float32."""
    left, right = (
        _scaled(matrix[index], exponent) / _divisors(norms[index : index + 1], exponent)
        for index in pair
    )
    return min(1.0, abs(float(left @ right)))
