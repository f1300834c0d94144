"""Worlds of several processes, each of which runs the same program."""

import os
import socket
import subprocess
import sys
import tempfile
import time

TIMEOUT = 240


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def own_of(rank):
    """Returns what a rank has for itself: its number, and its cache of compiled code.

    torch finds other ranks' code in a cache that they share, where shards are uneven.
    """
    cache = os.path.join(tempfile.gettempdir(), f"taut-tests-rank-{rank}")
    return {"RANK": str(rank), "LOCAL_RANK": str(rank), "TORCHINDUCTOR_CACHE_DIR": cache}


def run_world(size, *command, timeout=TIMEOUT, environment=None, folder=None):
    """Runs Python with a command on each of `size` ranks; returns their exit codes and outputs.

    All end when the time is over, and those that wait for one that failed soon after it has.
    """
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    environment = os.environ | common | {"WORLD_SIZE": str(size)} | (environment or {})
    ranks = [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment | own_of(rank),
            cwd=folder,
        )
        for rank in range(size)
    ]
    end = time.monotonic() + timeout
    outputs = []
    for rank in ranks:
        try:
            outputs.append(rank.communicate(timeout=max(end - time.monotonic(), 1))[0])
        except subprocess.TimeoutExpired:
            rank.kill()
            outputs.append("out of time\n" + rank.communicate()[0])
    return [rank.returncode for rank in ranks], outputs
