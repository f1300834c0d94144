"""taut.Penalties of a torch model."""

import copy
import warnings

import numpy as np
import pytest
from taut import Penalties, _core
from taut.regularizers import L1, L2, OrthogonalRegularizer, Regularizer
from tensors import torch
from test_penalties import check_filled


def make_model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 3)
    )


RULES = [("*.bias", None), ("1.*", OrthogonalRegularizer(0.1)), ("0.*", L1(0.2)), ("*", L2(0.3))]


def expected(model):
    """Returns the total and its gradients, penalty by penalty."""
    weights = [model[i].weight for i in range(3)]
    regularizers = [L1(0.2), OrthogonalRegularizer(0.1), L2(0.3)]
    total = sum(r(w) for r, w in zip(regularizers, weights, strict=True))
    return total.detach(), torch.autograd.grad(total, weights)


def gradients(model):
    return [model[i].weight.grad for i in range(3)]


def test_the_graph_way_and_the_in_place_way_agree():
    model = make_model()
    total, grads = expected(model)
    penalties = Penalties(RULES)
    bound = penalties.bind(model.named_parameters())
    for differentiable in (bound(), penalties(model.named_parameters())):
        model.zero_grad()
        (2 * differentiable).backward()
        torch.testing.assert_close(differentiable.detach(), total)
        torch.testing.assert_close(gradients(model), [2 * grad for grad in grads])
        assert model[0].bias.grad is None
    model.zero_grad()  # sets them to None
    value = bound.accumulate_grad(scale=2.0)
    torch.testing.assert_close(value, total)
    torch.testing.assert_close(gradients(model), [2 * grad for grad in grads])
    assert penalties.accumulate_grad(model.named_parameters(), scale=1.0) == value
    torch.testing.assert_close(gradients(model), [3 * grad for grad in grads])
    own = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    bound.accumulate_grad(own)
    torch.testing.assert_close([own[f"{i}.weight"] for i in range(3)], list(grads))


def test_one_node_for_a_whole_model():
    model = make_model()
    node = Penalties(RULES)(model.named_parameters()).grad_fn
    kinds = [type(function).__name__ for function, _ in node.next_functions]
    assert kinds == ["AccumulateGrad"] * 3


def test_a_factor_of_0_has_a_gradient_of_0():
    # With this, torch fills memory that is not initialized with NaN.
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        params = {name: torch.ones(3, 4, requires_grad=True) for name in "abcd"}
        rules = [("a", L1(0.0)), ("b", OrthogonalRegularizer(0.0)), ("c", L2(0.0)), ("d", L2(0.5))]
        Penalties(rules)(params).backward()
        _, grads = Penalties(rules).value_and_grad(params)
    finally:
        torch.use_deterministic_algorithms(before)
    for name, x in params.items():
        assert (x.grad == (name == "d")).all()
        assert (grads[name] == (name == "d")).all()


def test_breakdown_and_nothing_without_a_graph():
    model = make_model()
    values = Penalties(RULES).breakdown(model.named_parameters())
    assert list(values) == ["0.weight", "1.weight", "2.weight"]
    assert not any(value.requires_grad for value in values.values())
    torch.testing.assert_close(sum(values.values()), expected(model)[0])
    with torch.no_grad():
        assert not Penalties(RULES)(model.named_parameters()).requires_grad


def test_frozen_parameters_are_left_out():
    model = make_model()
    model[0].weight.requires_grad_(False)
    penalties = Penalties(RULES)
    assert penalties.breakdown(model.named_parameters())["0.weight"] == 0
    penalties.accumulate_grad(model.named_parameters())
    assert model[0].weight.grad is None
    assert model[1].weight.grad.any()


# torch's own, from forward mode's first use on.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_only_parameters_can_be_frozen():
    model = make_model()
    state = model.state_dict()  # tensors that need no gradient
    penalties = Penalties([("*.bias", None), ("*", L1(0.5))])
    torch.testing.assert_close(penalties(state), penalties(model.named_parameters()).detach())
    grads = {name: torch.zeros_like(x) for name, x in state.items()}
    penalties.accumulate_grad(state, grads)
    torch.testing.assert_close(grads["0.weight"], 0.5 * state["0.weight"].sign())
    weights = {name: x.detach() for name, x in state.items()}
    value, slope = torch.func.jvp(penalties, (weights,), (weights,))
    torch.testing.assert_close(slope, value)  # as L1 is homogeneous
    penalties.prox(state, 1e9)
    assert not model[0].weight.any()
    with pytest.raises(ValueError, match="give `grads`"):  # and none that anybody would find
        penalties.accumulate_grad(state)


