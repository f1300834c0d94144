"""Regularizers that one of taut's kernels computes."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, TypeVar, overload

from numpy import ndarray
from numpy.typing import NDArray

from taut import kernels
from taut.arrays import library_of, native
from taut.arrays.factors import Factor, read_step
from taut.kernels import Kernel
from taut.regularizers._base import ClosedRegularizer, Regularizer
from taut.regularizers._registry import builtins

_Array = TypeVar("_Array")


class KernelRegularizer(ClosedRegularizer):
    """A regularizer that one of taut's kernels computes.

    A subclass names the kernel (`_kernel`) and returns its current factors (`_factors`). Plain
    arrays go to the compiled kernel without a look-up of their library, since a small array takes
    less time than the look-up.
    """

    _kernel: ClassVar[Kernel]
    _compiled_value: ClassVar[Callable[..., float]]
    _compiled_accumulate_grad: ClassVar[Callable[..., float]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        kernel = cls._kernel
        if kernels.get(kernel.name) is not kernel:
            raise ValueError(f"Another kernel is registered as {kernel.name!r}")
        cls._compiled_value = staticmethod(kernel.value)
        cls._compiled_accumulate_grad = staticmethod(kernel.accumulate_grad)

    def _factors(self) -> tuple[Any, ...]:
        """Returns the kernel's factors: attributes that anybody may change.

        They are floats and options, or what `taut.arrays.factors.read` returns for them. The core
        checks their range.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"

    @overload
    def __call__(self, x: NDArray[Any]) -> float: ...

    @overload
    def __call__(self, x: _Array) -> _Array: ...

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of `x`.

        Args:
            x: An array of float64, float32, float16 or bfloat16, of any strides.

        Returns:
            A float, summed in float64 whatever the dtype.

        Raises:
            TypeError: If `x` has another dtype.
            ValueError: If a factor is negative or not finite, or `x` has a wrong rank.
        """
        if type(x) is ndarray:
            return self._compiled_value(x, self._factors())
        return library_of(x).value(self._kernel, x, self._factors())

    @overload
    def value_and_grad(self, x: NDArray[Any], scale: float = 1.0) -> tuple[float, NDArray[Any]]: ...

    @overload
    def value_and_grad(self, x: _Array, scale: float = 1.0) -> tuple[_Array, _Array]: ...

    def value_and_grad(self, x: Any, scale: float = 1.0) -> tuple[Any, Any]:
        """Returns the penalty of `x`, and `scale` times its gradient, in one pass.

        Args:
            x: An array of float64, float32, float16 or bfloat16, of any strides.
            scale: Multiplies the gradient before it is rounded to x's dtype; the penalty is not
                scaled.

        Returns:
            The penalty, and a new array of x's shape and dtype.

        Raises:
            TypeError: If `x` has another dtype.
            ValueError: If a factor is negative or not finite, or `x` has a wrong rank.
        """
        return library_of(x).value_and_grad(self._kernel, x, self._factors(), scale)

    def accumulate_grad(self, x: Any, grad: Any, scale: float = 1.0, value: bool = True) -> Any:
        """Adds `scale` times the gradient of the penalty to `grad`, in place, in one pass.

        The product and the sum are computed in float64 and rounded once.

        Args:
            x: An array of float64, float32, float16 or bfloat16, of any strides.
            grad: A writable array of x's shape and dtype (or of float32, where x is float16 or
                bfloat16) that overlaps neither x nor itself.
            scale: Multiplies the gradient before it is added.
            value: Whether to return the penalty. For a DTensor that takes a message between ranks,
                which is sent only if you ask for the penalty.

        Returns:
            The penalty of `x`, not scaled; None without `value`.

        Raises:
            TypeError: If an array has another dtype.
            ValueError: If a factor is negative or not finite, `x` has a wrong rank, or `grad` does
                not fit.
            MemoryError: If there is not enough. Nothing has been written in any of these cases.
            KeyboardInterrupt: Or what else a signal's handler raises during a long call: the
                gradient may have been added to in part then, and a note on the error says so.
        """
        if type(x) is ndarray and type(grad) is ndarray:
            total = self._compiled_accumulate_grad(x, grad, self._factors(), scale)
            return total if value else None
        library = library_of(x)
        if value:
            return library.accumulate_grad(self._kernel, x, grad, self._factors(), scale)
        return library.add_gradient(self._kernel, x, grad, self._factors(), scale)

    def _derives_accumulate_grad(self, x: Any) -> bool:
        is_kept = kernel_of(self) is not None and library_of(native(x)).is_observed(native(x))
        return is_kept or super()._derives_accumulate_grad(x)

    def _check_accumulate_grad(self, x: Any) -> None:
        if kernel_of(self) is not None:
            library_of(x).check(x)
            self._kernel.check(self._factors(), x.shape)

    def _check_prox(self, x: Any, step: float) -> None:
        if kernel_of(self) is not None:
            library_of(x).check_prox(self._kernel, x, self._factors(), step)

    def prox(self, x: Any, step: float) -> None:
        """Replaces `x` by its proximal step, `argmin_y step * penalty(y) + |y - x|**2 / 2`.

        For L1, L2 and L1L2, it moves each element towards 0 by `step * l1`, to exactly 0 where the
        element is nearer than that, and then multiplies it by `1 / (1 + 2 * step * l2)`. A step
        along L1's subgradient would cross 0; this step stops there, so weights become sparse. For
        group lasso, it multiplies each group by `max(0, 1 - step * factor * sqrt(g) / norm(w))`.
        NaN stays NaN.

        Args:
            x: A writable array of float64, float32, float16 or bfloat16 that does not overlap
                itself.
            step: The step size: the learning rate, if this follows a gradient step.

        Raises:
            NotImplementedError: If the penalty has no proximal step in closed form, such as the
                orthogonal penalties.
            TypeError: If `x` cannot be written in place, or has another dtype.
            ValueError: If a factor or the step is negative or not finite, or `x` is read-only.
                In these cases nothing has been written.

        Source: Parikh and Boyd, "Proximal Algorithms", 2014, sections 6.5.2 and 6.5.4.
        """
        if self._kernel.prox is None:
            self._refuse_prox()
        library_of(x).prox(self._kernel, x, self._factors(), step)

    def proximal(self, x: _Array, step: Factor) -> _Array:
        """Returns the proximal step of `x` and leaves `x` as it is: see `prox`.

        Use it for arrays that cannot be written, and in code that is compiled, traced or
        differentiated. For NumPy arrays and torch's tensors on the CPU, the kernel computes it,
        with the bits of `prox`. Elsewhere the library's operations do, in float64 where there is
        one, rounded once, with the same zeros.

        Args:
            x: An array of float64, float32, float16 or bfloat16, of any strides.
            step: The step size, as in `prox`: a number, or a 0-d array, which may be traced.

        Returns:
            A new array of x's shape and dtype, differentiable if x's library differentiates.

        Raises:
            NotImplementedError: If the penalty has no proximal step in closed form, such as the
                orthogonal penalties.
            TypeError: If `x` has another dtype.
            ValueError: If a factor or the step is negative or not finite, where its number is
                known.
        """
        if self._kernel.prox is None:
            self._refuse_prox()
        stepped: _Array = library_of(x).proximal(self._kernel, x, self._factors(), read_step(step))
        return stepped

    def _refuse_prox(self) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} has no proximal step in closed form; "
            f"{', '.join(names_with_prox())} have one"
        )


def kernel_of(regularizer: Regularizer) -> Kernel | None:
    """Returns the kernel that computes exactly what the regularizer does, or None."""
    if not isinstance(regularizer, KernelRegularizer):
        return None
    cls: type[Regularizer] = type(regularizer)
    names = ("__call__", "value_and_grad", "accumulate_grad", "prox", "proximal")
    is_alone = all(getattr(cls, name) is getattr(KernelRegularizer, name) for name in names)
    return regularizer._kernel if is_alone else None


def names_with_prox() -> list[str]:
    """Returns the names of taut's own classes whose penalties have a proximal step."""
    return [
        name
        for name, cls in builtins.items()
        if issubclass(cls, KernelRegularizer) and cls._kernel.prox is not None
    ]


def has_prox(regularizer: Regularizer) -> bool:
    """Returns whether there is a proximal step."""
    kernel = kernel_of(regularizer)
    if kernel is not None:
        return kernel.prox is not None
    return type(regularizer).prox is not Regularizer.prox


def has_proximal(regularizer: Regularizer) -> bool:
    """Returns whether `proximal` can return a proximal step."""
    is_own = kernel_of(regularizer) is None
    return has_prox(regularizer) or (
        is_own and type(regularizer).proximal is not Regularizer.proximal
    )
