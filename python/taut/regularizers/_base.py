"""What all regularizers have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from taut.arrays import library_of, native
from taut.arrays.returned import check_returned

if TYPE_CHECKING:
    from typing_extensions import Self

    from taut.arrays.factors import Factor

_Array = TypeVar("_Array")


class _Root:
    """What `Regularizer` extends, so that it can extend Keras's class of that name as well."""


class Regularizer(_Root):
    """Base class of regularizers; extend it to write your own.

    A subclass defines `__call__`, which takes a weight and returns a scalar penalty. Define
    `get_config` to make it serializable, and `value_and_grad` to give it a gradient where no
    framework differentiates.

    `__call__` defines the penalty. Methods that a class does not define are derived from it, or
    refused; they are never inherited from a class whose `__call__` the subclass has replaced.
    Likewise `accumulate_grad` is derived from `value_and_grad` if a subclass replaces only that.

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
            A scalar; 0.0 unless a subclass overrides this method.
        """
        return 0.0

    def value_and_grad(self, x: Any, scale: float = 1.0) -> tuple[Any, Any]:
        """Returns the penalty of `x`, and `scale` times its gradient.

        Args:
            x: An array of any shape, of a library that can differentiate `__call__`.
            scale: Multiplies the gradient; the penalty is not scaled.

        Raises:
            NotImplementedError: For NumPy, which cannot differentiate, if the subclass does not
                define this method.
        """
        return library_of(x).differentiate(self, x, scale)

    def accumulate_grad(self, x: Any, grad: Any, scale: float = 1.0, value: bool = True) -> Any:
        """Adds `scale` times the gradient of the penalty to `grad`, in place.

        Args:
            x: An array of any shape.
            grad: A writable array of x's shape.
            scale: Multiplies the gradient before it is added.
            value: Whether to return the penalty.

        Returns:
            The penalty of `x`, not scaled; None without `value`.
        """
        total, slope = check_returned(self, self.value_and_grad(x, scale), x, grad)
        library_of(native(x)).add_in_place(native(grad), slope)
        return total if value else None

    def _derives_accumulate_grad(self, x: Any) -> bool:
        """Returns whether `accumulate_grad` adds what `value_and_grad` returns, and no more."""
        return type(self).accumulate_grad is Regularizer.accumulate_grad

    def _check_accumulate_grad(self, x: Any) -> None:
        """Raises what `accumulate_grad` would, as far as is known without calling what is yours."""

    def _check_prox(self, x: Any, step: float) -> None:
        """Raises what `prox` would, likewise."""

    def prox(self, x: Any, step: float) -> None:
        """Replaces `x` by its proximal step, `argmin_y step * penalty(y) + |y - x|**2 / 2`.

        Args:
            x: A writable array of any shape.
            step: The step size: the learning rate, if this follows a gradient step.

        Raises:
            NotImplementedError: If the subclass does not define it.
        """
        self._refuse_prox()

    def proximal(self, x: _Array, step: Factor) -> _Array:
        """Returns the proximal step of `x` and leaves `x` as it is: see `prox`.

        Unless the subclass defines it, this calls its `prox` on a copy, if the copy can be written.

        Args:
            x: An array of any shape.
            step: The step size: the learning rate, if this follows a gradient step.

        Returns:
            A new array of x's shape and dtype.

        Raises:
            NotImplementedError: If the subclass defines neither this nor `prox`.
            TypeError: If it defines only `prox`, and arrays of this library cannot be written.
        """
        if type(self).prox is Regularizer.prox:
            self._refuse_prox()
        copy: _Array = library_of(x).copy(x)
        self.prox(copy, float(step))
        return copy

    def _refuse_prox(self) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} has no proximal step in closed form")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal regularizer, as values that JSON can hold.

        Raises:
            NotImplementedError: If the subclass does not define it.
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
    "proximal": ("__call__", "prox"),
}


def _is_outdated(cls: type[Regularizer], name: str, answers_for: tuple[str, ...]) -> bool:
    """Returns whether a method comes from a class whose `__call__`, say, this one has replaced."""
    owner = next(base for base in cls.__mro__ if name in vars(base))
    return owner is not Regularizer and any(
        getattr(owner, other, None) not in (getattr(cls, other), getattr(Regularizer, other), None)
        for other in answers_for
    )


class ClosedRegularizer(Regularizer):
    """A regularizer of taut's own: setting a misspelt factor is an error, not a new attribute.

    Subclasses may set any attribute.
    """

    _settable: ClassVar[tuple[str, ...]] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        is_public = not name.startswith("_")
        if is_public and "_settable" in vars(cls) and name not in cls._settable:
            raise AttributeError(
                f"{cls.__name__} has no {name!r} that could be set. It has: "
                f"{', '.join(cls._settable)}"
            )
        super().__setattr__(name, value)


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


def has_gradient(regularizer: Regularizer, x: Any) -> bool:
    """Returns whether there is a gradient: the regularizer's own, or one that is derived."""
    cls = type(regularizer)
    is_own = any(
        getattr(cls, name) is not getattr(Regularizer, name)
        for name in ("value_and_grad", "accumulate_grad")
    )
    return is_own or library_of(native(x)).differentiates
