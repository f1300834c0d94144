"""Sums up what `make test` ran, from the JUnit files of pytest and of CTest.

    python tests/summary.py build/results/python.xml build/results/cpp.xml

It exits with 1 unless each file is there, and says that tests passed and that none failed.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "left out"


def reason(case: ElementTree.Element) -> str:
    skipped = case.find("skipped")
    said = skipped.text or case.findtext("system-out", "")
    if module := re.search(r"could not import '(\w+)", said):
        return f"needs {module[1]}: `make frameworks` installs it"
    words = re.search(r"not run: .*", said)
    return words[0] if words else skipped.get("message", "")


def main(paths: list[str]) -> int:
    has_failed, reasons = False, Counter()
    print("\n`make test`, in short:")
    for path in map(Path, paths):
        cases = list(ElementTree.parse(path).iter("testcase")) if path.exists() else []
        counts = Counter(map(outcome, cases))
        has_failed |= counts["failed"] > 0 or counts["passed"] == 0
        shown = [f"{counts[what]:,} {what}" for what in ("passed", "failed", "left out")]
        print(f"  {path.stem}: {', '.join(shown) if cases else 'did not run to its end'}")
        reasons.update(reason(case) for case in cases if outcome(case) == "left out")
    for why, count in reasons.most_common():
        print(f"  left out, {count} {'test or file' if count == 1 else 'tests or files'}: {why}")
    return has_failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
