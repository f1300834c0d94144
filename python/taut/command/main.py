"""From the command line's words to a command, and from what happens there to an exit code."""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from taut import _core
from taut.command import COMMANDS, CommandError, command

INTERRUPTED = 130  # what shells report of a process that SIGINT has ended

# Beside the compiled module, which an editable installation keeps apart from the Python files.
_DIRECTORIES = (
    ("--cmake-dir", "lib/cmake/taut", "the package for CMake's find_package(taut CONFIG)"),
    ("--include-dir", "include", "the C++ headers"),
    ("--pkg-config-dir", "lib/pkgconfig", "taut.pc, for PKG_CONFIG_PATH"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the arguments name.

    Args:
        arguments: The command line without the program's name; the process's own unless given.

    Returns:
        The process's exit code: 0, 1 if the command could not do its work, 2 if an argument is
        wrong, 130 after a Ctrl-C.

    Raises:
        SystemExit: With 2 for arguments that are wrong, and with 0 after the help.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is no reason to say nothing at all.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except CommandError as error:
        print(f"taut: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has read enough (`| head`). Python flushes once more at its end.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.directory is not None:
        print(Path(_core.__file__).parent / options.directory)
        return 0
    if options.command is None:
        parser.print_help()
        return 0
    return command(options.command).run(options)


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without a page of usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    formatter = _help_formatter()
    parser = _Parser(
        prog="taut",
        description="Penalties that keep a model's weights in shape, on the CPU.",
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=f"taut {_core.__version__}")
    for option, directory, content in _DIRECTORIES:
        parser.add_argument(
            option,
            action="store_const",
            dest="directory",
            const=directory,
            help=f"print the directory of {content}",
        )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in COMMANDS:
        module = command(name)
        module.add_arguments(commands.add_parser(name, help=module.HELP, formatter_class=formatter))
    return parser


def _help_formatter() -> type[argparse.HelpFormatter]:
    """Returns the one that writes in colours, if its library is there."""
    try:
        from rich_argparse import RichHelpFormatter
    except ImportError:
        return argparse.HelpFormatter

    class Formatter(RichHelpFormatter):  # type: ignore[misc, unused-ignore]
        # A percent sign or a bracket in a help text is meant as it stands.
        help_markup = False
        text_markup = False

    return Formatter
