"""Penalties towards a reference on torch: modules, graphs, compilers, transforms."""

import copy

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, random_array
from frameworks import require
from taut import Penalties
from taut.regularizers import L1, L1L2, L2, OrthogonalRegularizer
from tensors import TENSOR_LAYOUTS, to_array, to_tensor
from towards import Towards

torch = require("torch")

RULES = [("*bias", L1(0.3)), ("*", L1L2(0.2, 0.7))]


def make_module():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2)
    )


def make_penalties(module, **options):
    """Returns penalties towards weights that are near the module's, with random importance."""
    torch.manual_seed(1)
    reference = {name: x.detach() + torch.randn_like(x) for name, x in module.named_parameters()}
    importance = {name: torch.rand_like(x) for name, x in module.named_parameters()}
    return Penalties(RULES, reference=reference, importance=importance, **options)


def plain_total(penalties, named):
    """Returns the same in torch's own operations, in float64."""
    total = 0
    for name, x in named:
        l1, l2 = (0.3, 0.0) if name.endswith("bias") else (0.2, 0.7)
        difference = x.double() - penalties.reference[name].double()
        penalty = l1 * difference.abs() + l2 * difference**2
        total = total + (penalties.importance[name].double() * penalty).sum()
    return total


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_layout_in_the_graph_and_in_place(dtype):
    for layout in TENSOR_LAYOUTS:
        x, reference = (LAYOUTS[layout](random_array((6, 5), dtype, seed)) for seed in (1, 2))
        importance = np.abs(random_array((6, 5), "float32", 3))
        problem = Towards(x, reference, importance, 0.3, 0.7)
        penalties = Penalties(
            [("w", L1L2(0.3, 0.7))],
            reference={"w": to_tensor(reference)},
            importance={"w": to_tensor(importance)},
        )
        weight = to_tensor(x).clone().requires_grad_()
        total = penalties({"w": weight})
        (total * 0.5).backward()
        problem.check(total.detach(), to_array(weight.grad), scale=0.5)
        weight.grad.zero_()
        assert penalties.accumulate_grad({"w": weight}, scale=0.5).item() == total.item()
        problem.check(total.detach(), to_array(weight.grad), scale=0.5)
        stepped = weight.detach().clone()
        penalties.prox({"w": stepped}, 0.4)
        problem.check_step(to_array(stepped), 0.4)
        assert torch.equal(penalties.proximal({"w": weight.detach()}, 0.4)["w"], stepped)


def test_a_module_and_copies_of_it():
    module = make_module()
    penalties = make_penalties(module)
    total = penalties(module)
    total.backward()
    grads = [x.grad.clone() for x in module.parameters()]
    module.zero_grad()
    expected = plain_total(penalties, module.named_parameters())
    expected.backward()
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    for grad, x in zip(grads, module.parameters(), strict=True):
        torch.testing.assert_close(grad, x.grad)

    # A module's own state has buffers, too; a copied module is a reference as it is.
    for reference in (
        {name: x.clone() for name, x in module.state_dict().items()},
        copy.deepcopy(module),
        {name: x.detach().clone() for name, x in module.named_parameters()},
        list(copy.deepcopy(module).named_parameters()),
    ):
        towards = Penalties(RULES, reference=reference)
        assert towards(module).item() == 0
        assert towards.bind(module)().item() == 0


def test_references_get_no_gradient():
    module, reference = make_module(), make_module()
    with torch.no_grad():
        for x in reference.parameters():
            x += 1
    penalties = Penalties(RULES, reference=reference)
    penalties(module).backward()
    assert all(x.grad is None for x in reference.parameters())
    assert all(x.requires_grad for x in reference.parameters())
    assert all(x.grad is not None for x in module.parameters())


def test_bound_to_a_module_that_is_exchanged_and_frozen():
    module = make_module()
    penalties = make_penalties(module)
    bound = penalties.bind(module)
    before = bound().item()
    module.load_state_dict({k: v.clone() + 1 for k, v in module.state_dict().items()}, assign=True)
    assert bound().item() == penalties(module).item() != before
    module[0].weight.requires_grad_(False)
    without = bound.breakdown()["0.weight"]
    assert without.item() == 0
    module[0].weight.requires_grad_(True)
    with torch.no_grad():
        penalties.reference["0.weight"].copy_(module[0].weight)
    assert bound.breakdown()["0.weight"].item() == 0


def test_a_reference_that_changes_between_forward_and_backward_is_told():
    module = make_module()
    penalties = make_penalties(module)
    total = penalties(module)
    penalties.reference["0.weight"].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_second_derivatives():
    x, reference = (torch.randn(4, 3, dtype=torch.float64) for _ in range(2))
    importance = torch.rand(4, 3, dtype=torch.float64)
    penalties = Penalties(
        [("w", L1L2(0.3, 0.7))], reference={"w": reference}, importance={"w": importance}
    )
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: penalties({"w": x}), x)
    assert torch.autograd.gradgradcheck(lambda x: penalties({"w": x}), x)
    (slope,) = torch.autograd.grad(penalties({"w": x}), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x)
    torch.testing.assert_close(second, 2 * 0.7 * importance)


