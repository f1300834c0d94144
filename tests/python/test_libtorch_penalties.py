"""taut::torch::Penalties beside Python's Penalties: the same rules, bits and words."""

import itertools
from fnmatch import fnmatchcase

import pytest
from arrays import DTYPES
from frameworks import require
from libtorch_programs import operators, same_bits
from taut import Penalties
from taut.regularizers import L1, L2, GroupLasso, OrthogonalRegularizer

torch = require("torch")

pytestmark = pytest.mark.slow  # LibTorch's headers take the compiler long

every_dtype = pytest.mark.parametrize("dtype", DTYPES)

RULES = [
    ("0.weight", OrthogonalRegularizer(0.3)),
    ("*.weight", L2(0.05)),
    ("1.bias", None),
    ("*", L1(0.02)),
]


@pytest.fixture(scope="module")
def cpp(tmp_path_factory):
    return operators(tmp_path_factory.getbasetemp() / "libtorch")


def make_module(dtype="float32"):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 5), torch.nn.Linear(5, 4), torch.nn.Linear(4, 5)]
    return torch.nn.Sequential(*layers).to(getattr(torch, dtype))


def both(cpp, module, rules=RULES, **options):
    """Returns the penalties of a module, of Python and of C++, and twins of its parameters."""
    twins = {
        name: x.detach().clone().requires_grad_(x.requires_grad)
        for name, x in module.named_parameters()
    }
    return Penalties(rules, **options).bind(module), cpp.penalties(rules, twins, **options), twins


def assert_same_gradients(module, twins):
    for name, x in module.named_parameters():
        assert (x.grad is None) == (twins[name].grad is None), name
        assert x.grad is None or same_bits(x.grad, twins[name].grad), name


@every_dtype
def test_many_parameters_have_the_bits_of_python(cpp, dtype):
    module = make_module(dtype)
    of_python, of_cpp, twins = both(cpp, module)
    total = of_python()
    assert of_cpp.penalty().dtype == total.dtype
    assert torch.tensor(of_cpp.value(), dtype=total.dtype) == total
    names, values = of_cpp.breakdown()
    breakdown = of_python.breakdown()
    assert names == list(breakdown) == [name for name in twins if name != "1.bias"]
    assert [torch.tensor(each, dtype=total.dtype) for each in values] == [*breakdown.values()]
    for scale in (1.0, 0.7):  # the first makes the gradients
        of_python.accumulate_grad(scale=scale)
        assert of_cpp.accumulate_grad(scale) == of_cpp.value()
        assert_same_gradients(module, twins)
        assert twins["0.weight"].grad._version == module[0].weight.grad._version


@every_dtype
def test_many_parameters_in_one_node(cpp, dtype):
    module = make_module(dtype)
    of_python, of_cpp, twins = both(cpp, module)
    (of_python() * 0.7).backward()
    penalty = of_cpp.penalty()
    assert penalty.grad_fn is not None
    assert len({edge for edge, _ in penalty.grad_fn.next_functions if edge}) == 5
    (penalty * 0.7).backward()
    assert_same_gradients(module, twins)


def test_the_proximal_steps_of_many_parameters(cpp):
    rules = [("*.weight", GroupLasso(0.1)), ("*", L1(0.1))]
    module = make_module()
    of_python, of_cpp, twins = both(cpp, module, rules)
    of_python.prox(0.5)
    of_cpp.prox(0.5)
    for name, x in module.named_parameters():
        assert same_bits(x, twins[name])
        assert twins[name]._version == 1
    with pytest.raises(RuntimeError, match=r"0\.weight: Orth.* has no proximal step"):
        both(cpp, module)[1].prox(0.5)


def test_what_is_frozen_is_left_out_while_it_is(cpp):
    module = make_module()
    module[1].weight.requires_grad_(False)
    of_python, of_cpp, twins = both(cpp, module)
    of_python.accumulate_grad()
    of_cpp.accumulate_grad(1.0)
    assert twins["1.weight"].grad is None
    assert_same_gradients(module, twins)
    assert dict(zip(*of_cpp.breakdown(), strict=True))["1.weight"] == 0
    frozen = of_cpp.value()
    twins["1.weight"].requires_grad_(True)
    assert of_cpp.value() > frozen


def test_memory_that_appears_twice_counts_once_under_the_first_that_is_not_frozen(cpp):
    weight = torch.randn(3, 4, requires_grad=True)
    parameters = {"a": weight, "b": weight, "c": weight.detach().T.requires_grad_()}
    penalties = cpp.penalties([("a", L2(1.0)), ("*", L1(1.0))], parameters)
    assert penalties.value() == L2(1.0)(weight.detach().numpy())
    penalties.accumulate_grad(1.0)
    assert same_bits(weight.grad, L2(1.0).value_and_grad(weight)[1])
    assert parameters["c"].grad is None
    penalties.penalty().backward()
    assert same_bits(weight.grad, 2 * L2(1.0).value_and_grad(weight)[1])
    weight.requires_grad_(False)
    assert penalties.value() == L1(1.0)(parameters["c"].detach().numpy())


