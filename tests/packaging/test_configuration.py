"""What builds the wheels of every platform, as far as one platform can say."""

import re
import sys

import pytest
from conftest import ROOT, run, tracked

PYTHONS = ["cp310", "cp311", "cp312", "cp313", "cp314", "cp314t"]
PLATFORMS = {
    "linux": [
        "manylinux_x86_64",
        "manylinux_aarch64",
        "musllinux_x86_64",
        "musllinux_aarch64",
    ],
    "macos": ["macosx_arm64", "macosx_x86_64"],
    "windows": ["win_amd64"],
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_wheel_for_every_python_on_every_platform(platform):
    output = run(
        *(sys.executable, "-m", "cibuildwheel", "--print-build-identifiers"),
        *("--platform", platform, ROOT),
    )
    expected = {f"{python}-{place}" for python in PYTHONS for place in PLATFORMS[platform]}
    assert set(output.split()) == expected


def test_the_project_s_configuration_follows_the_schemas():
    run(sys.executable, "-m", "validate_pyproject", ROOT / "pyproject.toml")


def test_the_workflows_are_safe():
    run("zizmor", "--offline", ROOT / ".github")


def test_every_action_is_pinned_by_a_commit_with_its_version():
    workflows = [ROOT / name for name in tracked(".github/workflows")]
    text = "".join(path.read_text(encoding="utf-8") for path in workflows)
    uses = re.findall(r"uses: (?!\./)(.*)", text)
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
