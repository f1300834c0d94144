"""taut/torch.hpp on the LibTorch inside torch's wheel: Python's bits and words, on every tensor."""

import re

import pytest
from arrays import DTYPES, LAYOUTS, random_array
from frameworks import require
from libtorch_programs import operators, same_bits
from penalties import PENALTIES
from programs import find_program, run
from taut import Penalties
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    GroupLasso,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
)
from tensors import TENSOR_LAYOUTS, to_array, to_tensor

torch = require("torch")

pytestmark = pytest.mark.slow  # LibTorch's headers take the compiler long

REGULARIZERS = {
    **{name: make(0.3) for name, make in PENALTIES.items()},
    "L1L2": L1L2(0.3, 0.07),
    "orthogonal columns": OrthogonalRegularizer(0.9, "columns", flatten=True),
    "soft orthogonal columns": SoftOrthogonalRegularizer(0.9, "columns", diagonal=False),
    "group lasso columns": GroupLasso(0.3, "columns"),
}
WITH_PROX = [name for name in REGULARIZERS if "orthogonal" not in name]
ONCE = [name for name in REGULARIZERS if name not in ("L1", "L2", "L1L2")]
every_regularizer = pytest.mark.parametrize(
    "regularizer", REGULARIZERS.values(), ids=list(REGULARIZERS)
)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(scope="module")
def cpp(tmp_path_factory):
    return operators(tmp_path_factory.getbasetemp() / "libtorch")


def words(call):
    with pytest.raises((ValueError, TypeError, NotImplementedError)) as caught:
        call()
    return str(caught.value)


def test_the_abi_is_that_of_the_wheel(cpp):
    assert cpp.functions.uses_cxx11_abi() == torch._C._GLIBCXX_USE_CXX11_ABI


def test_no_symbol_of_tauts_depends_on_the_abi_of_strings(cpp, tmp_path_factory):
    (program,) = (tmp_path_factory.getbasetemp() / "libtorch").rglob("operators.cpp.o")
    symbols = re.findall(r" U (.*\btaut::.*)", run(find_program("nm"), "-C", program))
    assert any("accumulate_grad" in symbol for symbol in symbols)
    assert not [symbol for symbol in symbols if "basic_string" in symbol or "cxx11" in symbol]


# ---- one tensor ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", TENSOR_LAYOUTS)
@every_dtype
@every_regularizer
def test_every_function_has_the_bits_of_python(cpp, regularizer, dtype, layout):
    x = to_tensor(LAYOUTS[layout](random_array((70, 31), dtype, 1)))
    before = random_array((70, 31), dtype, 2)

    def new_grad():
        return to_tensor(LAYOUTS[layout](before))

    value = regularizer(to_array(x))
    of_python, of_cpp, of_batch = new_grad(), new_grad(), new_grad()
    regularizer.accumulate_grad(x, of_python, 0.7)
    assert cpp.value(regularizer, x) == value != 0
    assert cpp.accumulate_grad(regularizer, x, of_cpp, 0.7) == value
    assert cpp.batch("accumulate_grad", regularizer, [x], [of_batch], scale=0.7) == [value]
    assert same_bits(of_cpp, of_python)
    assert same_bits(of_batch, of_python)
    assert not same_bits(of_cpp, new_grad())
    slope = regularizer.value_and_grad(x, 0.7)[1]
    assert cpp.value_and_grad(regularizer, x, of_cpp, 0.7) == value
    assert cpp.batch("value_and_grad", regularizer, [x], [of_batch], scale=0.7) == [value]
    assert same_bits(of_cpp, slope)
    assert same_bits(of_batch, slope)


@every_dtype
@pytest.mark.parametrize("name", WITH_PROX)
def test_the_proximal_step_has_the_bits_of_python(cpp, name, dtype):
    of_python, of_cpp, of_batch = (to_tensor(random_array((7, 9), dtype)) for _ in range(3))
    REGULARIZERS[name].prox(of_python, 0.5)
    cpp.prox(REGULARIZERS[name], of_cpp, 0.5)
    cpp.batch("prox", REGULARIZERS[name], [of_batch], scale=0.5)
    assert same_bits(of_cpp, of_python)
    assert same_bits(of_batch, of_python)
    assert not same_bits(of_cpp, to_tensor(random_array((7, 9), dtype)))


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor(2.0),
        torch.ones(0),
        torch.ones(3, 0, 2),
        torch.arange(3.0).expand(4, 3),
        torch.arange(512.0).reshape([2] * 9).transpose(0, 8),
        torch.arange(6.0, dtype=torch.float64)[1::2],
    ],
    ids=lambda x: f"{tuple(x.shape)}",
)
def test_every_shape(cpp, x):
    grad, of_cpp = torch.zeros_like(x).contiguous(), torch.zeros_like(x).contiguous()
    L1L2(0.5, 0.25).accumulate_grad(x, grad)
    assert cpp.accumulate_grad(L1L2(0.5, 0.25), x, of_cpp, 1.0) == L1L2(0.5, 0.25)(x).item()
    assert same_bits(grad, of_cpp)