def test_transforms():
    x = torch.randn(5, 4, 3)
    reference, importance = torch.randn(4, 3), torch.rand(4, 3)
    penalties = Penalties(
        [("w", L1L2(0.3, 0.7))], reference={"w": reference}, importance={"w": importance}
    )
    each = torch.stack([penalties({"w": weight}) for weight in x])
    torch.testing.assert_close(torch.vmap(lambda weight: penalties({"w": weight}))(x), each)
    grads = torch.func.vmap(torch.func.grad(lambda weight: penalties({"w": weight})))(x)
    for weight, grad in zip(x, grads, strict=True):
        torch.testing.assert_close(grad, penalties.value_and_grad({"w": weight})[1]["w"])
    # Every weight may have a reference of its own.
    pairs = torch.vmap(
        lambda weight, own: Penalties([("w", L2())], reference={"w": own})({"w": weight})
    )
    assert not pairs(x, x).any()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own compiler
def test_compiled():
    torch.compiler.reset()
    module = make_module()
    penalties = make_penalties(module)

    def results(total):
        module.zero_grad()
        value = total()
        value.backward()
        return [value.detach(), *(x.grad.clone() for x in module.parameters())]

    bound = penalties.bind(module)
    compiled = torch.compile(bound.__call__, fullgraph=True)
    torch.testing.assert_close(results(compiled), results(bound))
    with torch.no_grad():
        penalties.reference["0.weight"].add_(1)
    torch.testing.assert_close(results(compiled), results(bound))
    stepped = torch.compile(lambda: bound.proximal(0.4), fullgraph=True)()
    torch.testing.assert_close(stepped, bound.proximal(0.4))


def test_live_factors():
    factor = torch.tensor(0.7, requires_grad=True)
    x, y, reference = torch.randn(3, 4), torch.randn(5), torch.randn(3, 4)
    penalties = Penalties(
        [("a", L2(factor)), ("b", L1(0.3))],
        reference={"a": reference, "b": None},
        importance={"a": None, "b": torch.ones(5)},
    )
    x.requires_grad_()
    total = penalties({"a": x, "b": y})
    total.backward()
    torch.testing.assert_close(factor.grad, ((x - reference) ** 2).sum().detach())
    torch.testing.assert_close(x.grad, (2 * 0.7 * (x - reference)).detach())
    assert total.item() == pytest.approx(
        (0.7 * ((x - reference) ** 2).sum() + 0.3 * y.abs().sum()).item(), rel=1e-6
    )


def test_numpy_references_are_the_very_memory():
    x = torch.ones(2, 3, requires_grad=True)
    numbers = np.zeros((2, 6), np.float32)
    reference = numbers[:, ::2]
    reference.flags.writeable = False
    bound = Penalties([("w", L2(1.0))], reference={"w": reference}).bind({"w": x})
    assert bound().item() == 6
    numbers += 1
    assert bound().item() == 0

    half = x.detach().bfloat16()
    brain = to_array(torch.zeros(2, 3, dtype=torch.bfloat16))
    assert Penalties([("w", L2(1.0))], reference={"w": brain})({"w": half}).item() == 6
    with pytest.raises(ValueError, match=r"^w: .*goes backwards.*, as the reference"):
        Penalties([("w", L2(1.0))], reference={"w": numbers[::-1, ::2]})({"w": x})


def test_tensors_of_inference_mode_are_refused_where_autograd_would():
    x = torch.ones(3, requires_grad=True)
    with torch.inference_mode():
        reference = torch.zeros(3)
        penalties = Penalties([("w", L2(1.0))], reference={"w": reference})
        assert penalties({"w": x}).item() == 3
    with pytest.raises(ValueError, match=r"^w: .*inference_mode.*: clone it, as the reference"):
        penalties({"w": x})


def test_a_proximal_step_is_differentiable():
    # Two elements are within a step of the reference, and none is where it bends.
    reference = torch.linspace(2, -3, 20, dtype=torch.float64)
    x = (reference + torch.linspace(-1, 1, 20, dtype=torch.float64)).requires_grad_()
    importance = torch.linspace(0.5, 1, 20, dtype=torch.float64)
    penalties = Penalties(
        [("w", L1L2(0.3, 0.7))], reference={"w": reference}, importance={"w": importance}
    )
    assert torch.autograd.gradcheck(lambda x: penalties.proximal({"w": x}, 0.4)["w"], x)
    with torch.no_grad():
        stepped = penalties.proximal({"w": x}, 0.4)["w"]
    torch.testing.assert_close(stepped, penalties.proximal({"w": x}, 0.4)["w"].detach())
    assert (stepped == reference).any()  # exactly


def test_other_devices():
    x, reference = torch.ones(3, device="meta"), torch.ones(3, device="meta")
    penalties = Penalties([("w", L2())], reference={"w": reference}, importance={"w": reference})
    assert penalties({"w": x}).device.type == "meta"
    assert penalties.proximal({"w": x}, 0.1)["w"].device.type == "meta"
    with pytest.raises(TypeError, match="prox towards a reference needs arrays in the CPU"):
        penalties.prox({"w": x}, 0.1)
    with pytest.raises(ValueError, match=r"^w: expected a tensor where the parameter is, on meta"):
        Penalties([("w", L2())], reference={"w": torch.ones(3)})({"w": x})


def test_a_parameter_that_another_penalty_takes():
    module = make_module()
    copies = {name: x.detach().clone() for name, x in module.named_parameters()}
    rules = [("0.weight", OrthogonalRegularizer()), *RULES]
    with pytest.raises(ValueError, match=r"^0.weight: .* takes no reference"):
        Penalties(rules, reference=copies)(module)
    assert Penalties(rules, reference=copies | {"0.weight": None})(module).item() > 0
