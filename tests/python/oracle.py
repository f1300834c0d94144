"""The slow reference that all tests share, straight from the formulas, and the tolerances.

Sums are exact (`math.fsum`) or in long double; the sign of a pair comes from an exact dot product.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

EPSILON = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
SMALLEST = {"float64": 2.0**-1074, "float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}
# Dot products are computed in float32 for the half types, whose own numbers are exact in it.
GRAM_EPSILON = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-24, "bfloat16": 2.0**-24}
NORM_FLOOR = 1e-7


def as_doubles(x: Array) -> Array:
    """Returns the numbers of any dtype as float64, exactly."""
    return np.asarray(x).astype(np.float64)


def elementwise_value(x: Array, l1: float, l2: float) -> float:
    numbers = as_doubles(x).ravel()
    value = 0.0
    if l1 != 0:
        value += l1 * _sum(np.abs(numbers))
    if l2 != 0:
        with np.errstate(over="ignore", under="ignore"):
            value += l2 * _sum(numbers * numbers)
    return value


def elementwise_grad(x: Array, l1: float, l2: float) -> Array:
    """Returns the gradient in long double; a term whose factor is 0 is left out."""
    numbers = as_doubles(x).astype(np.longdouble)
    grad = np.zeros_like(numbers)
    if l1 != 0:
        grad += np.longdouble(l1) * np.sign(numbers)
    if l2 != 0:
        grad += 2 * np.longdouble(l2) * numbers
    return grad


def elementwise_value_tolerance(x: Array, l1: float, l2: float) -> float:
    """n additions of float64 numbers, and a product in each."""
    return (x.size + 8) * EPSILON["float64"] * elementwise_value(np.abs(as_doubles(x)), l1, l2)


@dataclass
class GroupLasso:
    """The penalty of groups, and what it and the terms of its gradient are computed from."""

    value: float
    grad: Array  # in long double
    norms: Array  # as many axes as x, and 1 in place of each one within a group
    members: int  # of each group

    def value_tolerance(self) -> float:
        """A chain of additions of squares, of which a root is taken, and one of norms."""
        return (self.members + self.norms.size + 16) * EPSILON["float64"] * self.value

    def terms(self, slope: Array) -> Array:
        """The size of a gradient's terms, for `grad_tolerance`: a norm has its own rounding."""
        return np.abs(slope) * (2 + self.members / 8)


def group_lasso(x: Array, factor: float, mode: str = "rows") -> GroupLasso:
    numbers = as_doubles(x).astype(np.longdouble)
    axes = tuple(range(1, x.ndim)) if mode == "rows" else tuple(range(x.ndim - 1))
    members = math.prod(x.shape[axis] for axis in axes)
    with np.errstate(all="ignore"):
        norms = np.sqrt((numbers * numbers).sum(axis=axes, keepdims=True))
        weight = np.longdouble(factor) * np.sqrt(np.longdouble(members))
        units = np.sign(numbers) if members == 1 else np.where(norms == 0, 0, numbers / norms)
        if factor == 0:
            return GroupLasso(0.0, np.zeros_like(numbers), norms, members)
        return GroupLasso(float(weight * norms.sum()), weight * units, norms, members)


def group_lasso_prox(x: Array, factor: float, mode: str, step: float) -> Array:
    """Returns the proximal step in long double."""
    exact = group_lasso(x, factor, mode)
    numbers = as_doubles(x).astype(np.longdouble)
    threshold = np.longdouble(step) * np.longdouble(factor) * np.sqrt(np.longdouble(exact.members))
    if threshold == 0:
        return numbers
    with np.errstate(all="ignore"):
        if exact.members == 1:
            return np.copysign(np.maximum(0, np.abs(numbers) - threshold), numbers)
        left = np.maximum(0, 1 - threshold / exact.norms)
        return np.where(left == 0, 0, numbers * left)