def test_bound_penalties_see_what_is_frozen_and_what_no_longer_is():
    model = make_model()
    bound = Penalties([("*.weight", L2(1.0))]).bind(model.named_parameters())
    whole = bound().detach()
    model[0].weight.requires_grad_(False)
    rest = whole - (model[0].weight ** 2).sum()
    torch.testing.assert_close(bound().detach(), rest)
    torch.testing.assert_close(bound.accumulate_grad(), rest)
    assert model[0].weight.grad is None
    kept = model[0].weight.clone()
    bound.prox(0.1)
    assert (model[0].weight == kept).all()
    model[0].weight.requires_grad_(True)
    bound.accumulate_grad()
    torch.testing.assert_close(model[0].weight.grad, 2 * kept)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own compiler
@pytest.mark.parametrize("rule", [L2(1.0), OrthogonalRegularizer(1.0)])
@pytest.mark.parametrize("is_frozen_first", [False, True])
def test_compiled_code_sees_what_is_frozen(rule, is_frozen_first):
    weights = {"a": torch.nn.Parameter(torch.ones(2, 3)), "b": torch.nn.Parameter(torch.ones(2, 3))}
    weights["a"].requires_grad_(not is_frozen_first)
    bound = Penalties([("*", rule)]).bind(weights)
    torch._dynamo.reset()  # it counts the variants of a method over all objects
    compiled = torch.compile(bound.__call__, fullgraph=True, backend="aot_eager")
    one = rule(weights["b"]).item()
    for is_frozen in (is_frozen_first, not is_frozen_first, is_frozen_first):
        weights["a"].requires_grad_(not is_frozen)
        assert compiled().item() == pytest.approx(one if is_frozen else 2 * one)


def test_what_is_frozen_during_a_call_changes_nothing_in_it():
    numbers = {"a": 1.0, "b": 2.0, "c": 3.0}
    weights = {name: torch.nn.Parameter(torch.full((2,), x)) for name, x in numbers.items()}
    weights["b"].requires_grad_(False)

    class Meddler(Regularizer):
        def accumulate_grad(self, x, grad, scale=1.0):  # as another thread might
            weights["a"].requires_grad_(False)
            weights["b"].requires_grad_(True)
            assert bound() == 8
            return 0.0

    bound = Penalties([("c", Meddler()), ("*", L2(1.0))]).bind(weights)
    grads = {name: torch.zeros(2) for name in weights}
    assert bound.accumulate_grad(grads) == 2
    assert [grad.tolist() for grad in grads.values()] == [[2, 2], [0, 0], [0, 0]]


def test_what_is_frozen_need_not_have_a_dtype_of_ours():
    frozen = torch.nn.Parameter(torch.ones(3, dtype=torch.int8), requires_grad=False)
    params = {"frozen": frozen, "b": torch.nn.Parameter(torch.ones(3))}
    bound = Penalties([("*", L2(1.0))]).bind(params)
    assert bound() == 3
    assert bound.breakdown()["frozen"] == 0
    with pytest.raises(TypeError, match=r"a: .*int8"):
        Penalties([("*", L2(1.0))])({"a": frozen.data})
    with pytest.raises(TypeError, match=r"b: .*int64"):
        bound.accumulate_grad({"b": torch.ones(3, dtype=torch.int64)})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_frozen_model_has_a_penalty_of_zero_as_tensors_have_it(dtype):
    model = make_model().to(dtype).requires_grad_(False)
    penalties = Penalties([("*", L2(1.0))])
    expected = L2(1.0)(model[0].weight).dtype
    for zero in (
        penalties(model.named_parameters()),
        penalties.accumulate_grad(model.named_parameters()),
        *penalties.breakdown(model.named_parameters()).values(),
    ):
        assert (zero.item(), zero.dtype, zero.shape) == (0.0, expected, ())


def test_a_model_that_holds_bound_penalties_can_be_copied():
    model = make_model()
    model.penalties = Penalties([("*.weight", L2(1.0))]).bind(model.named_parameters())
    copied = copy.deepcopy(model)
    with torch.no_grad():
        copied[0].weight.zero_()
    assert 0 < copied.penalties() < model.penalties()
    copied.penalties().backward()
    assert copied[1].weight.grad is not None
    assert model[1].weight.grad is None


