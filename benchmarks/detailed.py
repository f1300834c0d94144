"""Runs the benchmarks in this folder one after the other, and keeps their tables as JSON.

    python benchmarks/detailed.py --json benchmarks/results/MACHINE-detailed.json [gram scaling ...]

Without names, all that can run here; each in a process of its own, and nothing should compute
beside them. What is run replaces what the file has of it; what fails is named at the end. See each
program for what it compares.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import reports
from taut.bench import machine, results

HERE = Path(__file__).parent
TWO_PROCESSES = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
# What is run, by the program's name: once with each list of arguments.
PROGRAMS: Mapping[str, list[list[str]]] = {
    "gram": [[]],
    "scaling": [[], ["--model"]],
    "elementwise": [[]],
    "soft_orthogonal": [[]],
    "group_lasso": [["--torch"]],
    "towards": [[]],
    "penalties": [[]],
    "torch_training": [[]],
    "embedding": [[]],
    "jax_training": [[]],
    "jax_sharded": [[]],
    "torch_sharded": [[]],
    "keras_training": [[]],
    "libtorch_step": [[]],
    "neighbours": [[]],
    "working_memory": [[]],
}


def start(name: str, arguments: list[str], json: Path) -> int:
    """Runs a program, whose tables go into the file, and returns its exit status."""
    environment = os.environ | {reports.FILE: str(json.resolve())}
    before = ()
    if name == "torch_sharded":
        before, environment["OMP_NUM_THREADS"] = TWO_PROCESSES, "1"
    command = [sys.executable, *before, str(HERE / f"{name}.py"), *arguments]
    return subprocess.run(command, env=environment).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(PROGRAMS))
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--mlpack",
        nargs=2,
        metavar=("MLPACK", "ENSMALLEN"),
        help="the folders of their headers: with mlpack_steps",
    )
    arguments = parser.parse_args()
    programs = dict(PROGRAMS)
    if arguments.mlpack:
        mlpack, ensmallen = arguments.mlpack
        programs["mlpack_steps"] = [["--mlpack", mlpack, "--ensmallen", ensmallen]]
    if unknown := set(arguments.names) - programs.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    if not importlib.util.find_spec("torch"):
        parser.error("the benchmarks here need torch: make frameworks")
    failed = []
    for name in arguments.names or programs:
        printed = reports.read(arguments.json)["programs"] if arguments.json.exists() else {}
        document: reports.Document = {
            "schema": reports.SCHEMA,
            "machine": machine.describe(2),
            "programs": printed | {name: []},
        }
        results.write(document, arguments.json)
        failed += [[name, *each] for each in programs[name] if start(name, each, arguments.json)]
    for each in failed:
        print(f"failed: {' '.join(each)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
