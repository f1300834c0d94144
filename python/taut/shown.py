"""Objects as the messages of errors show them: in a few words, whatever they hold."""

import reprlib
from typing import Any


class _Shown(reprlib.Repr):
    """Short for what is long, nested deeply or within itself, and for integers of many digits."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 5
        self.maxdict = self.maxlist = self.maxtuple = 8
        self.maxstring = self.maxother = 300

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write more than 4300 digits, or takes a time that grows by their square.
        most = 1024
        return repr(x) if x.bit_length() <= most else f"<an integer of {x.bit_length()} bits>"


_shown = _Shown()


def shown(x: Any) -> str:
    """Returns what `repr` does, if that is short, and a part of it elsewhere."""
    return _shown.repr(x)
