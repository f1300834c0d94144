"""torch tensors: the compiled kernels where they are plain memory on the CPU, else torch's own."""

from taut.arrays.torch.library import TORCH, Torch

__all__ = ["TORCH", "Torch"]
