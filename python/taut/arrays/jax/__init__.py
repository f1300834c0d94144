"""JAX arrays: XLA fuses L1 and L2, and calls the kernel for the orthogonal penalty on the CPU."""

from taut.arrays.jax.library import JAX, Jax

__all__ = ["JAX", "Jax"]
