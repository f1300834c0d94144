"""What a call has written when it fails on its way, which its error then says."""

from __future__ import annotations

from contextlib import AbstractContextManager

_MOST_NAMES = 10


class Written:
    """The parameters whose arrays a call has written, or may have begun to write.

    Around a block that writes, it notes them on whatever is raised there. What fails without such a
    note has written nothing.
    """

    def __init__(self) -> None:
        self.names: list[str] = []

    def unless(
        self, before_writing: tuple[type[Exception], ...], names: list[str]
    ) -> AbstractContextManager[None]:
        """Returns a context in which some parameters are written, unless such an error ends it."""
        return _Unless(self.names, names, before_writing)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or not self.names:
            return
        named = ", ".join(map(repr, self.names[:_MOST_NAMES]))
        left = len(self.names) - _MOST_NAMES
        more = f" and {left} more" if left > 0 else ""
        _add_note(error, f"Written before this, at least in part: {named}{more}")


class _Unless(AbstractContextManager[None]):
    def __init__(
        self, names: list[str], own: list[str], before_writing: tuple[type[Exception], ...]
    ) -> None:
        self._names, self._count, self._own = names, len(names), own
        self._before_writing = before_writing

    def __enter__(self) -> None:
        self._names += self._own

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if has_written_nothing(error, self._before_writing):
            del self._names[self._count :]


def has_written_nothing(
    error: BaseException | None, before_writing: tuple[type[Exception], ...]
) -> bool:
    """Returns whether such an error ended a block that writes, before it did."""
    return isinstance(error, before_writing) and not has_notes(error)


def has_notes(error: BaseException) -> bool:
    """Returns whether an error says that something was written, as any interrupt does."""
    return bool(getattr(error, "__notes__", ()))


def _add_note(error: BaseException, note: str) -> None:
    """Adds a note as `add_note` does, which Python 3.10 has not."""
    vars(error).setdefault("__notes__", []).append(note)
