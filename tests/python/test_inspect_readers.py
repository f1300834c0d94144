"""`taut inspect` and files: every format, by what is in it; damaged, foreign and malicious ones."""

import io
import pickle
import struct
import sys
import zipfile

import checkpoints
import numpy as np
import pytest
from frameworks import require
from programs import run
from taut.inspect import readers
from taut.inspect.inspection import inspect
from taut.inspect.readers import open_checkpoint
from taut.inspect.stored import UnreadableError

KINDS = list(checkpoints.FORMATS)


def load(path):
    """Returns all of a file's arrays by the last part of their names, copied out of it."""
    with open_checkpoint(path) as (_, stored):
        for tensor in stored:
            array = tensor.load()
            assert array.shape == tensor.shape
            assert array.size == 0 or tensor.size % array.size == 0
        return {tensor.name.split("/")[-1]: np.array(tensor.load()) for tensor in stored}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_arrays_that_were_written(tmp_path, kind):
    path = checkpoints.write(kind, tmp_path)
    loaded, expected = load(path), checkpoints.tensors()
    if kind == "npy":
        loaded, expected = {"weight": loaded["checkpoint"]}, {"weight": expected["weight"]}
    assert loaded.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.parametrize("kind", KINDS)
def test_the_format_is_told_by_the_content(tmp_path, kind):
    path = checkpoints.write(kind, tmp_path).rename(tmp_path / "model.of.mine")
    assert inspect(path).format == checkpoints.FORMATS[kind][0]


