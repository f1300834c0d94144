"""`taut inspect` and torch: tensors of every kind, and what they lie in."""

import json
import tracemalloc

import pytest
from frameworks import require
from taut.inspect import as_json
from taut.inspect.inspection import inspect
from taut.inspect.stored import UnreadableError


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch says which of them are new
def test_one_odd_tensor_of_torch_leaves_the_others(tmp_path):
    torch = require("torch")
    state = {
        "weight": torch.ones(2, 3),
        "complex32": torch.zeros(3, dtype=torch.complex32),
        "complex64": torch.zeros(3, dtype=torch.complex64).conj(),
        "negated": torch.ones(3, dtype=torch.complex64).conj().imag,
        "bits8": torch.zeros(3, dtype=torch.uint8).view(torch.bits8),
        "quantized": torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8),
        "csr": torch.eye(3).to_sparse_csr(),
        "meta": torch.zeros(10**12, device="meta"),
        "nested": torch.nested.nested_tensor([torch.ones(3), torch.ones(2)]),
        "jagged": torch.nested.nested_tensor([torch.ones(3)], layout=torch.jagged),
    }
    if hasattr(torch, "float4_e2m1fn_x2"):  # since torch 2.8
        state["float4"] = torch.zeros(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    for name, tensor in state.items():
        path = tmp_path / "a.pt"
        torch.save({"odd": tensor, "weight": state["weight"]}, path)
        inspection = inspect(path)
        odd, weight = inspection.tensors
        assert weight.elements.l1 == 6
        assert (odd.unread is None) == (name in {"weight", "negated"})
        assert json.loads(as_json.text([inspection], "file"))


def test_torch_containers_that_are_shared_are_entered_once(tmp_path):
    torch = require("torch")
    weight = torch.ones(2)
    tied = {"embedding": weight, "head": weight}
    state = {"model": tied, "again": tied, "tuple": (weight,)}
    state["itself"] = [state]
    torch.save(state, tmp_path / "a.pt")
    names = [tensor.name for tensor in inspect(tmp_path / "a.pt").tensors]
    assert names == ["model.embedding", "model.head", "tuple.0"]
    level = [torch.ones(2)]
    for depth in range(60):  # of 2**60 ways to the one tensor
        level = {"x": level, "y": level} if depth % 2 else [level, level]
    torch.save(level, tmp_path / "a.pt")
    (tensor,) = inspect(tmp_path / "a.pt").tensors
    assert tensor.elements.l1 == 2


def test_a_key_that_a_torch_file_has_once_and_names_often(tmp_path):
    torch = require("torch")
    key, state = "x" * 1000, [torch.ones(2)] * 50
    for _ in range(300):
        state = {key: state}
    torch.save(state, tmp_path / "a.pt")
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match="characters"):
            inspect(tmp_path / "a.pt")
        assert tracemalloc.get_traced_memory()[1] < 10e6  # 45 MB of beginnings
    finally:
        tracemalloc.stop()