def test_tied_weights_count_once():
    weight = torch.nn.Parameter(torch.ones(4, 4))
    tied = {"a": weight, "b": weight, "c": torch.nn.Parameter(weight.data.T)}
    penalties = Penalties([("*", L2(1.0))])
    total = penalties(tied)
    total.backward()
    assert total == 16
    assert (weight.grad == 2).all()
    assert tied["c"].grad is None
    assert penalties.accumulate_grad(tied) == 16
    assert (weight.grad == 4).all()


def test_second_derivatives_of_a_total():
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    y = torch.randn(3, dtype=torch.float64, requires_grad=True)
    penalties = Penalties([("x", OrthogonalRegularizer(0.5)), ("y", L2(0.5))])
    assert torch.autograd.gradgradcheck(lambda x, y: penalties({"x": x, "y": y}), (x, y))


def test_a_schedule_and_new_gradients_are_seen_at_each_call():
    model, regularizer = make_model(), L2(1.0)
    bound = Penalties([("*.weight", regularizer)], allow_unused=True).bind(model.named_parameters())
    first = bound()
    regularizer.l2 = 2.0
    torch.testing.assert_close(bound(), 2 * first)
    bound.accumulate_grad()
    model.zero_grad(set_to_none=True)
    bound.accumulate_grad()
    torch.testing.assert_close(model[0].weight.grad, 4 * model[0].weight.detach())


def test_transforms_of_a_total():
    x = {"x": torch.randn(5, 4), "y": torch.randn(3)}
    penalties = Penalties([("x", OrthogonalRegularizer(0.5)), ("y", L2(0.5))])
    grads = torch.func.grad(penalties)(x)
    for name, regularizer in (("x", OrthogonalRegularizer(0.5)), ("y", L2(0.5))):
        torch.testing.assert_close(grads[name], regularizer.value_and_grad(x[name])[1])
    weight = torch.nn.Parameter(x["y"])
    scales = torch.tensor([1.0, 2.0])
    total = Penalties([("*", L2(0.5))])({"y": weight})
    (many,) = torch.autograd.grad(total, weight, scales, is_grads_batched=True)
    torch.testing.assert_close(many, scales[:, None] * weight.detach())


def test_gradients_that_backward_has_not_made_yet():
    params = dict(make_model().named_parameters())
    grads = {name: x.grad for name, x in params.items()}
    penalties = Penalties(RULES)
    bound = penalties.bind(params, grads)
    for call in (lambda: penalties.accumulate_grad(params, grads), bound.accumulate_grad):
        with pytest.raises(TypeError, match=r"^0\.weight: .*None: call backward\(\) first$"):
            call()
    assert all(x.grad is None for x in params.values())


def test_a_failed_call_leaves_no_gradients_behind():
    weights = {"a": torch.nn.Parameter(torch.ones(3)), "b": torch.nn.Parameter(torch.ones(3))}
    with pytest.raises(ValueError, match=r"b.*rank 2"):
        Penalties([("a", L2()), ("b", OrthogonalRegularizer())]).accumulate_grad(weights)
    assert weights["a"].grad is None
    with pytest.raises(ValueError, match="give `grads`"):
        Penalties([("*", L2())]).accumulate_grad({"a": weights["a"] * 2})


class Fourth(Regularizer):
    def __call__(self, x):
        return (x**4).sum()


def test_your_own_regularizers_take_part():
    params = {
        "a": torch.nn.Parameter(torch.full((2,), 2.0)),
        "b": torch.nn.Parameter(torch.ones(3)),
    }
    penalties = Penalties([("a", Fourth()), ("b", lambda x: 5 * x.sum())])
    total = penalties(params)
    total.backward()
    assert (total.item(), params["a"].grad.tolist()) == (47, [32, 32])
    assert penalties.accumulate_grad(params) == 47
    assert (params["a"].grad.tolist(), params["b"].grad.tolist()) == ([64, 64], [10, 10, 10])


def test_mixed_dtypes_devices_and_libraries():
    params = {
        "half": torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16)),
        "double": torch.nn.Parameter(torch.ones(4, dtype=torch.float64)),
        "array": np.ones(4),
    }
    penalties = Penalties([("*", L2(1.0))])
    assert penalties(params) == 12
    penalties.accumulate_grad(
        params,
        {
            name: np.zeros(4) if name == "array" else torch.zeros_like(x)
            for name, x in params.items()
        },
    )
    meta = {"a": torch.nn.Parameter(torch.ones(4, device="meta"))}
    assert penalties(meta).device.type == "meta"


