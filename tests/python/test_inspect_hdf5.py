"""`taut inspect` and HDF5: what else such files hold than weights, and how they hold those."""

import io
import json
import zipfile

import numpy as np
import pytest
from frameworks import require
from taut.command.main import main
from taut.inspect.inspection import inspect
from taut.inspect.stored import UnreadableError


def test_hdf5_that_points_elsewhere_is_not_followed(tmp_path):
    h5py = require("h5py")
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(400))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones(100, np.float32)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "x")
        file["soft"] = h5py.SoftLink("/weight")
        file["weight"] = np.ones(3, np.float32)
        file["group/same"] = file["weight"]
        file["nothing"] = h5py.Empty("f4")
        file.create_dataset("external", (100,), "f4", external=[(str(secret), 0, 400)])
        layout = h5py.VirtualLayout((100,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", (100,))
        file.create_virtual_dataset("virtual", layout)
    by_name = {tensor.name: tensor for tensor in inspect(path).tensors}
    assert by_name.keys() & {"link", "soft"} == set()
    assert ("weight" in by_name) != ("group/same" in by_name)  # an object counts once
    for name in ("external", "virtual"):
        assert "another file" in by_name[name].unread
    assert by_name["nothing"].unread == "no elements"
    with h5py.File(path, "w") as file:
        file.create_dataset("bomb", (10**12,), "f4", chunks=(10**6,))
    with pytest.raises(UnreadableError, match="'bomb' claims 4,000,000,000,000 bytes and takes 0"):
        inspect(path)
    with h5py.File(path, "w") as file:
        options = {"maxshape": (None,), "chunks": (2**27,), "compression": "gzip"}
        bomb = file.create_dataset("bomb", (3,), "f4", **options)
        bomb.id.write_direct_chunk((0,), b"which would be 512 MiB")
    with pytest.raises(UnreadableError, match="'bomb' claims 536,870,912 bytes and takes 22 in"):
        inspect(path)


def test_hdf5_elements_of_other_kinds_are_listed_and_not_read(tmp_path, monkeypatch):
    # A sequence is 16 bytes of its dataset, and a million of them may be one large thing.
    h5py = require("h5py")
    sequences = h5py.vlen_dtype(np.float64)
    kinds = {
        "sequences": sequences,
        "text": h5py.string_dtype(),
        "references": h5py.ref_dtype,
        "regions": h5py.regionref_dtype,
        "records": np.dtype([("x", sequences), ("y", "f4")]),
        "arrays": np.dtype((sequences, (2,))),
        "bytes": np.dtype("S5"),
        "complex": np.dtype(complex),
    }
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["weight"] = np.ones((2, 3), np.float32)
        file["boolean"] = np.ones(3, bool)
        file.create_dataset("pairs", (4,), np.dtype(("f4", (2,))))
        for name, dtype in kinds.items():
            file.create_dataset(name, (3,), dtype)
    read = []
    get = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset,
        "__getitem__",
        lambda self, *args: read.append(self.name.strip("/")) or get(self, *args),
    )
    (tmp_path / "a.h5").write_bytes(content.getvalue())
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("model.weights.h5", content.getvalue())
    for name in ("a.h5", "a.keras"):
        read.clear()
        by_name = {tensor.name: tensor for tensor in inspect(tmp_path / name).tensors}
        assert sorted(read) == ["boolean", "pairs", "weight"]
        assert by_name["weight"].elements.count == 6
        assert by_name["pairs"].shape == (4, 2)
        for kind in kinds:
            assert "no real numbers" in by_name[kind].unread


def test_hdf5_scalars_of_every_kind_leave_the_others(tmp_path):
    h5py = require("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["weight"] = np.ones((3, 3))
        file["number"] = 2.0
        file["text"] = "adam"
        file["bytes"] = np.bytes_(b"adam")
        file["opaque"] = np.void(b"abc")
        file["reference"] = file["weight"].ref
        file["record"] = np.zeros((), [("x", "f4")])
        file.create_dataset("sequence", (), h5py.vlen_dtype(np.float32))
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5d.create(file.id, b"time", h5py.h5t.UNIX_D32LE, space)
    by_name = {tensor.name: tensor for tensor in inspect(path).tensors}
    assert by_name.pop("weight").elements.l1 == 9
    assert by_name.pop("number").elements.l1 == 2
    assert "not known" in by_name.pop("time").unread
    assert len(by_name) == 6
    for tensor in by_name.values():
        assert "no real numbers" in tensor.unread


def test_hdf5_names_that_are_not_utf8(tmp_path, capsys):
    path = tmp_path / "a.h5"
    with require("h5py").File(path, "w") as file:
        file["group/badZ"] = np.ones((3, 3), np.float32)
    path.write_bytes(path.read_bytes().replace(b"badZ", b"bad\xff"))
    for module in ("rich", "matplotlib"):
        require(module)
    page = tmp_path / "page.html"
    assert main(["inspect", str(path), "--html", str(page)]) == 0
    assert r"group/bad\udcff" in capsys.readouterr().out
    assert r"group/bad\udcff" in page.read_text(encoding="utf-8")
    assert main(["inspect", str(path), "--json"]) == 0
    (tensor,) = json.loads(capsys.readouterr().out)["files"][0]["tensors"]
    assert tensor["name"].encode(errors="surrogateescape") == b"group/bad\xff"


def test_hdf5_attributes_that_are_not_keras_mark(tmp_path):
    h5py = require("h5py")
    path = tmp_path / "a.h5"
    texts = np.array([b"bfloat16", b"x"])
    for mark in (texts, texts[:1], 3, np.zeros(3), h5py.Empty("S8"), h5py.Empty("f4"), "float16"):
        with h5py.File(path, "w") as file:
            file["weight"] = np.ones(3, np.uint16)
            file["weight"].attrs["dtype"] = mark
        (tensor,) = inspect(path).tensors
        assert tensor.dtype == "uint16"
        assert tensor.elements.l1 == 3
    with h5py.File(path, "w") as file:
        file["pairs"] = np.zeros(3, [("x", "u1"), ("y", "u1")])
        file["halves"] = np.ones(3, np.float16)
        for name in file:
            file[name].attrs["dtype"] = "bfloat16"
    halves, pairs = inspect(path).tensors
    assert (halves.dtype, halves.elements.l1) == ("float16", 3)
    assert "no real numbers" in pairs.unread


@pytest.mark.parametrize("dtype", ["V2", "<u2", ">u2", "<i2", ">i2"])
@pytest.mark.parametrize("shape", [(), (2, 2)])
def test_bfloat16_of_hdf5_in_either_byte_order(tmp_path, dtype, shape):
    ml_dtypes = require("ml_dtypes")
    bits = np.full(shape, -1.5, ml_dtypes.bfloat16).view("u2")
    with require("h5py").File(tmp_path / "a.h5", "w") as file:
        file["x"] = bits.view(dtype) if dtype == "V2" else bits.astype(dtype)
        file["x"].attrs["dtype"] = "bfloat16"
    (tensor,) = inspect(tmp_path / "a.h5").tensors
    assert tensor.dtype == "bfloat16"
    assert tensor.elements.l1 == 1.5 * tensor.elements.count