@pytest.mark.parametrize("kind", KINDS)
def test_progress_ends_at_the_size_of_all_tensors(tmp_path, kind):
    notes = []
    inspection = inspect(
        checkpoints.write(kind, tmp_path), on_progress=lambda *note: notes.append(note)
    )
    total = sum(tensor.size for tensor in inspection.tensors)
    assert notes[0] == (0, total)
    assert notes[-1] == (total, total)
    assert len(notes) == len(inspection.tensors) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_one_clear_error(tmp_path, kind):
    whole = checkpoints.write(kind, tmp_path).read_bytes()
    path = tmp_path / f"cut{checkpoints.FORMATS[kind][1]}"
    for length in {0, 1, 7, 8, 9, 20, *range(0, len(whole), len(whole) // 40), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableError) as caught:
            inspect(path)
        words = str(caught.value)
        assert words
        assert "\n" not in words
        assert ("empty" in words) == (length == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_byte_is_noticed_or_without_effect_on_the_program(tmp_path, kind):
    whole = checkpoints.write(kind, tmp_path).read_bytes()
    path = tmp_path / f"damaged{checkpoints.FORMATS[kind][1]}"
    generator = np.random.default_rng(1)
    for place in [*range(0, 128, 3), *generator.integers(len(whole), size=150)]:
        damaged = bytearray(whole)
        damaged[place] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        try:
            inspect(path)
        except UnreadableError as error:
            assert "\n" not in str(error)  # noqa: PT017 (both ends are right)


@pytest.mark.parametrize("kind", ["npz", "npz, compressed", "Keras"])
def test_a_changed_element_of_an_archive_is_noticed(tmp_path, kind):
    path = checkpoints.write(kind, tmp_path)
    whole = path.read_bytes()
    # The middle is the weight's, which is most of the file.
    for place in range(len(whole) // 2 - 9, len(whole) // 2):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(UnreadableError, match="damaged"):
            inspect(path)


@pytest.mark.parametrize("suffix", ["", ".npz", ".npy", ".safetensors", ".keras", ".h5", ".pt"])
@pytest.mark.parametrize(
    "content",
    [b"#!/bin/sh\nexit 1\n", b"{}", b"\x00" * 1000, b"PK\x03\x04 but no zip", bytes(range(256))],
)
def test_a_foreign_file_is_one_clear_error(tmp_path, suffix, content):
    path = tmp_path / f"foreign{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"or damaged|known format|Python objects"):
        inspect(path)


def test_what_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(UnreadableError, match="directory"):
        inspect(tmp_path)
    with pytest.raises(UnreadableError, match="No such file"):
        inspect(tmp_path / "none.npz")


class Malicious:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_that_a_file_holds_is_run(tmp_path):
    target = tmp_path / "written"
    objects = np.array([Malicious(target)], dtype=object)
    np.savez(tmp_path / "a.npz", objects=objects, weight=np.ones(3))
    np.save(tmp_path / "a.npy", objects)
    by_name = {tensor.name: tensor for tensor in inspect(tmp_path / "a.npz").tensors}
    assert "Python objects" in by_name["objects"].unread
    assert by_name["weight"].elements.count == 3
    with pytest.raises(UnreadableError):
        inspect(tmp_path / "a.npy")
    assert not target.exists()


def test_nothing_that_a_pickle_holds_is_run(tmp_path):
    torch = require("torch")
    target = tmp_path / "written"
    torch.save({"weight": torch.ones(3), "more": Malicious(target)}, tmp_path / "a.pt")
    torch.save(Malicious(target), tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "c.pt").write_bytes(pickle.dumps(Malicious(target)))
    for name in "abc":
        with pytest.raises(UnreadableError, match=r"runs nothing .* save model\.state_dict"):
            inspect(tmp_path / f"{name}.pt")
    assert not target.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)["more"].close()
    assert target.exists()  # so it is a file that does it elsewhere


def header_of(shape, dtype="<f4"):
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_lie_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header_of((10**15,)) + b"1234")
    with pytest.raises(UnreadableError, match="'x' is not as long as its header says"):
        inspect(path)
    with zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("x.npy", header_of((1,)) + b"1234")
    with pytest.raises(UnreadableError, match=r"two tensors are named 'x\.npy'"):
        inspect(path)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("bomb.npy", "w") as member,
    ):
        member.write(header_of((75 * 2**20,)))
        for _ in range(300):
            member.write(bytes(2**20))
    with pytest.raises(UnreadableError, match=r"'bomb\.npy' claims 314,\d{3},\d{3} bytes"):
        inspect(path)
    path.rename(tmp_path / "a.keras")
    with pytest.raises(UnreadableError):
        inspect(tmp_path / "a.keras")


def test_dtypes_that_numpy_lacks(tmp_path):
    torch, ml_dtypes = require("torch"), require("ml_dtypes")
    require("safetensors")
    from safetensors.torch import save_file

    values = torch.tensor([[1.5, -2.0], [0.0, 0.25]])
    dtypes = ["bfloat16", "float16", "float64", "float8_e4m3fn", "float8_e5m2"]
    state = {dtype: values.to(getattr(torch, dtype)) for dtype in dtypes}
    torch.save(state, tmp_path / "a.pt")
    save_file(state, tmp_path / "a.safetensors")
    with require("h5py").File(tmp_path / "a.h5", "w") as file:  # as Keras writes them
        file["bfloat16"] = values.numpy().astype(ml_dtypes.bfloat16).view("V2")
        file["bfloat16"].attrs["dtype"] = "bfloat16"
    for name in ("a.pt", "a.safetensors", "a.h5"):
        tensors = inspect(tmp_path / name).tensors
        assert {tensor.dtype for tensor in tensors} == ({"bfloat16"} if "h5" in name else {*dtypes})
        for tensor in tensors:
            assert tensor.elements.l1 == 3.75
            assert tensor.elements.zero == 1
            assert tensor.size == 4 * getattr(torch, tensor.dtype).itemsize


@pytest.mark.parametrize("kind", ["npy", "npz", "HDF5"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "u4"])
def test_numbers_in_either_byte_order(tmp_path, kind, dtype):
    x = np.random.default_rng(0).integers(100, size=(6, 20))
    little, big = (
        inspect(checkpoints.write(kind, tmp_path, {"weight": x.astype(order + dtype)})).tensors[0]
        for order in "<>"
    )
    assert little.elements.l1 == x.sum()
    assert little.elements == big.elements
    assert little.vectors == big.vectors


def test_what_is_no_dense_tensor_of_real_numbers_is_said_so(tmp_path):
    torch = require("torch")
    state = {
        "sparse": torch.eye(3).to_sparse(),
        "complex": torch.ones(3, dtype=torch.complex64),
        "epoch": 3,
        "nested": {"list": [torch.ones(2), "text"]},
        "expanded": torch.ones(1).expand(64),
    }
    torch.save(state, tmp_path / "a.pt")
    by_name = {tensor.name: tensor for tensor in inspect(tmp_path / "a.pt").tensors}
    assert by_name.keys() == {"sparse", "complex", "nested.list.0", "expanded"}
    assert "dense" in by_name["sparse"].unread
    assert "complex64" in by_name["complex"].unread
    assert by_name["expanded"].elements.l1 == 64
    torch.save(torch.ones(1, 2**13).expand(2**14, 2**13), tmp_path / "a.pt")
    with pytest.raises(UnreadableError, match="'tensor' claims 536,870,912 bytes and takes 32,768"):
        inspect(tmp_path / "a.pt")
    np.savez(tmp_path / "a.npz", text=np.array(["a"]), pair=np.zeros(2, "f4,i4"))
    for tensor in inspect(tmp_path / "a.npz").tensors:
        assert "no real numbers" in tensor.unread


def test_one_odd_array_of_an_archive_leaves_the_others(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight.npy", header_of((2,)) + bytes(8))
        for name, dtype, size in (
            ("arrays", ("<f4", (3,)), 12),
            ("records", [("x", "<f4"), ("y", "<f4", (2,))], 12),
            ("complex", "<c8", 8),
            ("dates", "<M8[s]", 8),
            ("text", "<U2", 8),
            ("bytes", "|V2", 2),
        ):
            archive.writestr(f"{name}.npy", header_of((2,), dtype) + bytes(2 * size))
    weight, *others = inspect(path).tensors
    assert weight.elements.zero == 2
    assert len(others) == 6
    for tensor in others:
        assert "no real numbers" in tensor.unread


@pytest.mark.parametrize("kind", ["npz", "safetensors", "HDF5", "torch"])
def test_names_that_are_too_long_are_refused(tmp_path, kind):
    path = checkpoints.write(kind, tmp_path, {"x" * 4096: np.ones(3, np.float32)})
    assert len(inspect(path).tensors) == 1
    path = checkpoints.write(kind, tmp_path, {"x" * 4097: np.ones(3, np.float32)})
    with pytest.raises(UnreadableError, match=r"a name of more than 4,096 characters: 'x{40}'"):
        inspect(path)


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [
        ("safetensors", "safetensors", "inspect"),
        ("HDF5", "h5py", "inspect"),
        ("Keras", "h5py", "inspect"),
        ("torch", "torch", "torch"),
    ],
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, kind, module, extra):
    path = checkpoints.write(kind, tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnreadableError, match=rf'needs {module}: pip install "taut\[{extra}\]"'):
        inspect(path)


def test_a_safetensors_header_that_lies_is_refused(tmp_path):
    require("safetensors")
    path = tmp_path / "a.safetensors"
    for header in (
        b'{"x":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}}',
        b'{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
        b'{"x":' * 3000 + b"1" + b"}" * 3000,
    ):
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
        with pytest.raises(UnreadableError, match="damaged"):
            inspect(path)


def test_every_reader_says_what_it_is():
    names = [reader.NAME for reader in readers.READERS]
    assert len({*names}) == len(names)
    for reader in readers.READERS:
        assert all(suffix.startswith(".") for suffix in reader.SUFFIXES)
        assert bool(reader.MODULES) == bool(reader.EXTRA)


SAVE_WITH_KERAS = """
import os, sys
os.environ["KERAS_BACKEND"] = "numpy"
import keras, numpy as np
os.chdir(sys.argv[1])
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")])
model.save("a.keras")
model.save_weights("a.weights.h5")
np.save("kernel.npy", model.layers[0].kernel.numpy())
"""


def test_a_model_that_keras_has_saved(tmp_path):
    require("keras")
    run(sys.executable, "-c", SAVE_WITH_KERAS, tmp_path)
    kernel = np.load(tmp_path / "kernel.npy").astype(np.float64)
    for name in ("a.keras", "a.weights.h5"):
        matrices = [t for t in inspect(tmp_path / name).tensors if t.shape == (4, 3)]
        assert matrices[0].elements.l1 == pytest.approx(np.abs(kernel).sum(), rel=1e-12)