def grad_tolerance(exact: Array, dtype: str, terms: Array) -> Array:
    """One rounding to the dtype, and float64's own on the way, for terms that may cancel."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounding = EPSILON[dtype] * np.abs(exact) * (1 + 2**-6)
        rounding += np.longdouble(SMALLEST[dtype]) / 2 * (1 + 2**-6)
        return rounding + 4 * EPSILON["float64"] * terms + 2 * SMALLEST["float64"]


def _sum(numbers: Array) -> float:
    if not np.isfinite(numbers).all():
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.sum(numbers))
    return math.fsum(numbers)


@dataclass
class Gram:
    """The orthogonal penalty of a matrix of vectors, and what a computed one may differ by."""

    value: float  # with factor 1
    value_tolerance: float
    grad: Array
    grad_tolerance: Array  # without the rounding to the gradient's dtype
    grad_rounding: Array  # the part of it that remains when no sign is in doubt
    doubtful: int  # pairs whose sign is within rounding of the other one


def gram(x: Array, mode: str = "rows", dtype: str | None = None) -> Gram:
    """Computes it in long double, with the signs of exact dot products where x is small."""
    dtype = dtype or x.dtype.name
    columns = mode == "columns"
    # float64 is enough to judge what was computed in float32.
    precise = np.longdouble if dtype == "float64" else np.float64
    vectors = as_doubles(x.T if columns else x).astype(precise)
    count, length = vectors.shape
    if count < 2 or length == 0:
        zeros = np.zeros(x.shape)
        return Gram(0.0, 0.0, zeros, zeros, zeros, 0)
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest > 0, largest, 1)
    norms = np.sqrt((scaled**2).sum(axis=1, keepdims=True)) * largest
    denominators = np.maximum(norms, precise(NORM_FLOOR))
    units = vectors / denominators
    cosines = units @ units.T
    np.fill_diagonal(cosines, 0)
    signs = _exact_signs(vectors) if count * count * length <= 20_000 else np.sign(cosines)
    pairs = count * (count - 1) / 2

    epsilon = GRAM_EPSILON[dtype]
    # A chain of `length` roundings; and numbers that vanish beside the largest of their vector.
    vanishing = 2.0**-1000 if dtype == "float64" else 2.0**-120
    bound = (length + 8) * (epsilon * (np.abs(units) @ np.abs(units).T) + vanishing)
    doubtful = (np.abs(cosines) <= bound) & ~np.eye(count, dtype=bool)
    value = float(np.abs(cosines).sum() / 2 / pairs)
    value_tolerance = float(bound.sum() / 2 / pairs) + 16 * count * EPSILON["float64"] * value

    directed = signs @ units
    is_clamped = norms < NORM_FLOOR
    along = np.where(is_clamped, 0, (units * directed).sum(axis=1, keepdims=True))
    grad = (directed - units * along) / denominators / pairs

    def after_projection(error: Array) -> Array:
        """What an error of the directed sum becomes in the gradient."""
        error_along = np.where(is_clamped, 0, (np.abs(units) * error).sum(axis=1, keepdims=True))
        error = (error + np.abs(units) * error_along) / denominators / pairs
        return error.T if columns else error

    # A sign in doubt changes the sum by up to two directions.
    swing = 2 * doubtful.astype(precise) @ np.abs(units)
    rounding = (count + 8) * epsilon * (np.abs(signs) @ np.abs(units))
    rounding += 8 * epsilon * np.abs(units) * np.abs(along)
    rounding += 2 * count * precise(SMALLEST["float64" if dtype == "float64" else "float32"])
    return Gram(
        value,
        value_tolerance,
        grad.T if columns else grad,
        after_projection(swing + rounding),
        after_projection(rounding),
        int(doubtful.sum()) // 2,
    )


def _exact_signs(vectors: Array) -> Array:
    rows = [[Fraction(float(number)) for number in vector] for vector in vectors]
    signs = np.zeros((len(rows), len(rows)), dtype=np.longdouble)
    for i, first in enumerate(rows):
        for j in range(i):
            dot = sum((a * b for a, b in zip(first, rows[j], strict=True)), Fraction(0))
            signs[i, j] = signs[j, i] = (dot > 0) - (dot < 0)
    return signs


@dataclass
class SoftOrthogonal:
    """Soft orthogonality with factor 1, and what a computed one may differ by."""

    value: np.longdouble  # which may be beyond float64's range
    value_tolerance: np.longdouble
    grad: Array
    grad_tolerance: Array  # without the rounding to the gradient's dtype


def soft_orthogonal(
    x: Array, mode: str = "rows", diagonal: bool = True, dtype: str | None = None
) -> SoftOrthogonal:
    """Computes it from W Wᵀ, in long double.

    The tolerance is that of the smaller Gram matrix where there are more vectors than coordinates;
    without the diagonal, where there are twice as many.
    """
    dtype = dtype or x.dtype.name
    columns = mode == "columns"
    vectors = as_doubles(x.T if columns else x).astype(np.longdouble)
    count, length = vectors.shape
    distance = _gram_but_for_diagonal(vectors, diagonal)
    grad = 4 * distance @ vectors

    is_tall = count > length and (diagonal or count >= 2 * length)
    computed = vectors.T if is_tall else vectors
    subtracts_norms = is_tall and not diagonal
    value_error, error = _soft_orthogonal_errors(computed, diagonal, subtracts_norms, dtype)
    error = error.T if is_tall else error
    value = (distance**2).sum()
    return SoftOrthogonal(
        value,
        value_error + (16 * (count + length)) * EPSILON["float64"] * value,
        grad.T if columns else grad,
        error.T if columns else error,
    )


def _gram_but_for_diagonal(vectors: Array, diagonal: bool) -> Array:
    products = vectors @ vectors.T
    identity = np.eye(len(vectors), dtype=np.longdouble)
    return products - identity if diagonal else products * (1 - identity)


def _soft_orthogonal_errors(
    vectors: Array, diagonal: bool, subtracts_norms: bool, dtype: str
) -> tuple[Array, Array]:
    """Returns what the value and the gradient of the vectors may be off by."""
    count, length = vectors.shape
    epsilon = np.longdouble(GRAM_EPSILON[dtype])
    is_double = dtype == "float64"
    smallest = np.longdouble(SMALLEST["float64" if is_double else "float32"])
    magnitudes = np.abs(vectors)
    whole = vectors @ vectors.T if subtracts_norms else _gram_but_for_diagonal(vectors, diagonal)
    # Numbers that vanish below the range, or beside the largest one.
    largest = magnitudes.max(initial=0)
    beside = largest * np.longdouble(2) ** (-1022 if is_double else -126)
    lost = length * (smallest + 2 * beside * largest)
    # Chains of up to 128 rounded multiply-adds, up to 32 of which are added: the rest is float64.
    additions = min(length, 128 + 32) + 8
    bound = additions * epsilon * (magnitudes @ magnitudes.T + diagonal * np.eye(count)) + lost
    value = (2 * np.abs(whole) * bound + bound**2).sum()
    rounding = bound + (count + 8) * epsilon * np.abs(whole)
    grad = 4 * rounding @ magnitudes + 4 * count * (smallest + beside * largest**2)
    grad += 4 * np.abs(whole).sum(axis=1, keepdims=True) * beside
    squares = (whole**2).sum()
    if subtracts_norms:
        norms = (vectors**2).sum(axis=0)
        squares += (norms**2).sum()
        grad += 16 * epsilon * norms * magnitudes
    return value + 16 * (count + length) * EPSILON["float64"] * squares, grad
