"""Runs the tests of this folder with ever new examples, for so many seconds: `run.py 600`.

An example that fails is told by hypothesis, with what makes it again; one that ends the process is
what the file `build/fuzz/example.txt` holds.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LATEST = Path("build/fuzz/example.txt")
EXAMPLES = 500  # of each test in one round


def main(seconds: float) -> int:
    end, rounds = time.monotonic() + seconds, 0
    LATEST.parent.mkdir(parents=True, exist_ok=True)
    more = {"TAUT_FUZZ_EXAMPLES": f"{EXAMPLES}", "TAUT_FUZZ_LATEST": f"{LATEST}"}
    while rounds == 0 or time.monotonic() < end:
        seed = int.from_bytes(os.urandom(4), "big")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        result = subprocess.run(
            [*command, f"--hypothesis-seed={seed}", str(HERE)],
            env=os.environ | more,
            capture_output=True,
            text=True,
            check=False,
        )
        rounds += 1
        if result.returncode != 0:
            print(result.stdout, result.stderr, f"--hypothesis-seed={seed}", sep="\n")
            if result.returncode < 0 and LATEST.exists():
                print("The process ended at this example:", LATEST.read_text(), sep="\n")
            return 1
    print(f"{rounds} rounds of {EXAMPLES} examples of each test, and no finding", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
