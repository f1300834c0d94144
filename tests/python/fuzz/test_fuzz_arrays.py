"""Arrays that others describe: the reference's result, or a TypeError or ValueError."""

import math

import numpy as np
import oracle
from arrays import DTYPES, numbers
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from taut.regularizers import L1L2, GroupLasso, OrthogonalRegularizer
from watch import remember

REGULARIZER = L1L2(0.5, 0.25)
OTHERS = [OrthogonalRegularizer(0.5), GroupLasso(0.5, "columns")]
MEMORY = 512  # bytes
MOST = 1 << 16  # elements, which a step of 0 makes of a few

typestrs = st.sampled_from(
    [
        "<f4",
        "<f8",
        "<f2",
        ">f4",
        "=f8",
        "|f4",
        "<i4",
        "<c8",
        "|b1",
        "|O",
        "|V2",
        "<f16",
        "<U2",
        "x",
        5,
    ]
)
few = st.one_of(st.integers(0, 5), st.sampled_from([-1, 2**31, 2**62, 2**63, 10**30, None, "1"]))
strides = st.one_of(st.integers(-16, 16), st.sampled_from([2**62, -(2**63), 2**63, None]))


class Described:
    """Says where an array is by `__array_interface__`: right or wrong, but in its own memory."""

    def __init__(self, interface, memory):
        self.__array_interface__ = interface
        self.memory = memory

    def __repr__(self):
        return f"Described({self.__array_interface__!r})"


def is_inside(shape, steps, typestr, offset):
    """Whether all elements lie in the memory, or something is so wrong that nothing is read.

    Billions of elements, which are the same few, are not: they take minutes, and their gradient
    more memory than there is.
    """
    if not all(type(each) is int for each in shape):
        return True
    try:
        size = np.dtype(typestr).itemsize
        if any(extent == 0 for extent in shape):
            return True
        if math.prod(shape) * size > 1 << 62 or min(shape, default=0) < 0:
            return True  # more than memory can have
        if math.prod(shape) > MOST:
            return False
        if steps is None:
            return offset + math.prod(shape) * size <= MEMORY
        reach = [(extent - 1) * step for extent, step in zip(shape, steps, strict=True)]
    except (TypeError, ValueError):
        return True
    first = offset + sum(each for each in reach if each < 0)
    return first >= 0 and offset + sum(each for each in reach if each > 0) + size <= MEMORY


@st.composite
def described(draw):
    memory = np.frombuffer(bytearray(draw(st.binary(min_size=MEMORY, max_size=MEMORY))), np.uint8)
    typestr = draw(typestrs)
    shape = tuple(draw(st.lists(few, max_size=4)))
    steps = draw(st.one_of(st.none(), st.tuples(*[strides] * len(shape))))
    offset = draw(st.integers(0, 64))
    if not is_inside(shape, steps, typestr, offset):
        shape, steps = (draw(st.integers(0, 4)), draw(st.integers(0, 4))), None
    address = draw(st.sampled_from([memory.ctypes.data + offset, memory.ctypes.data + offset, 0]))
    data = (address, draw(st.booleans()))
    interface = {"shape": shape, "typestr": typestr, "data": data, "version": 3}
    if steps is not None:
        interface["strides"] = steps
    for key in draw(st.sets(st.sampled_from(list(interface)), max_size=1)):
        if draw(st.integers(0, 7)) == 0:
            interface[key] = draw(st.sampled_from([None, (), -1, "x", {}, 1.5]))
            break
    if interface["data"] is None and interface["shape"] != ():
        interface["data"] = (0, False)
    return Described(interface, memory)


def check_value(x, value):
    """`x` is an array of NumPy's, at last."""
    try:
        expected = oracle.elementwise_value(x, 0.5, 0.25)
    except OverflowError:  # of fsum
        expected = math.inf
    if not math.isfinite(expected) or not math.isfinite(value):
        with np.errstate(all="ignore"):
            assert not (np.abs(oracle.as_doubles(x)) < 1e150).all()
        return
    tolerance = oracle.elementwise_value_tolerance(x, 0.5, 0.25)
    assert abs(value - expected) <= tolerance + 1e-320


