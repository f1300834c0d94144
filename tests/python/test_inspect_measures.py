"""What `taut inspect` measures, against NumPy in float64 and pair by pair."""

import math
import tracemalloc

import numpy as np
import pytest
from frameworks import require
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from taut.inspect import elements, vectors
from taut.inspect.stored import UnreadableError

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
DTYPES = [np.float16, np.float32, np.float64, np.int8, np.uint16, np.int64, np.bool_]
ARRAYS = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


def approx(value):
    return pytest.approx(float(value), rel=1e-12, nan_ok=True)


@given(ARRAYS, st.booleans())
def test_elements_against_numpy(x, is_transposed):
    x = x.T if is_transposed else x
    found = elements.measure(x)
    wide = x.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    assert found.count == x.size
    assert found.nan == np.isnan(wide).sum()
    assert found.inf == np.isinf(wide).sum()
    assert found.zero == (wide == 0).sum()
    assert found.largest == np.abs(finite).max(initial=0)
    with np.errstate(over="ignore", invalid="ignore"):
        assert found.l1 == approx(np.abs(wide).sum())
        # hypot's way, without overflow.
        assert found.l2 == approx(math.hypot(*wide.ravel()) if found.nan == 0 else np.nan)
    if finite.size:
        largest = found.largest or 1.0
        scaled = np.abs(finite) / largest
        threshold = elements.NEAR_ZERO * math.sqrt(np.mean(scaled**2))
        # An element at the very threshold may be on either side of it.
        assert (scaled < threshold * (1 - 1e-9)).sum() <= found.near_zero
        assert found.near_zero <= (scaled <= threshold * (1 + 1e-9)).sum()


def test_elements_of_many_blocks():
    x = np.random.default_rng(0).standard_normal(3 * elements._BLOCK + 5).astype(np.float32)
    x[[0, elements._BLOCK, -1]] = [0, np.nan, np.inf]
    found = elements.measure(x)
    assert (found.zero, found.nan, found.inf) == (1, 1, 1)
    finite = x[np.isfinite(x)].astype(np.float64)
    near = np.abs(finite) <= elements.NEAR_ZERO * np.sqrt(np.mean(finite**2))
    assert found.near_zero == near.sum()
    assert math.isnan(found.l1)
    assert math.isnan(found.l2)


def test_zeros_are_near_zero_beside_nothing_and_beside_infinity():
    for x, near in (([0.0, 0.0], 2), ([0.0, np.inf], 1), ([np.nan, np.inf], 0), ([1.0, 5e-3], 1)):
        for infinite in (0, 99):  # which count in no mean
            found = elements.measure(np.array(x + [np.inf] * infinite))
            assert found.near_zero == near


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200, 1e308])
def test_norms_do_not_overflow_where_the_result_does_not(scale):
    found = elements.measure(np.array([0.3, -0.4, 0.0, 1e-4]) * scale)
    assert found.l2 == pytest.approx(0.5 * scale, rel=1e-3)
    assert found.l1 == pytest.approx(0.7001 * scale, rel=1e-3)
    assert found.near_zero == 2


def test_no_real_numbers_are_refused():
    for x in (np.ones(3, complex), np.array(["a"]), np.zeros(2, "V2"), np.zeros(2, "M8[s]")):
        with pytest.raises(UnreadableError, match="no real numbers"):
            elements.measure(x)


def cosines(x, mode):
    """Returns |cos| of all pairs of finite vectors, -1 elsewhere, and each vector's norm."""
    wide = x.astype(np.float64)
    matrix = wide.reshape(len(x), -1) if mode == "rows" else wide.reshape(-1, x.shape[-1]).T
    norms = np.linalg.norm(matrix, axis=1)
    is_finite = np.isfinite(norms)
    units = np.where(is_finite[:, None], matrix, 0) / np.maximum(norms, 1e-7)[:, None]
    units[~is_finite] = 0
    result = np.abs(units @ units.T)
    result[np.tril_indices(len(result))] = -1
    return result, norms


MODERATE = {"min_value": -100, "max_value": 100, "width": 32}
MATRICES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=4, min_side=2, max_side=7),
    elements=st.one_of(st.just(0.0), st.floats(**MODERATE), st.sampled_from([np.nan, np.inf])),
)


