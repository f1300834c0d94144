"""The command line: `taut`, and `python -m taut`.

A command is a file of this folder and its name in `COMMANDS`. Such a file imports nothing at its
top that does not come with Python: what `run` needs is imported there, so that all other commands
work without it, and help is quick.
"""

import argparse
import importlib
from typing import Protocol, cast, runtime_checkable

COMMANDS = (
    "inspect",
    "bench",
    "demo",
    "config",
)


@runtime_checkable
class Command(Protocol):
    """What the module of a command has; the command is called as the module is.

    Attributes:
        HELP: What it does, in a line of the list of commands.
    """

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the command's arguments, and its description, to its parser."""

    def run(self, options: argparse.Namespace) -> int:
        """Does what the options say.

        Returns:
            The process's exit code.

        Raises:
            CommandError: If that cannot be done.
        """


class CommandError(Exception):
    """What keeps a command from its work, in one line for the person who called it."""

    exit_code = 1


class UsageError(CommandError):
    """The same, where it was an argument that is wrong, which only `run` could find out."""

    exit_code = 2


def command(name: str) -> Command:
    """Returns the command of that name in `COMMANDS`."""
    return cast(Command, importlib.import_module(f"taut.command.{name}"))
