"""What the formats that are zip files have in common."""

import zipfile
from pathlib import Path

from taut.inspect.stored import refuse_bombs, refuse_duplicates

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the second is that of an archive of nothing


def names(path: Path) -> list[str]:
    """Returns the names of the members.

    Raises:
        zipfile.BadZipFile: If it is no zip file, or its end is missing.
    """
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def checked(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Returns the members, once it is clear that each is one of a kind and not a bomb."""
    members = archive.infolist()
    refuse_duplicates([member.filename for member in members])
    for member in members:
        refuse_bombs(member.filename, member.compress_size, member.file_size)
    return members