@given(MATRICES, st.sampled_from(["rows", "columns"]))
def test_vectors_against_all_pairs(x, mode):
    found = vectors.measure(x, mode, elements.measure(x).largest)
    all_pairs, norms = cosines(x, mode)
    count = len(norms)
    assert (found.count, found.dimensions, found.compared) == (count, x.size // count, count)
    assert found.zero == (norms == 0).sum()
    largest = max(0.0, all_pairs.max())
    assert found.largest == pytest.approx(largest, abs=1e-6)
    if found.nearest is not None:
        assert all_pairs[found.nearest] == pytest.approx(largest, abs=1e-6)
    if np.isfinite(norms).all():
        pairs = all_pairs[np.triu_indices(count, 1)]
        assert found.mean == pytest.approx(pairs.mean(), abs=1e-6)
    else:
        assert found.mean is None

    def twins(least):
        near = all_pairs >= least
        return (near | near.T).any(axis=0).sum()

    # float32 may put a pair at the threshold on either side of it.
    assert twins(vectors.NEAR_DUPLICATE + 1e-5) <= found.near_duplicates
    assert found.near_duplicates <= twins(vectors.NEAR_DUPLICATE - 1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn", "float64", "int8"])
@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_vectors_of_every_dtype_and_of_many_blocks(monkeypatch, dtype, mode):
    if "8_" in dtype or dtype.startswith("b"):
        dtype = getattr(require("ml_dtypes"), dtype)
    monkeypatch.setattr(vectors, "_BLOCK_VECTORS", 7)
    x = (np.random.default_rng(2).standard_normal((40, 30)) * 20).astype(dtype)
    x[33] = x[4]
    x[:, 21] = x[:, 8]
    found = vectors.measure(x, mode, elements.measure(x).largest)
    assert found.nearest == {"rows": (4, 33), "columns": (8, 21)}[mode]
    assert found.largest == pytest.approx(1, abs=1e-12)
    assert found.near_duplicates == 2
    all_pairs, _ = cosines(x, mode)
    assert found.mean == pytest.approx(all_pairs[all_pairs >= 0].mean(), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-30, 1e300])
def test_angles_do_not_depend_on_the_scale_of_float64(scale):
    x = np.array([[3.0, 4.0, 0.0], [6.0, 8.0, 1e-3], [0.0, 0.0, 1.0]]) * scale
    found = vectors.measure(x, "rows", elements.measure(x).largest)
    # Below a norm of 1e-7 vectors are not made longer, as the penalty has it.
    assert scale < 1 or found.nearest == (0, 1)
    assert found.largest == pytest.approx(1.0 if scale > 1 else 0.0, abs=1e-6)


def test_more_pairs_than_the_work_allows_are_sampled_always_the_same():
    x = np.random.default_rng(0).standard_normal((300, 10)).astype(np.float32)
    x[100:] = x[7]
    largest = elements.measure(x).largest
    found = vectors.measure(x, "rows", largest, work=10 * 50**2)
    assert (found.count, found.compared) == (300, 50)
    assert found == vectors.measure(x, "rows", largest, work=10 * 50**2)
    # The indices are those of the whole matrix.
    first, second = found.nearest
    np.testing.assert_array_equal(x[first], x[second])
    assert vectors.measure(x, "rows", largest, work=float("inf")).compared == 300
    assert vectors.measure(x, "rows", largest, work=0).compared == 2


@pytest.mark.parametrize("shape", [(), (5,), (0, 4), (4, 0), (1, 9), (9, 1), (1, 1, 5)])
def test_without_two_vectors_there_is_nothing_to_compare(shape):
    for mode in ("rows", "columns"):
        assert vectors.measure(np.ones(shape), mode, 1.0) is None


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_working_memory_is_far_below_the_tensor(order):
    x = np.asarray(np.random.default_rng(0).standard_normal((2000, 6000), np.float32), order=order)
    tracemalloc.start()
    found = elements.measure(x)
    assert tracemalloc.get_traced_memory()[1] < 0.25 * x.nbytes
    tracemalloc.reset_peak()
    for mode in ("rows", "columns"):
        assert vectors.measure(x, mode, found.largest, work=1e9) is not None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * x.nbytes


@pytest.mark.parametrize("order", "<>=")
def test_vectors_of_either_byte_order_whatever_it_is_called(order):
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    # NumPy keeps a "<" that is set by hand, where it would say "=" itself.
    marked = x.astype(x.dtype.newbyteorder(order))
    assert vectors.measure(marked, "rows", 11.0) == vectors.measure(x, "rows", 11.0)