def test_a_half_type_takes_a_wider_gradient(cpp):
    x = torch.randn(10).half()
    grad, of_cpp = torch.zeros(10), torch.zeros(10)
    L2(0.3).accumulate_grad(x, grad)
    cpp.accumulate_grad(L2(0.3), x, of_cpp, 1.0)
    assert same_bits(grad, of_cpp)


def test_references_and_importances_are_those_of_python(cpp):
    x, reference, grad, of_cpp = (torch.arange(4.0) * k for k in (1, 3, 0, 0))
    importance = torch.tensor([1.0, 0.5, 2.0, 0.0])
    penalties = Penalties(
        [("x", L2(0.5))], reference={"x": reference}, importance={"x": importance}
    )
    value = penalties.accumulate_grad({"x": x}, {"x": grad})
    (own,) = cpp.batch("accumulate_grad", L2(0.5), [x], [of_cpp], [reference], [importance])
    assert own == value.item() == 17.0
    assert same_bits(grad, of_cpp)


REFUSED = {
    "integers": lambda: torch.ones(3, dtype=torch.int64),
    "complex": lambda: torch.ones(3, dtype=torch.complex64),
    "float8": lambda: torch.ones(3).to(torch.float8_e4m3fn),
    "sparse": lambda: torch.ones(3).to_sparse(),
    "mkldnn": lambda: torch.ones(3).to_mkldnn(),
    "jagged": lambda: torch.nested.nested_tensor([torch.ones(3)], layout=torch.jagged),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=list(REFUSED))
def test_both_faces_refuse_a_tensor_with_the_same_words(cpp, make):
    x, plain = make(), torch.ones(3)
    expected = words(lambda: L2()(x))
    assert words(lambda: cpp.value(L2(), x)) == expected
    assert words(lambda: cpp.penalty(L2(), x)) == expected
    assert words(lambda: cpp.batch("value", L2(), [x])) == expected
    assert words(lambda: cpp.prox(L2(), x, 1.0)) == words(lambda: L2().prox(x, 1.0))
    expected = words(lambda: L2().accumulate_grad(plain, x))
    assert words(lambda: cpp.accumulate_grad(L2(), plain, x, 1.0)) == expected
    assert words(lambda: cpp.batch("accumulate_grad", L2(), [plain], [x])) == expected


class Doubled(torch.Tensor):
    """Whose numbers are twice those in its memory."""

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        raise NotImplementedError


def test_what_has_no_memory_of_the_cpus_is_refused(cpp):
    from torch._subclasses.fake_tensor import FakeTensorMode

    freed = torch.ones(3)
    freed.untyped_storage().resize_(0)
    with FakeTensorMode():
        fake = torch.ones(3)
    doubled = torch.Tensor._make_subclass(Doubled, torch.ones(3))
    for x in (fake, freed, doubled, torch._efficientzerotensor((3,))):
        text = words(lambda x=x: cpp.value(L2(), x))
        assert text == "expected a tensor that has memory of its own. Received one without"
        assert words(lambda x=x: cpp.prox(L2(), x, 1.0)) == f"x: {text}"
    assert words(lambda: torch.func.grad(lambda y: cpp.penalty(L2(), y))(torch.ones(3))) == text
    meta = torch.ones(3, device="meta")
    text = "expected a tensor in the CPU's memory. Received one on meta"
    assert words(lambda: cpp.value(L2(), meta)) == text
    text = f"the gradient: {text}"
    assert words(lambda: cpp.accumulate_grad(L2(), torch.ones(3), meta, 1.0)) == text


def test_a_negative_bit_is_refused(cpp):
    x = torch._neg_view(torch.ones(3))
    assert words(lambda: cpp.prox(L2(), x, 1.0)) == words(lambda: L2().prox(x, 1.0))
    grad_words = words(lambda: L2().accumulate_grad(torch.ones(3), x))
    assert words(lambda: cpp.accumulate_grad(L2(), torch.ones(3), x, 1.0)) == grad_words
    assert "x must hold its numbers as they are" in words(lambda: cpp.value(L2(), x))