def test_what_is_no_longer_tied_counts_for_itself(cpp):
    parameters = {name: torch.ones(3, requires_grad=True) for name in "ab"}
    parameters["b"].data = parameters["a"].data
    penalties = cpp.penalties([("*", L2(1.0))], parameters)
    assert penalties.value() == 3
    for x in parameters.values():
        x.data = x.data.double()
    assert penalties.value() == 6
    penalties.accumulate_grad(1.0)
    assert (parameters["b"].grad == 2).all()
    parameters["b"].data = parameters["a"].data
    assert penalties.value() == 3


def test_l2_is_differentiable_twice_beside_what_is_not(cpp):
    parameters = {name: torch.ones(2, 2, requires_grad=True) for name in "ab"}
    penalties = cpp.penalties([("a", OrthogonalRegularizer(1.0)), ("b", L2(1.0))], parameters)
    (slope,) = torch.autograd.grad(penalties.penalty(), parameters["b"], create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), parameters["b"])
    assert torch.equal(second, 8 * parameters["b"])


def test_a_gradient_has_the_dtype_that_its_parameter_asks_for(cpp):
    x = torch.ones(3, dtype=torch.float16, requires_grad=True)
    if not hasattr(x, "grad_dtype"):
        return  # an older torch has none
    x.grad_dtype = torch.float32
    cpp.penalties([("*", L2(1.0))], {"x": x}).accumulate_grad(1.0)
    assert x.grad.dtype == torch.float32


def test_factors_may_change_between_calls(cpp):
    x = torch.ones(3, requires_grad=True)
    penalties = cpp.penalties([("*", L2(1.0))], {"x": x})
    penalties.set_l2("*", 0.5)
    assert penalties.value() == 1.5
    with pytest.raises(RuntimeError, match="no penalty for 'x' among the rules"):
        penalties.set_l2("x", 0.5)


def test_mistakes_begin_with_the_parameters_name(cpp):
    module = make_module()
    _, of_cpp, twins = both(cpp, module, [("*", OrthogonalRegularizer())])
    with pytest.raises(RuntimeError, match=r"0\.bias: Inputs to Orth.* must have rank 2"):
        of_cpp.penalty()
    _, of_cpp, twins = both(cpp, module)
    twins["1.weight"].grad = torch.ones(4, 5).to_sparse()
    with pytest.raises(
        RuntimeError, match=r"1\.weight: the gradient: expected a dense .*sparse_coo"
    ):
        of_cpp.accumulate_grad(1.0)
    assert all(twin.grad is None for name, twin in twins.items() if name != "1.weight")
    sparse = torch.ones(3).to_sparse()
    with pytest.raises(ValueError, match="w: expected a dense tensor"):
        cpp.penalties([("w", L2())], {"w": sparse.requires_grad_()})
    cpp.penalties([("w", L2())], {"w": sparse.detach()})  # frozen


@pytest.mark.parametrize(
    "rules",
    [
        [("*.wieght", L2()), ("nothing", L1()), ("*", L1())],
        [("*", L2()), ("0.weight", L1())],
        [("*", L2()), ("*", L1())],
    ],
)
def test_a_rule_that_has_nothing_is_refused_as_in_python(cpp, rules):
    module = make_module()
    with pytest.raises(ValueError, match=r"allow_unused=True") as caught:
        Penalties(rules).bind(module)
    text = str(caught.value).replace("Give allow_unused=True", "Set it")
    with pytest.raises(ValueError, match="Set allow_unused") as caught:
        cpp.penalties(rules, dict(module.named_parameters()))
    own = str(caught.value)
    assert own.replace("Set allow_unused", "Set it") == text
    both(cpp, module, rules, allow_unused=True)


def test_a_parameter_without_a_rule_is_refused_where_that_is_asked_for(cpp):
    parameters = dict(make_module().named_parameters())
    rules = [("*.weight", L2())]
    assert cpp.penalties(rules, parameters).breakdown()[0] == ["0.weight", "1.weight", "2.weight"]
    with pytest.raises(ValueError, match=r"No rule matches these parameters: \['0.bias', '1.bias'"):
        cpp.penalties(rules, parameters, match_all=True)


def test_without_a_penalty_the_sum_is_0(cpp):
    penalties = cpp.penalties([("*", None)], dict(make_module().named_parameters()))
    assert penalties.value() == penalties.penalty() == penalties.accumulate_grad(1.0) == 0
    penalties.prox(1.0)


PATTERNS = [
    *(
        "*",
        "?",
        "a*b",
        "**",
        "[",
        "[]",
        "[!]",
        "[a",
        "[!a",
        "[]]",
        "[!]]",
        "[]-a]",
        "[a-]",
        "[!a-]",
    ),
    *("[z-a]", "[!z-a]", "[a-c-e]", "[a--c]", "[--a]", "[^a]", "[a\\]", "a[", "*a*b*", "*[ab]?"),
    *("[ab]*[!c]", "a.b", "[é-ü]", "?é", "[!!]", "[!", "[a-cx-z]", "*-*", "a]", "[[]", "*.?"),
]


def test_globs_match_what_pythons_match(cpp):
    names = ["".join(each) for n in range(4) for each in itertools.product("ab-]!", repeat=n)]
    names += [*"c^[\\zé&", "a.b", "aé", "éé", "ü", "日", "x日", "[a", "[!a", "abcab", "a\nb", "a.c"]
    for pattern in PATTERNS:
        for name in names:
            expected = name == pattern or fnmatchcase(name, pattern)
            assert cpp.functions.matches(name, pattern) == expected, (name, pattern)
