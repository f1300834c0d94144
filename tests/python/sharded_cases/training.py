"""Training steps of torch's own engines with penalties, against one process."""

import pytest
import taut
import torch
import torch.distributed.checkpoint as dcp
from taut.regularizers import L1L2, L2, GroupLasso, OrthogonalRegularizer
from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.utils.checkpoint import checkpoint
from world import SIZE, counted_messages, mesh_of, same_on_all_ranks, whole

RULES = [
    ("up.weight", OrthogonalRegularizer(0.3)),
    ("down.weight", GroupLasso(0.1, "columns")),
    ("embedding.weight", L1L2(1e-2, 1e-3)),  # which is the head's as well
    ("*", L2(0.1)),
]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.up = nn.Linear(8, 12)
        self.down = nn.Linear(12, 8, bias=False)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.up.bias.requires_grad_(False)
        self.recomputes = self.is_mixed = False

    def forward(self, tokens):
        x = self.embedding(tokens)
        hidden = checkpoint(self.up, x, use_reentrant=False) if self.recomputes else self.up(x)
        return self.head(self.norm(x + self.down(torch.relu(hidden))))


def make_model():
    torch.manual_seed(0)
    return Network()


def fsdp(model, mesh=None, **policy):
    mesh = mesh or mesh_of()
    for part in (model.up, model.down):
        fully_shard(part, mesh=mesh, **policy)
    fully_shard(model, mesh=mesh, **policy)
    return model


def tensor_parallel(model, mesh=None):
    ways = {"up": ColwiseParallel(), "down": RowwiseParallel()}
    return parallelize_module(model, mesh or mesh_of(), ways)


def mixed(model):
    model.is_mixed = True
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    return fsdp(model, mp_policy=policy)


def recomputed(model):
    model.recomputes = True
    return fsdp(model)


ENGINES = {
    "fsdp": fsdp,
    "tensor parallel": tensor_parallel,
    "mixed precision": mixed,
    "recomputed": recomputed,
}
if SIZE == 4:
    ENGINES |= {
        "hybrid": lambda model: fsdp(model, mesh_of(2, 2)),
        "both": lambda model: fsdp(
            tensor_parallel(model, mesh_of(2, 2)["tp"]), mesh_of(2, 2)["dp"]
        ),
    }


@pytest.fixture(params=ENGINES)
def model(request):
    return ENGINES[request.param](make_model())


def loss_of(model, seed=0):
    """Returns the loss of a batch that all ranks have, so that an average over them is its own."""
    tokens = torch.randint(11, (4, 6), generator=torch.Generator().manual_seed(seed))
    return nn.functional.cross_entropy(model(tokens).float().flatten(0, 1), tokens.flatten())


def wholes(model, of=lambda parameter: parameter):
    found = {name: of(parameter) for name, parameter in model.named_parameters()}
    return {name: whole(x).clone() for name, x in found.items() if x is not None}


def gradient(parameter):
    return parameter.grad


def assert_equal(given, expected):
    assert list(given) == list(expected)
    for name, x in given.items():
        assert torch.equal(x, expected[name]), name


def test_in_place(model):
    bound = taut.Penalties(RULES).bind(model)
    loss_of(model).backward()
    weights, grads = wholes(model), wholes(model, gradient)
    weights = {name: x for name, x in weights.items() if name in grads}  # what is not frozen
    expected = taut.Penalties(RULES).accumulate_grad(weights, grads, 0.7)
    value = bound.accumulate_grad(scale=0.7)
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-6)
    assert_equal(wholes(model, gradient), grads)
    for parameter in model.parameters():
        if parameter.requires_grad and isinstance(parameter, DTensor):
            assert parameter.grad.placements == parameter.placements


