"""What all regularizers have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from numpy import ndarray

from taut import kernels
from taut.arrays import library_of, native
from taut.kernels import Kernel

if TYPE_CHECKING:
    from typing_extensions import Self


class _Root:
    """What `Regularizer` extends, so that it can extend Keras's class of that name as well."""


class Regularizer(_Root):
    """Base class of regularizers; extend it to write your own.

    A subclass defines `__call__`, which takes a weight and returns a scalar penalty. `get_config`
    makes it serializable; `value_and_grad` lets it take part where no framework differentiates.

    `__call__` is the contract: what a class does not define beside it is derived from it, or
    refused, and never inherited from a class whose `__call__` it has replaced. Likewise
    `accumulate_grad` is derived from a `value_and_grad` that is newer.

    Source: `keras.regularizers.Regularizer`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, answers_for in _ANSWERS_FOR.items():
            if _is_outdated(cls, name, answers_for):
                setattr(cls, name, getattr(Regularizer, name))

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of a weight.

        Args:
            x: An array of any shape.

        Returns:
            A scalar; 0.0 unless a subclass says otherwise.
        """
        return 0.0

    def value_and_grad(self, x: Any, scale: float = 1.0) -> tuple[Any, Any]:
        """Returns the penalty of `x`, and `scale` times its gradient.

        Args:
            x: An array of any shape, of a library that differentiates `__call__`.
            scale: What the gradient is multiplied with; the penalty is not.

        Raises:
            NotImplementedError: For NumPy, if a subclass does not define it: NumPy cannot
                differentiate.
        """
        return library_of(x).differentiate(self, x, scale)

    def accumulate_grad(self, x: Any, grad: Any, scale: float = 1.0) -> Any:
        """Adds `scale` times the gradient of the penalty to `grad`, in place.

        Args:
            x: An array of any shape.
            grad: A writable array of x's shape.
            scale: What the gradient is multiplied with before it is added.

        Returns:
            The penalty of `x`, not scaled.
        """
        value, slope = self.value_and_grad(x, scale)
        library_of(native(x)).add_in_place(native(grad), slope)
        return value

    def prox(self, x: Any, step: float) -> None:
        """Replaces `x` by its proximal step, `argmin_y step * penalty(y) + |y - x|**2 / 2`.

        Args:
            x: A writable array of any shape.
            step: How far to go: the learning rate, where this follows a gradient step.

        Raises:
            NotImplementedError: If a subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no proximal step in closed form")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal regularizer, as JSON has them.

        Raises:
            NotImplementedError: If a subclass does not define it.
        """
        raise NotImplementedError(f"{self} does not implement get_config()")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Returns the regularizer that `config` describes; the reverse of `get_config`."""
        return cls(**config)


# What each method of a class has to agree with.
_ANSWERS_FOR = {
    "value_and_grad": ("__call__",),
    "accumulate_grad": ("__call__", "value_and_grad"),
    "prox": ("__call__",),
}


def _is_outdated(cls: type[Regularizer], name: str, answers_for: tuple[str, ...]) -> bool:
    """Returns whether a method comes from a class whose `__call__`, say, this one has replaced."""
    owner = next(base for base in cls.__mro__ if name in vars(base))
    return owner is not Regularizer and any(
        getattr(owner, other, None) not in (getattr(cls, other), getattr(Regularizer, other), None)
        for other in answers_for
    )


class FunctionRegularizer(Regularizer):
    """A plain callable, which is a regularizer too, where an instance is asked for."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __repr__(self) -> str:
        return repr(self._function)

    def __call__(self, x: Any) -> Any:
        """Returns what the function returns."""
        return self._function(x)


def as_regularizer(penalty: Callable[[Any], Any]) -> Regularizer:
    """Returns a regularizer itself, and a plain callable as one."""
    return penalty if isinstance(penalty, Regularizer) else FunctionRegularizer(penalty)


