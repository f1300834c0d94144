"""What a command needs beside NumPy, and which extra brings it."""

from collections.abc import Iterable
from importlib.util import find_spec

from taut.command import CommandError


def require(who: str, modules: Iterable[str], extra: str) -> None:
    """Makes sure that the modules are installed, without importing them.

    Raises:
        CommandError: If one is not; it says what brings it.
    """
    missing = [module for module in modules if not is_there(module)]
    if missing:
        raise CommandError(f'{who} needs {", ".join(missing)}: pip install "taut[{extra}]"')


def is_there(module: str) -> bool:
    """Returns whether a module is installed, without importing it."""
    return find_spec(module) is not None
