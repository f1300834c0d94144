"""The processes that time, all with the same number of threads and on the same processors."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from taut.bench import machine

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")


class WorkerEndedError(Exception):
    """A process ended before its work did; in one line, why."""


def threads_in_words(threads: int) -> str:
    """Returns how all libraries are held to so many threads."""
    bound = "on as many processors" if sys.platform == "linux" else "but JAX decides by itself"
    return f"{threads} {'thread' if threads == 1 else 'threads'} for each library, {bound}"


def run(job: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Runs `taut.bench.worker`, and yields what it says while it works.

    Args:
        job: As `worker.main` takes it.
        environment: Variables beside those of this process.

    Raises:
        WorkerEndedError: If it fails, or the system ends it.
    """
    threads = job["options"]["threads"]
    variables = dict.fromkeys(_VARIABLES, str(threads))
    with tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace") as errors:
        with _bound(threads):
            process = subprocess.Popen(
                [sys.executable, "-m", "taut.bench.worker", json.dumps(job)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONSAFEPATH": "1", **variables, **(environment or {})},
                # A Ctrl-C is this process's to answer, with all that the other one started.
                start_new_session=True,
            )
        try:
            assert process.stdout is not None
            with process.stdout as lines:
                for line in lines:
                    yield json.loads(line)
            if process.wait() != 0:
                raise WorkerEndedError(_why(process.returncode, errors))
        finally:
            _end(process)


@contextlib.contextmanager
def _bound(threads: int) -> Iterator[None]:
    """Lets processes that are started in this block run on so many processors, where that goes.

    JAX takes a thread for each processor that it may use, and asks nothing else.
    """
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, machine.processors()[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _why(code: int, errors: Any) -> str:
    errors.seek(0)
    last = (errors.read().strip().splitlines() or ["it said nothing"])[-1]
    return f"ended by signal {-code}" if code < 0 else last[:200]


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