class KernelRegularizer(Regularizer):
    """A regularizer that one of taut's kernels computes.

    A subclass says which (`_kernel`), and what its factors are at the moment (`_factors`). Plain
    arrays go to the compiled kernel without a question asked, since a small one takes less time
    than the asking.
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

        Each is a float, or what `check_factor` makes of it. The core checks their range.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of `x`.

        Args:
            x: An array of float64, float32, float16 or bfloat16, of any strides.

        Returns:
            A float, accumulated in float64 whatever the dtype.

        Raises:
            TypeError: If `x` has another dtype.
            ValueError: If a factor is negative or not finite, or `x` has a wrong rank.
        """
        if type(x) is ndarray:
            return self._compiled_value(x, self._factors())
        return library_of(x).value(self._kernel, x, self._factors())

    def value_and_grad(self, x: Any, scale: float = 1.0) -> tuple[Any, Any]:
        """Returns the penalty of `x`, and `scale` times its gradient, in one pass.

        Args:
            x: An array of float64, float32, float16 or bfloat16, of any strides.
            scale: What the gradient is multiplied with before it is rounded to x's dtype; the
                penalty is not scaled.

        Returns:
            The penalty, and a new array of x's shape and dtype.

        Raises:
            TypeError: If `x` has another dtype.
            ValueError: If a factor is negative or not finite, or `x` has a wrong rank.
        """
        return library_of(x).value_and_grad(self._kernel, x, self._factors(), scale)

    def accumulate_grad(self, x: Any, grad: Any, scale: float = 1.0) -> Any:
        """Adds `scale` times the gradient of the penalty to `grad`, in place, in one pass.

        The product and the sum are computed in float64 and rounded once.

        Args:
            x: An array of float64, float32, float16 or bfloat16, of any strides.
            grad: A writable array of x's shape and dtype (or of float32, where x is float16 or
                bfloat16) that overlaps neither x nor itself.
            scale: What the gradient is multiplied with before it is added.

        Returns:
            The penalty of `x`, not scaled.

        Raises:
            TypeError: If an array has another dtype.
            ValueError: If a factor is negative or not finite, `x` has a wrong rank, or `grad` does
                not fit. Nothing has been written then.
        """
        if type(x) is ndarray and type(grad) is ndarray:
            return self._compiled_accumulate_grad(x, grad, self._factors(), scale)
        return library_of(x).accumulate_grad(self._kernel, x, grad, self._factors(), scale)

    def prox(self, x: Any, step: float) -> None:
        """Replaces `x` by its proximal step, `argmin_y step * penalty(y) + |y - x|**2 / 2`.

        Of L1, L2 and both: each element is moved towards 0 by `step * l1`, to exactly 0 where it is
        nearer than that, and then multiplied by `1 / (1 + 2 * step * l2)`. The subgradient of L1
        steps across 0; this stops there, so that weights become sparse. NaN stays NaN.

        Args:
            x: A writable array of float64, float32, float16 or bfloat16 that does not overlap
                itself.
            step: How far to go: the learning rate, where this follows a gradient step.

        Raises:
            NotImplementedError: If the kernel has none in closed form, as the orthogonal penalty.
            TypeError: If `x` cannot be written in place, or has another dtype.
            ValueError: If a factor or the step is negative or not finite, or `x` is read-only.
                Nothing has been written then.

        Source: Parikh and Boyd, "Proximal Algorithms", 2014, section 6.5.2.
        """
        if self._kernel.prox is None:
            super().prox(x, step)
        library_of(x).prox(self._kernel, x, self._factors(), step)


def kernel_of(regularizer: Regularizer) -> Kernel | None:
    """Returns the kernel that computes just what the regularizer would; None if there is none."""
    if not isinstance(regularizer, KernelRegularizer):
        return None
    cls: type[Regularizer] = type(regularizer)
    names = ("__call__", "value_and_grad", "accumulate_grad", "prox")
    is_alone = all(getattr(cls, name) is getattr(KernelRegularizer, name) for name in names)
    return regularizer._kernel if is_alone else None


def has_prox(regularizer: Regularizer) -> bool:
    """Returns whether there is a proximal step."""
    kernel = kernel_of(regularizer)
    if kernel is not None:
        return kernel.prox is not None
    return type(regularizer).prox is not Regularizer.prox


def has_gradient(regularizer: Regularizer, x: Any) -> bool:
    """Returns whether there is a gradient: the regularizer's own, or one that is derived."""
    cls = type(regularizer)
    is_own = any(
        getattr(cls, name) is not getattr(Regularizer, name)
        for name in ("value_and_grad", "accumulate_grad")
    )
    return is_own or library_of(native(x)).differentiates
