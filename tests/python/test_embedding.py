"""What `pip install taut` gives to C++: programs find it, and get the bits and words of Python."""

import ctypes
import functools
from pathlib import Path

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS
from programs import build, directory_of, find_program, run
from taut import regularizers

HERE = Path(__file__).parent
CONSUMERS = HERE.parent / "cpp" / "consumers"
COMPILERS = {"gcc": ["g++"], "clang": ["clang++", *(f"clang++-{n}" for n in range(19, 13, -1))]}


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("way", ["find_package", "pkg_config"])
def test_a_program_finds_what_pip_has_installed(tmp_path, way, compiler):
    if way == "pkg_config":
        find_program("pkg-config", "pkgconf")
    place = {
        "find_package": f"-DTAUT_DIR={directory_of('--cmake-dir')}",
        "pkg_config": f"-DPREFIX={Path(directory_of('--pkg-config-dir')).parents[1]}",
    }
    output = run(
        find_program("cmake"),
        f"-DWAY={way}",
        f"-DCOMPILER={find_program(*COMPILERS[compiler])}",
        f"-DBUILD={tmp_path / 'build'}",
        place[way],
        "-DEXPECTED=threads=2",
        "-P",
        CONSUMERS / "run_consumer.cmake",
    )
    assert "threads=2" in output


def test_the_headers_are_where_the_option_says():
    assert (Path(directory_of("--include-dir")) / "taut" / "taut.hpp").is_file()
    assert (Path(directory_of("--pkg-config-dir")) / "taut.pc").is_file()


# ---- the same bits and words -----------------------------------------------------------------


class Array(ctypes.Structure):
    """An array as face.cpp takes it."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("dtype", ctypes.c_char_p),
        ("rank", ctypes.c_size_t),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
    )

    def __init__(self, x):
        numbers = ctypes.c_ssize_t * x.ndim
        super().__init__(
            x.ctypes.data, x.dtype.name.encode(), x.ndim, numbers(*x.shape), numbers(*x.strides)
        )


@pytest.fixture(scope="module")
def cpp(tmp_path_factory):
    """Calls the C++ face; returns the value, or raises a ValueError with the words of C++."""
    library = build(HERE / "embedding", tmp_path_factory.mktemp("face")) / "libface.so"
    function = ctypes.CDLL(str(library)).call_taut
    function.restype = ctypes.c_char_p
    function.argtypes = [ctypes.c_char_p] * 2 + [ctypes.c_double] * 2
    function.argtypes += [ctypes.POINTER(Array)] * 2 + [ctypes.c_double]
    function.argtypes += [ctypes.POINTER(ctypes.c_double)]

    def call(name, kind, factors, x, grad, scale):
        result = ctypes.c_double()
        arguments = (name.encode(), kind.encode(), *factors, Array(x), Array(grad), scale)
        if message := function(*arguments, result):
            raise ValueError(message.decode())
        return result.value

    return call


REGULARIZERS = {
    "L1": ((0.3, 0.0), lambda factors: regularizers.L1(factors[0])),
    "L2": ((0.07, 0.0), lambda factors: regularizers.L2(factors[0])),
    "L1L2": ((0.3, 0.07), lambda factors: regularizers.L1L2(*factors)),
    "rows": ((0.9, 0.0), lambda factors: regularizers.OrthogonalRegularizer(factors[0])),
    "columns": (
        (0.9, 0.0),
        lambda factors: regularizers.OrthogonalRegularizer(factors[0], "columns"),
    ),
}


def same_bits(a, b):
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("kind", REGULARIZERS)
def test_both_faces_give_the_same_bits(cpp, kind, dtype, layout):
    factors, make = REGULARIZERS[kind]
    regularizer = make(factors)
    generator = np.random.default_rng(5)
    x, before = (generator.standard_normal((230, 211)).astype(dtype) for _ in range(2))
    x = LAYOUTS[layout](x)

    def new_grad():
        return LAYOUTS[layout](before)

    of_python, of_cpp, of_batch = new_grad(), new_grad(), new_grad()
    value = regularizer.accumulate_grad(x, of_python, scale=0.7)
    call = functools.partial(cpp, kind=kind, factors=factors, x=x, scale=0.7)
    assert call("value", grad=x) == regularizer(x) == value
    assert call("accumulate_grad", grad=of_cpp) == value
    assert call("batch", grad=of_batch) == value
    assert same_bits(of_cpp, of_python)
    assert same_bits(of_batch, of_python)
    assert not same_bits(of_python, before)
    slope = regularizer.value_and_grad(x, scale=0.7)[1]
    assert call("value_and_grad", grad=of_cpp) == value
    assert same_bits(of_cpp, slope)
    if kind in ("rows", "columns"):
        return
    of_python, of_cpp = new_grad(), new_grad()
    regularizer.prox(of_python, 0.7)
    call("prox", x=of_cpp, grad=of_cpp)
    assert same_bits(of_cpp, of_python)
    assert not same_bits(of_python, before)


MATRIX = np.ones((3, 4))
CUBE = np.ones((2, 3, 4))
WRONG_FACTORS = [-1.0, -0.1, -1e-300, -123456.789, -1e16, float("nan"), float("inf")]


def words(call):
    with pytest.raises((ValueError, NotImplementedError)) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("factor", WRONG_FACTORS)
def test_both_faces_refuse_a_factor_with_the_same_words(cpp, factor):
    def cpp_words(kind, *factors):
        return words(lambda: cpp("value", kind, factors, MATRIX, MATRIX, 1.0))

    assert cpp_words("L1", factor, 0.0) == words(lambda: regularizers.L1(factor))
    assert cpp_words("L2", factor, 0.0) == words(lambda: regularizers.L2(factor))
    assert cpp_words("L1L2", 0.0, factor) == words(lambda: regularizers.L1L2(0.0, factor))
    orthogonal = words(lambda: regularizers.OrthogonalRegularizer(factor))
    assert cpp_words("rows", factor, 0.0) == orthogonal


@pytest.mark.parametrize(
    ("kind", "x", "grad"),
    [
        ("rows", CUBE, CUBE.copy()),
        ("L1", MATRIX, MATRIX.T.copy()),
        ("L1", MATRIX, CUBE),
        ("L2", MATRIX, MATRIX.astype(np.float32)),
        ("L2", MATRIX, MATRIX),
        ("L2", MATRIX, np.broadcast_to(np.zeros(4), (3, 4))),
    ],
)
def test_both_faces_refuse_arrays_with_the_same_words(cpp, kind, x, grad):
    factors, make = REGULARIZERS[kind]
    if not grad.flags.writeable:  # one that overlaps itself, and pretends to be writable
        grad = np.lib.stride_tricks.as_strided(np.zeros(4), grad.shape, grad.strides)
    for function in ("accumulate_grad", "batch"):
        text = words(lambda function=function: cpp(function, kind, factors, x, grad, 1.0))
        assert text == words(lambda: make(factors).accumulate_grad(x, grad))


@pytest.mark.parametrize(("kind", "step"), [("L1", -0.5), ("L1L2", float("nan")), ("rows", 1.0)])
def test_both_faces_refuse_a_step_with_the_same_words(cpp, kind, step):
    factors, make = REGULARIZERS[kind]
    text = words(lambda: cpp("prox", kind, factors, MATRIX, MATRIX, step))
    assert text == words(lambda: make(factors).prox(MATRIX, step))