@pytest.mark.parametrize("bound_to", ["the model", "its parameters"])
def test_in_the_graph(model, bound_to):
    params = model if bound_to == "the model" else list(model.named_parameters())
    bound = taut.Penalties(RULES).bind(params)
    loss_of(model).backward()
    losses = wholes(model, gradient)
    weights = {name: x for name, x in wholes(model).items() if name in losses}
    model.zero_grad()
    loss = loss_of(model)
    total = bound()
    (loss + total).backward()
    expected, slopes = taut.Penalties(RULES).value_and_grad(weights)
    assert same_on_all_ranks(total) == pytest.approx(expected.item(), rel=1e-6)
    sums = {name: grad + slopes[name] for name, grad in losses.items()}
    for name, grad in wholes(model, gradient).items():
        if name == "embedding.weight":  # added up in another order: it has two uses
            torch.testing.assert_close(grad, sums[name])
        else:
            assert torch.equal(grad, sums[name]), name


def test_steps_are_those_of_one_process(model):
    one = make_model()
    for each in (model, one):
        bound = taut.Penalties(RULES).bind(each)
        optimizer = torch.optim.SGD(each.parameters(), 0.1)
        for step in range(3):
            loss_of(each, step).backward()
            bound.accumulate_grad(value=False)
            optimizer.step()
            optimizer.zero_grad()
    tolerance = 2e-2 if model.is_mixed else 1e-5
    expected = wholes(one)
    for name, x in wholes(model).items():
        torch.testing.assert_close(x, expected[name], rtol=tolerance, atol=tolerance)


def test_proximal_steps(model):
    rules = [("*.bias", None), ("down.weight", GroupLasso(0.5)), ("*", L1L2(0.2, 0.1))]
    expected = wholes(model)
    taut.Penalties(rules).prox(expected, 0.3)
    taut.Penalties(rules).bind(model).prox(0.3)
    assert_equal(wholes(model), expected)


def test_the_gathered_parameters_of_a_forward_pass_are_not_those_that_are_trained():
    model = mixed(make_model())
    kept = dict(model.named_parameters())
    loss = loss_of(model)
    shown = dict(model.named_parameters())
    assert not isinstance(shown["norm.weight"], DTensor)  # the root stays gathered for backward
    penalties = taut.Penalties(RULES)
    before = same_on_all_ranks(penalties(model))
    loss.backward()
    assert same_on_all_ranks(penalties(model)) == before
    assert dict(model.named_parameters()).keys() == kept.keys()


def test_clipping():
    model, one = fsdp(make_model()), make_model()
    norms = []
    for each in (model, one):
        loss_of(each).backward()
        taut.Penalties(RULES).bind(each).accumulate_grad()
        norms.append(whole(nn.utils.clip_grad_norm_(each.parameters(), 0.1)))
    torch.testing.assert_close(*norms)
    torch.testing.assert_close(wholes(model, gradient), wholes(one, gradient))


def test_a_checkpoint(tmp_path_factory, model):
    folder = [str(tmp_path_factory.mktemp("checkpoint"))]
    torch.distributed.broadcast_object_list(folder)
    bound = taut.Penalties(RULES).bind(model)
    before = same_on_all_ranks(bound())
    dcp.save({"model": get_model_state_dict(model)}, checkpoint_id=folder[0])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    assert same_on_all_ranks(bound()) != before
    state = get_model_state_dict(model)
    dcp.load({"model": state}, checkpoint_id=folder[0])
    set_model_state_dict(model, state)
    assert same_on_all_ranks(bound()) == before


def test_a_module_that_is_sharded_after_it_was_bound():
    model = make_model()
    bound = taut.Penalties(RULES).bind(model)
    before = bound().item()
    fsdp(model)
    assert same_on_all_ranks(bound()) == pytest.approx(before, rel=1e-6)


def test_what_a_step_sends():
    model = fsdp(make_model())
    bound = taut.Penalties([("*", L2(0.1))]).bind(model)
    loss_of(model).backward()
    with counted_messages() as sent:
        bound.accumulate_grad(value=False)
    assert sent == {}
    with counted_messages() as sent:
        bound.accumulate_grad()
    assert sent == {"all_reduce": 1}
