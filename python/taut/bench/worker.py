"""A process that times: `python -m taut.bench.worker JOB`, started by `processes`.

It says what it finds in lines of JSON.
"""

import json
import os
import sys
from typing import Any, TextIO

from taut.bench import measure, memory
from taut.bench.kinds import KINDS
from taut.bench.libraries import LIBRARIES, Library, Options, UnavailableError


def main(text: str) -> None:
    """Does a job, which is a JSON object.

    Args:
        text: `process`, its name; `libraries`; `options`, those of `Options`; and either `cases`,
            pairs of kind and size, or `memory`, a contestant and a size.
    """
    out = _own_output()
    job = json.loads(text)
    options = Options(**job["options"])
    libraries = {}
    for name in job["libraries"]:
        try:
            libraries[name] = _begin(out, name, options)
        except UnavailableError as error:
            _say(out, "left_out", {name: str(error)})
    if "memory" in job:
        contestant, size = job["memory"]
        for library in libraries.values():
            _say(out, "bytes", memory.peak(library, contestant, size))
        return
    pace = measure.QUICK if options.quick else measure.FULL
    measurer = measure.Measurer(libraries, job["process"], pace)
    for kind, size in job["cases"]:
        _say(out, "case", measurer.run(KINDS[kind], size))


def _begin(out: TextIO, name: str, options: Options) -> Library:
    try:
        library = LIBRARIES[name].load()
        versions = library.begin(options)
    except ImportError as error:
        raise UnavailableError(f"cannot be imported: {error}".splitlines()[0]) from error
    _say(out, "versions", versions)
    return library


def _own_output() -> TextIO:
    """Returns where lines go, and sends there nothing else: libraries print what they like."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _say(out: TextIO, what: str, content: Any) -> None:
    out.write(json.dumps({what: content}) + "\n")
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
