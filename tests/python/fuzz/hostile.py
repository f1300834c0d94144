"""What a config or a caller may hold that nobody asked for."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from taut.regularizers import _registry


class Own(Exception):  # noqa: N818
    """What an object's own method raises, and may reach the caller."""


class EvilText(str):
    """A string that does not want to be compared or found."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise Own

    def __hash__(self) -> int:
        raise Own


class EvilDict(dict[Any, Any]):
    """A dictionary that cannot say what it is."""

    def __repr__(self) -> str:
        raise Own


def deep_list(depth: int) -> list[Any]:
    nested: list[Any] = [0.5]
    for _ in range(depth):
        nested = [nested]
    return nested


def deep_config(depth: int) -> dict[str, Any]:
    nested: dict[str, Any] = {"class_name": "L2", "config": {"l2": 0.5}}
    for _ in range(depth):
        nested = {"class_name": "ActivityRegularizer", "config": {"regularizer": nested}}
    return nested


def own_list() -> list[Any]:
    itself: list[Any] = []
    itself += [itself, itself]
    return itself


def own_config() -> dict[str, Any]:
    itself: dict[str, Any] = {"class_name": "ActivityRegularizer", "config": {}}
    itself["config"]["regularizer"] = itself
    return itself


class Later(NamedTuple):
    """What hypothesis could not print, made by `built` within a test."""

    make: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


def built(x: Any) -> Any:
    """Returns an example with all that was put off."""
    if isinstance(x, Later):
        return x.make(*x.arguments)
    if isinstance(x, Mapping):
        return type(x)({key: built(each) for key, each in x.items()})
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(built, x))
    return type(x)(map(built, x)) if isinstance(x, list | tuple) else x


NAMES = [*_registry.known_names(), "ActivityRegularizer", "function"]
STRANGE_NAMES = [
    *("os.system", "builtins>eval", "Lambda", "__lambda__", "Sequential", "Dense", "taut>Penalty"),
    *("keras>Layer", "", "L2\0", "L2 ", "l2.l2", "../L2", "Custom>L2", "taut>", ">", "\ud800"),
]
DEPTHS = st.sampled_from([3, 70, 100, 5_000])
odd_numbers = st.one_of(
    st.floats(),
    st.integers(),
    st.builds(
        lambda digits, sign: sign * 10**digits,
        st.sampled_from([19, 308, 400, 5_000]),
        st.sampled_from([1, -1]),
    ),
    st.sampled_from([True, Fraction(1, 3), Decimal("0.5"), Decimal("nan"), 1j]),
    st.sampled_from([np.float32(0.5), np.float16("nan"), np.int8(3), np.bool_(True), np.str_("1")]),
    st.sampled_from(["nan", "inf", "1e400", "0.5", "", b"0.5", bytearray(b"1"), None, Ellipsis]),
)
odd_things = st.one_of(
    odd_numbers,
    st.text(max_size=5),
    st.sampled_from([[], {}, (), [0.5], {"a": 1}, {1: 2}, {None: None}, set(), object, len]),
    st.builds(Later, st.sampled_from([deep_list, deep_config]), st.tuples(DEPTHS)),
    st.builds(Later, st.sampled_from([own_list, own_config]), st.just(())),
    st.builds(EvilText, st.sampled_from(["l2", "rows", "L2"])),
    st.builds(lambda: EvilDict(class_name=3)),
    st.builds(lambda: np.array([0.5])),
    st.builds(lambda: np.array(0.5)),
    st.builds(lambda: np.array([1, None])),
)
factors = st.one_of(st.floats(0, 10), odd_things)
options = st.one_of(st.sampled_from(["rows", "columns", True, False]), odd_things)


@st.composite
def configs(draw: st.DrawFn) -> Any:
    """Draws what looks like a config, in most of its parts."""
    if draw(st.integers(0, 9)) == 0:
        return draw(odd_things)
    names = st.one_of(
        st.sampled_from(NAMES),
        st.sampled_from(NAMES + STRANGE_NAMES),
        st.builds(EvilText),
        odd_things,
    )
    arguments = st.one_of(
        st.dictionaries(st.sampled_from(["l1", "l2"]), factors, max_size=2),
        st.fixed_dictionaries({"factor": factors}, optional={"mode": options, "flatten": options}),
        st.fixed_dictionaries({"regularizer": st.deferred(configs)}),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers(), st.none()), factors),
        st.sampled_from(NAMES + STRANGE_NAMES),
        odd_things,
    )
    modules = st.one_of(
        st.sampled_from(["taut.regularizers", "keras.regularizers", "os", "builtins", "tautology"]),
        odd_things,
    )
    config = draw(
        st.fixed_dictionaries(
            {"class_name": names},
            optional={"config": arguments, "module": modules, "registered_name": names},
        )
    )
    as_mapping = draw(st.sampled_from([dict, dict, dict, OrderedDict, MappingProxyType, EvilDict]))
    return as_mapping(config)