@given(described())
@example(Described({"shape": (3,), "typestr": "<f4", "data": (0, False), "version": 3}, None))
def test_what_describes_itself(x):
    remember(x=x)
    calls = [REGULARIZER, REGULARIZER.value_and_grad, *OTHERS]
    calls.append(lambda x: REGULARIZER.accumulate_grad(np.ones(3), x))
    calls.append(lambda x: REGULARIZER.prox(x, 0.1))
    for call in calls:
        try:
            result = call(x)
        except (TypeError, ValueError):
            continue
        if call is REGULARIZER:
            check_value(np.asarray(x), result)
    try:
        array = np.asarray(x)
    except (TypeError, ValueError, OverflowError):
        return
    for call in calls:  # and as what NumPy makes of it
        try:
            call(array)
        except (TypeError, ValueError):
            continue


class Exchanged:
    """Has DLPack, or what looks like it."""

    def __init__(self, given, device):
        self.given, self.device = given, device

    def __dlpack__(self, **options):
        return self.given.__dlpack__(**options) if hasattr(self.given, "dtype") else self.given

    def __dlpack_device__(self):
        return self.device


@given(
    st.one_of(
        hypothesis_numpy.arrays(
            st.sampled_from(["f4", "f8", "f2", "i4", "c8", ">f4", "?"]),
            hypothesis_numpy.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4),
        ),
        st.sampled_from([None, 5, "text", object()]),
    ),
    st.sampled_from([(1, 0), (1, 0), (1, 0), (2, 0), (99, 5), None, (1,), "cpu"]),
)
def test_what_is_exchanged(given, device):
    remember(given=given, device=device)
    try:
        value = REGULARIZER(Exchanged(given, device))
    except (TypeError, ValueError):
        return
    check_value(given, value)


@st.composite
def views(draw):
    """Views of one memory, which may overlap and be read-only."""
    dtype = DTYPES[draw(st.sampled_from(list(DTYPES)))]
    count = 128
    memory = numbers(dtype.name, count, draw(st.integers(0, 2**32 - 1))).astype(dtype)
    shape = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    pair = []
    for _ in range(2):
        steps = [draw(st.integers(-5, 5)) for _ in shape]
        reach = [(extent - 1) * step for extent, step in zip(shape, steps, strict=True)]
        first = max(0, -sum(each for each in reach if each < 0)) + draw(st.integers(0, 20))
        view = np.lib.stride_tricks.as_strided(
            memory[first:], shape, [step * dtype.itemsize for step in steps]
        )
        if draw(st.integers(0, 7)) == 0:
            view.flags.writeable = False
        pair.append(view)
    return memory, *pair


def bytes_of(x):
    """The places of all elements."""
    places = np.zeros(x.shape, np.int64)
    for axis, step in enumerate(x.strides):
        extents = [-1 if each == axis else 1 for each in range(x.ndim)]
        places = places + (np.arange(x.shape[axis]) * step).reshape(extents)
    return (places + x.ctypes.data).ravel().tolist()


@given(views())
def test_a_gradient_in_the_memory_of_its_input(memory_and_views):
    memory, x, grad = memory_and_views
    before, copy = memory.copy(), x.copy()
    read, written = bytes_of(x), bytes_of(grad)
    is_fine = len(set(written)) == len(written) and not set(read) & set(written)
    is_fine &= grad.flags.writeable
    if x.size == 0:
        is_fine = grad.flags.writeable
    start = grad.copy()
    try:
        value = REGULARIZER.accumulate_grad(x, grad)
    except ValueError:
        assert not is_fine
        assert memory.tobytes() == before.tobytes()
        return
    assert is_fine
    assert value == REGULARIZER(x)
    expected_value, slope = REGULARIZER.value_and_grad(copy)
    check_value(copy, value)
    assert math.isclose(expected_value, value, rel_tol=1e-12)
    again = start.copy()
    REGULARIZER.accumulate_grad(copy, again)
    assert grad.tobytes() == again.tobytes()
    assert slope.shape == x.shape
    inside = {place - memory.ctypes.data for place in written}
    for i in range(memory.size):
        if i * memory.itemsize not in inside:
            assert memory[i : i + 1].tobytes() == before[i : i + 1].tobytes()