def test_a_gradient_that_does_not_fit_is_refused_and_not_written(cpp):
    x = torch.ones(3, 4)
    for grad in (torch.zeros(4, 3), torch.zeros(4).expand(3, 4), torch.zeros(3, 4).double(), x):
        text = words(lambda grad=grad: L2().accumulate_grad(x, grad))
        before, version = grad.clone(), grad._version
        assert words(lambda grad=grad: cpp.accumulate_grad(L2(), x, grad, 1.0)) == text
        assert torch.equal(grad, before)
        assert grad._version == version


def test_what_is_written_in_place_tells_autograd(cpp):
    x = torch.ones(3, requires_grad=True)
    kept = (x * x).sum()
    cpp.prox(L1(1.0), x, 0.25)  # a leaf that requires a gradient
    assert x.tolist() == [0.75] * 3
    assert x.is_leaf
    assert x._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.backward()
    grad = torch.zeros(3)
    for count, call in enumerate((cpp.accumulate_grad, cpp.value_and_grad)):
        call(L2(), x, grad, 1.0)
        assert grad._version == count + 1
    for count, function in enumerate(("accumulate_grad", "value_and_grad")):
        cpp.batch(function, L2(), [x], [grad])
        assert grad._version == count + 3
    cpp.batch("prox", L2(), [x])
    assert x._version == 2


def test_inference_tensors_are_written_as_in_python(cpp):
    with torch.inference_mode():
        x, y = torch.ones(3), torch.ones(3)
        L1(1.0).prox(x, 0.25)
        cpp.prox(L1(1.0), y, 0.25)
        assert same_bits(x, y)
    before = x.clone()
    refusal = words(lambda: L1(1.0).prox(x, 0.25))
    assert "inference_mode" in refusal
    assert words(lambda: cpp.prox(L1(1.0), y, 0.25)) == refusal
    assert same_bits(x, before)
    assert same_bits(y, before)


# ---- in the graph --------------------------------------------------------------------------------


@every_dtype
@every_regularizer
def test_the_gradient_in_the_graph_has_the_bits_of_python(cpp, regularizer, dtype):
    array = random_array((40, 13), dtype)
    of_python, of_cpp = (to_tensor(array.copy()).requires_grad_() for _ in range(2))
    value = regularizer(of_python)
    penalty = cpp.penalty(regularizer, of_cpp)
    assert (penalty.dtype, penalty.shape) == (value.dtype, ())
    assert torch.equal(penalty, value)
    (value * 0.7).backward()
    (penalty * 0.7).backward()
    assert same_bits(of_cpp.grad, of_python.grad)


def test_without_a_graph_there_is_no_node(cpp):
    x = torch.ones(3, 2, requires_grad=True)
    assert cpp.penalty(OrthogonalRegularizer(), x).requires_grad
    assert not cpp.penalty(OrthogonalRegularizer(), x.detach()).requires_grad
    with torch.no_grad():
        assert not cpp.penalty(OrthogonalRegularizer(), x).requires_grad


@pytest.mark.parametrize("name", ["L1", "L2", "L1L2"])
def test_second_and_third_derivatives_are_those_of_python(cpp, name):
    def derivatives(penalty):
        x = torch.tensor([1.0, -2.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
        y = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        (first,) = torch.autograd.grad(penalty(x) * y**3, x, create_graph=True)
        second = torch.autograd.grad((first**2).sum(), (x, y), create_graph=True)
        third = torch.autograd.grad(second[0].sum() + second[1], (x, y))
        return [first, *second, *third]

    regularizer = REGULARIZERS[name]
    own = derivatives(lambda x: cpp.penalty(regularizer, x))
    for a, b in zip(own, derivatives(regularizer), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", ONCE)
def test_a_second_derivative_that_is_not_there_is_an_error(cpp, name):
    x = torch.randn(4, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(cpp.penalty(REGULARIZERS[name], x), x, create_graph=True)
    (expected,) = torch.autograd.grad(REGULARIZERS[name](x), x)
    assert same_bits(slope, expected)
    with pytest.raises(NotImplementedError, match="L1, L2 and L1L2 alone"):
        slope.sum().backward()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own use
def test_forward_derivatives_are_refused(cpp):
    with torch.autograd.forward_ad.dual_level():
        x = torch.autograd.forward_ad.make_dual(torch.ones(3), torch.ones(3))
        with pytest.raises(RuntimeError, match="jvp is not implemented"):
            cpp.penalty(L2(), x)
