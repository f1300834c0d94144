"""What the array arguments may be, and that a mistake is told before anything is written."""

import sys

import numpy as np
import pytest
from arrays import DTYPES
from penalties import PENALTIES
from taut.regularizers import L2


@pytest.fixture(params=[make(0.1) for make in PENALTIES.values()], ids=PENALTIES)
def regularizer(request):
    return request.param


@pytest.mark.parametrize(
    "dtype",
    ["int32", "int64", "uint8", "bool", "complex64", "complex128", "longdouble", ">f4", "O"],
)
def test_other_dtypes_are_a_type_error_that_names_them(regularizer, dtype):
    x = np.ones((3, 3), dtype)
    name = dtype if dtype == ">f4" else np.dtype(dtype).name
    message = rf"float32, float16 or bfloat16\. .*dtype={name}: cast it first, with \.astype"
    with pytest.raises(TypeError, match=message):
        regularizer(x)
    with pytest.raises(TypeError, match=name):
        regularizer.value_and_grad(x)
    grad = np.ones((3, 3))
    with pytest.raises(TypeError, match=name):
        regularizer.accumulate_grad(x, grad)
    with pytest.raises(TypeError, match=name):
        regularizer.accumulate_grad(np.ones((3, 3)), x)
    assert (grad == 1).all()


def test_a_dtype_may_name_the_byte_order_that_the_machine_has(regularizer):
    own = "<" if sys.byteorder == "little" else ">"
    x = np.arange(1.0, 10).reshape(3, 3).astype(np.dtype("f4").newbyteorder(own))
    assert x.dtype.byteorder == own
    plain = x.astype("=f4").view("f4")
    assert regularizer(x) == regularizer(plain)
    grad, expected = np.zeros_like(x), np.zeros_like(plain)
    assert grad.dtype.byteorder == own
    regularizer.accumulate_grad(x, grad)
    regularizer.accumulate_grad(plain, expected)
    assert (grad == expected).all()


def test_what_numpy_can_read_is_an_input():
    assert L2(1.0)([[1.0, 2.0], [3.0, 4.0]]) == 30
    assert L2(1.0)(memoryview(np.array([1.0, 2.0]))) == 5
    assert L2(1.0)(3.0) == 9

    class Exchanged:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    assert L2(1.0)(Exchanged(np.array([1.0, 2.0], np.float32))) == 5
    with pytest.raises(TypeError, match="int64"):
        L2(1.0)([1, 2])


def test_a_read_only_input_is_fine(regularizer):
    x = np.ones((3, 3))
    x.flags.writeable = False
    regularizer(x)
    _, grad = regularizer.value_and_grad(x)
    regularizer.accumulate_grad(x, grad)


def assert_refused(regularizer, x, grad, message, error=ValueError):
    before = np.array(grad)
    with pytest.raises(error, match=message):
        regularizer.accumulate_grad(x, grad)
    np.testing.assert_array_equal(grad, before)


def test_a_read_only_gradient(regularizer):
    grad = np.ones((3, 3))
    grad.flags.writeable = False
    assert_refused(
        regularizer,
        np.ones((3, 3)),
        grad,
        "a gradient that can be written. Received: a read-only one",
    )


@pytest.mark.parametrize("shape", [(3,), (3, 4), (4, 3), (3, 3, 1), (1, 3), ()])
def test_a_gradient_of_another_shape(regularizer, shape):
    assert_refused(regularizer, np.ones((3, 3)), np.ones(shape), "must have the shape of the input")


def test_a_gradient_of_another_dtype(regularizer):
    for x_dtype, x_kind in DTYPES.items():
        for grad_dtype, grad_kind in DTYPES.items():
            is_wider = x_dtype in ("float16", "bfloat16") and grad_dtype == "float32"
            if x_dtype == grad_dtype or is_wider:
                continue
            assert_refused(
                regularizer,
                np.ones((3, 3), x_kind),
                np.ones((3, 3), grad_kind),
                f"must have the dtype of the input.*{grad_dtype} and {x_dtype}",
            )


def test_a_gradient_that_is_not_an_array(regularizer):
    with pytest.raises(TypeError, match="needs a NumPy array"):
        regularizer.accumulate_grad(np.ones((3, 3)), [[1.0] * 3] * 3)


def test_a_gradient_that_overlaps_the_input(regularizer):
    memory = np.ones((8, 8))
    assert_refused(regularizer, memory, memory, "must not overlap the input")
    assert_refused(regularizer, memory[:4], memory[3:7], "must not overlap the input")
    assert_refused(regularizer, memory[:, :4], memory[:, 3:7], "must not overlap the input")
    assert_refused(regularizer, memory, memory.T, "must not overlap the input")


def test_a_gradient_that_shares_no_element_with_the_input(regularizer):
    memory = np.ones((8, 8))
    for x, grad in (
        (memory[:, :4], memory[:, 4:]),
        (memory[:, ::2], memory[:, 1::2]),
        (memory[::2], memory[1::2]),
        (memory[:4, 4:], memory[4:, :4]),
    ):
        before = grad.copy()
        value, slope = regularizer.value_and_grad(x.copy())
        assert regularizer.accumulate_grad(x, grad) == value
        np.testing.assert_array_equal(grad, before + slope)
        memory[...] = 1


def test_a_gradient_that_overlaps_itself(regularizer):
    grad = np.lib.stride_tricks.as_strided(np.ones(9), (3, 3), (8, 16))
    assert_refused(regularizer, np.ones((3, 3)), grad, "must not overlap itself")
    grad = np.lib.stride_tricks.as_strided(np.ones(3), (3, 3), (0, 8))
    assert_refused(regularizer, np.ones((3, 3)), grad, "must not overlap itself")


def test_a_scale_that_is_not_a_number(regularizer):
    grad = np.ones((3, 3))
    for scale in ("1", None, [1.0]):
        with pytest.raises(TypeError):
            regularizer.accumulate_grad(np.ones((3, 3)), grad, scale=scale)
    assert (grad == 1).all()


def test_what_numpy_cannot_read_is_no_array():
    class Described:
        @property
        def __array_interface__(self):
            return {"shape": (10**30,), "typestr": "<f8", "data": (0, False)}

    with pytest.raises(TypeError, match=r"memory that NumPy reads\. Received: Described"):
        L2()(Described())


def test_lists_without_an_end():
    itself = []
    itself += [itself, itself]
    nested = [1.0]
    for _ in range(5_000):
        nested = [nested]
    for x in (itself, nested):
        with pytest.raises(ValueError, match="at most 64 axes"):
            L2()(x)