def test_prox_and_what_is_stale():
    model = make_model()
    before = model[0].weight.detach().clone()
    loss = (model(torch.ones(1, 6)) ** 2).sum()
    Penalties([("0.weight", L1(0.1))]).prox(model.named_parameters(), 1.0)
    expected_weight = before.sign() * (before.abs() - 0.1).clamp(min=0)
    torch.testing.assert_close(model[0].weight.detach(), expected_weight)
    assert (model[0].weight == 0).any()
    bound = Penalties([("*.weight", L2(0.1))]).bind(model.named_parameters())
    loss = (model(torch.ones(1, 6)) ** 2).sum() + bound()
    with torch.no_grad():
        model[2].weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_parameter_that_was_moved_after_it_was_bound():
    # `module.cuda()` changes where its parameters are; without such a device, a stand-in does.
    bound = Penalties([("*", L2(1.0))]).bind({"a": torch.nn.Parameter(torch.ones(3))})
    (group,) = bound._shares.groups
    group.arrays[0] = torch.nn.Parameter(torch.ones(3, device="meta"))
    for call in (bound, bound.breakdown):
        with pytest.raises(ValueError, match="on meta: bind penalties after"):
            call()


class Wrapped(torch.Tensor):
    """A tensor that is none of its own."""


def test_mistakes_name_the_parameter_and_nothing_is_written():
    model = make_model()
    penalties = Penalties(RULES)
    wrong = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    wrong["2.weight"] = torch.zeros(2, 2)
    with pytest.raises(ValueError, match=r"2\.weight.*shape"):
        penalties.accumulate_grad(model.named_parameters(), wrong)
    assert not any(grad.any() for grad in wrong.values())
    for elsewhere in (torch.zeros(3, 8, device="meta"), Wrapped(torch.zeros(3, 8))):
        with pytest.raises(ValueError, match=rf"2\.weight.*{type(elsewhere).__name__}"):
            penalties.accumulate_grad(model.named_parameters(), wrong | {"2.weight": elsewhere})
    assert not any(grad.any() for grad in wrong.values())
    with pytest.raises(ValueError, match="no gradient"):
        penalties.accumulate_grad(model.named_parameters(), {})
    with pytest.raises(ValueError, match="give `grads`"):
        penalties.accumulate_grad(
            {"2.weight": np.ones(3), "1.a": np.eye(2), "0.a": np.eye(2), "a.bias": 0}
        )


class Square(Regularizer):
    def __call__(self, x):
        return (x * x).sum()


def test_gradients_of_custom_ones_that_cannot_be_added_to_are_errors_first():
    with torch.inference_mode():
        inference = torch.zeros(3)
    params = {"a": torch.ones(3), "b": torch.ones(3)}
    for wrong, message in (
        (torch.zeros(1).expand(3), "memory of its own"),
        (torch._efficientzerotensor(3), "memory of its own"),
        (torch.zeros(3, device="meta"), "meta"),
        (torch.zeros(3, dtype=torch.int64), "int64"),
        (inference, "inference_mode"),
        (np.zeros(3), "ndarray"),
    ):
        grads = {"a": torch.zeros(3), "b": wrong}
        with pytest.raises((TypeError, ValueError), match=f"b: .*{message}|for b.*{message}"):
            Penalties([("*", Square())]).accumulate_grad(params, grads)
        assert not grads["a"].any()


class Returning(Square):
    """Returns what it was made with."""

    def __init__(self, returned):
        self.returned = returned

    def value_and_grad(self, x, scale=1.0):
        return self.returned


