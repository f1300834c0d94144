"""Checkpoints of every format that `taut inspect` reads, with the same tensors in them."""

import numpy as np
from frameworks import require


def tensors():
    """Returns arrays by name: one with every finding, and a bias."""
    generator = np.random.default_rng(5)
    return {
        "weight": generator.standard_normal((24, 40)).astype(np.float32),
        "bias": np.linspace(-1, 1, 24, dtype=np.float32),
    }


def write_npy(path, arrays):
    np.save(path, arrays["weight"])


def write_npz(path, arrays):
    np.savez(path, **arrays)


def write_npz_compressed(path, arrays):
    np.savez_compressed(path, **arrays)


def write_safetensors(path, arrays):
    require("safetensors")
    from safetensors.numpy import save_file

    save_file(arrays, path)


def write_hdf5(path, arrays):
    with require("h5py").File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def write_keras(path, arrays):
    """Writes what Keras's own `save` does, without a Keras."""
    import io
    import zipfile

    buffer = io.BytesIO()
    write_hdf5(buffer, {f"layers/dense/vars/{name}": array for name, array in arrays.items()})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", '{"class_name": "what is not looked at"}')
        archive.writestr("model.weights.h5", buffer.getvalue())


def write_torch(path, arrays):
    torch = require("torch")
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)


def write_torch_legacy(path, arrays):
    torch = require("torch")
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    torch.save(state, path, _use_new_zipfile_serialization=False)


# By the name that the format's reader has, the suffix, and what writes it.
FORMATS = {
    "npy": ("npy", ".npy", write_npy),
    "npz": ("npz", ".npz", write_npz),
    "npz, compressed": ("npz", ".npz", write_npz_compressed),
    "safetensors": ("safetensors", ".safetensors", write_safetensors),
    "HDF5": ("HDF5", ".weights.h5", write_hdf5),
    "Keras": ("Keras", ".keras", write_keras),
    "torch": ("torch", ".pt", write_torch),
    "torch, legacy": ("torch", ".bin", write_torch_legacy),
}


def write(kind, directory, arrays=None):
    """Writes a checkpoint, and returns its path."""
    _, suffix, writer = FORMATS[kind]
    path = directory / f"checkpoint{suffix}"
    writer(path, tensors() if arrays is None else arrays)
    return path