def early(make, *terms):
    """Returns a tensor of a kind that torch says is a prototype, or going to be removed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*terms)


def quantized(count):
    return early(torch.quantize_per_tensor, torch.zeros(count), 1.0, 0, torch.qint8)


RETURNED = {
    "no penalty": (None, torch.ones(3)),
    "two penalties": (torch.ones(2), torch.ones(3)),
    "a complex penalty": (torch.tensor(1j), torch.ones(3)),
    "no gradient": (1.0, None),
    "a number": (1.0, torch.tensor(1.0)),
    "another shape": (1.0, torch.ones(1, 3)),
    "complex": (1.0, torch.ones(3, dtype=torch.complex64)),
    "an array": (1.0, np.ones(3)),
    "another device": (1.0, torch.ones(3, device="meta")),
    "no pair": torch.ones(3),
    "a sparse penalty": (torch.zeros(1).to_sparse(), torch.ones(3)),
    "a penalty elsewhere": (torch.zeros((), device="meta"), torch.ones(3)),
    "a quantized penalty": (quantized(1), torch.ones(3)),
    "a penalty of eight bits": (torch.zeros(()).to(torch.float8_e4m3fn), torch.ones(3)),
    "a nested penalty": (early(torch.nested.nested_tensor, [torch.ones(1)]), torch.ones(3)),
    "quantized": (1.0, quantized(3)),
    "eight bits": (1.0, torch.ones(3).to(torch.float8_e4m3fn)),
    "opaque bits": (1.0, torch.ones(3, dtype=torch.uint8).view(torch.bits8)),
    "nested": (1.0, early(torch.nested.nested_tensor, [torch.ones(3)])),
}
if torch.backends.mkldnn.is_available():
    RETURNED["of another layout"] = (1.0, torch.ones(3).to_mkldnn())


@pytest.mark.parametrize("name", RETURNED)
def test_what_a_custom_one_returns_is_looked_at_before_one_is_written(name):
    params, grads = ({key: fill(3) for key in "abc"} for fill in (torch.ones, torch.zeros))
    penalties = Penalties([("b", Returning(RETURNED[name])), ("c", L2(1.0)), ("*", Square())])
    with pytest.raises((TypeError, ValueError), match=r"^b: (Returning|expected)") as raised:
        penalties.accumulate_grad(params, grads)
    assert not any(grad.any() for grad in grads.values())
    assert not hasattr(raised.value, "__notes__")


PENALTIES = {
    "a tensor of one": torch.ones(1, 1),
    "an integer": torch.tensor(1),
    "with a graph": torch.ones((), requires_grad=True) * 1,
    "NumPy's": np.ones((1, 1), np.float32),
}
GRADIENTS = {
    "with a graph": torch.ones(2, 3, requires_grad=True) * 1,
    "float64": torch.ones(2, 3, dtype=torch.float64),
    "integers": torch.ones(2, 3, dtype=torch.int64),
    "bools": torch.ones(2, 3, dtype=torch.bool),
    "sparse": torch.ones(2, 3).to_sparse(),
    "compressed": early(torch.ones(2, 3).to_sparse_csr),
    "in blocks": early(torch.ones(2, 3).to_sparse_bsr, (1, 3)),
}


FILLS = torch.ones, torch.zeros


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("value", "slope"),
    [
        *((value, "integers") for value in PENALTIES),
        *(("an integer", slope) for slope in GRADIENTS),
    ],
)
def test_what_a_custom_one_may_return(value, slope, dtype):
    params, grads = ({key: fill(2, 3, dtype=dtype) for key in "ab"} for fill in FILLS)
    own = Returning((PENALTIES[value], GRADIENTS[slope]))
    total = Penalties([("a", own), ("b", L2(1.0))]).accumulate_grad(params, grads)
    assert total.shape == ()
    assert total == 7
    assert (grads["a"] == 1).all()
    assert not grads["a"].requires_grad


def test_a_custom_one_may_return_the_same_tensors_again():
    check_filled({"a": torch.ones(3), "b": torch.full((3,), 5.0)})


def test_a_custom_one_may_return_what_overlaps_a_gradient():
    memory = torch.zeros(8)
    params, grads = {"a": torch.ones(3), "b": torch.ones(3)}, {"a": memory[:3], "b": memory[3:6]}
    Penalties([("a", L2(1.0)), ("b", Returning((1.0, memory[2:5])))]).accumulate_grad(params, grads)
    assert memory.tolist() == [2, 2, 2, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("regularizer", [L2(1.0), Square()])
def test_what_was_made_in_inference_mode_is_written_there_alone(regularizer):
    with torch.inference_mode():
        locked = {"b": torch.ones(3)}
    penalties = Penalties([("*", regularizer)])
    plain = {name: torch.ones(3) for name in "ab"}
    with pytest.raises(ValueError, match=r"^b: .*inference_mode"):
        penalties.accumulate_grad(plain, plain | locked | {"a": torch.zeros(3)})
    if isinstance(regularizer, L2):
        with pytest.raises(ValueError, match=r"^b: .*inference_mode"):
            penalties.prox(plain | locked, 0.5)
        for call in (lambda x: L2().prox(x, 0.5), lambda x: L2().accumulate_grad(plain["a"], x)):
            with pytest.raises(ValueError, match="inference_mode"):
                call(locked["b"])
    assert all((x == 1).all() for x in (*plain.values(), *locked.values()))
    with torch.inference_mode():
        penalties.accumulate_grad(plain, plain | locked | {"a": torch.zeros(3)})
    assert (locked["b"] == 3).all()


def test_your_own_regularizers_are_differentiated_in_inference_mode_too():
    x = torch.arange(3.0, requires_grad=True)
    with torch.inference_mode():
        made_there = torch.arange(3.0)
        for each in (x, made_there):
            assert torch.equal(Square().value_and_grad(each)[1], 2 * each)
    assert torch.equal(Square().value_and_grad(made_there)[1], 2 * made_there)


@pytest.mark.parametrize("call", ["accumulate_grad", "prox"])
def test_what_a_batch_writes_tells_autograd(call):
    weight, factor = torch.ones(4), torch.ones(4, requires_grad=True)
    loss = (weight * factor).sum()
    penalties = Penalties([("*", L2(1.0))])
    if call == "accumulate_grad":
        penalties.accumulate_grad({"w": torch.ones(4)}, {"w": weight})
    else:
        penalties.prox({"w": weight}, 0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_negated_tensor_in_a_batch():
    def negated():
        return torch.complex(torch.ones(3), torch.full((3,), 2.0)).conj().imag

    penalties, params = Penalties([("*", L1(1.0))]), {"a": negated(), "b": torch.ones(3)}
    assert penalties(params) == 9
    grads = {name: torch.zeros(3) for name in params}
    penalties.accumulate_grad(params, grads)
    assert [grad.tolist() for grad in grads.values()] == [[-1] * 3, [1] * 3]
    with pytest.raises(ValueError, match=r"b.*negative bit"):
        penalties.accumulate_grad(params, grads | {"b": negated()})


def test_the_same_memory_read_as_another_dtype_is_another_parameter():
    halves = torch.full((4,), 2.0, dtype=torch.float16)
    params = {"half": halves, "brain": halves.view(torch.bfloat16)}
    breakdown = Penalties([("*", L1(1.0))]).breakdown(params)
    assert all(value > 0 for value in breakdown.values())


def test_the_gradient_that_a_tensor_retains_is_its_own():
    weight = torch.ones(3, requires_grad=True)
    doubled = weight * 2
    doubled.retain_grad()
    Penalties([("*", L2(1.0))]).accumulate_grad({"w": doubled})
    assert doubled.grad.tolist() == [4, 4, 4]


@pytest.mark.parametrize("order", [1, -1])
def test_a_total_is_float64_if_one_of_its_parameters_is(order):
    params = [("a", torch.full((3,), 0.1)), ("b", torch.full((3,), 0.1, dtype=torch.float64))]
    params = dict(params[::order])
    total = Penalties([("*", L1(1.0))])(params)
    assert total.dtype == torch.float64
    assert total.item() == pytest.approx(3 * float(np.float32(0.1)) + 0.3, rel=1e-14)
    grads = {name: torch.zeros_like(x) for name, x in params.items()}
    assert Penalties([("*", L1(1.0))]).accumulate_grad(params, grads).dtype == torch.float64
    assert Penalties([("*", L1(1.0))]).value_and_grad(params)[0].dtype == torch.float64


def test_what_is_no_longer_tied_counts_for_itself():
    model = torch.nn.Module()
    model.a, model.b = torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)
    torch.nn.init.ones_(model.a.weight)
    model.b.weight.data = model.a.weight.data
    bound = Penalties([("*", L2(1.0))]).bind(model)
    assert bound() == 9
    model.to(torch.float64)  # which gives each a memory of its own
    assert bound() == 18
    bound.accumulate_grad()
    assert (model.b.weight.grad == 2).all()


def test_autograd_is_told_of_what_an_interrupted_call_may_have_written(monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    weight = torch.nn.Parameter(torch.ones(3))
    kept = (weight * weight).sum()
    monkeypatch.setattr(_core, "batch_prox", stopped)
    with pytest.raises(KeyboardInterrupt):
        Penalties([("w", L1(0.1))]).prox({"w": weight}, 0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.backward()
