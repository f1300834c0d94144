"""What the wheel holds, and what it asks of the system it is installed on."""

import email
import re
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from conftest import ROOT, run, tracked

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="auditwheel is Linux's")

STATIC_LIBRARY = "taut.lib" if sys.platform == "win32" else "libtaut.a"
LICENSES = {"LICENSE", *tracked("packaging/licenses")}
METADATA = {
    "METADATA",
    "RECORD",
    "WHEEL",
    "entry_points.txt",
    *(f"licenses/{name}" for name in LICENSES),
}
EMBEDDING = {
    f"lib/{STATIC_LIBRARY}",
    "lib/cmake/taut/taut-components.cmake",
    "lib/cmake/taut/taut-config-version.cmake",
    "lib/cmake/taut/taut-config.cmake",
    "lib/cmake/taut/taut-targets-release.cmake",
    "lib/cmake/taut/taut-targets.cmake",
    "lib/pkgconfig/taut.pc",
}


@pytest.fixture(scope="module")
def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def dist_info(contents, name):
    (text,) = (contents[path] for path in contents if path.endswith(f".dist-info/{name}"))
    return text.decode()


def test_it_holds_the_package_and_what_programs_embed_and_nothing_else(contents):
    modules = {name.removeprefix("python/") for name in tracked("python/taut")}
    headers = {name.removeprefix("cpp/") for name in tracked("cpp/include/taut")}
    expected = modules | {f"taut/{name}" for name in headers | EMBEDDING}
    expected.add("taut/_core" + sysconfig.get_config_var("EXT_SUFFIX"))
    assert {"taut/py.typed", "taut/_core.pyi", "taut/include/taut/taut.hpp"} <= expected
    found = {name for name in contents if name.startswith("taut/")}
    assert found == expected
    others = {
        re.sub(r"^taut-[^/]*\.dist-info/", "", name) for name in contents if name not in found
    }
    if sys.platform == "linux":
        (runtime,) = (
            name for name in others if re.fullmatch(r"taut\.libs/libgomp-\w+\.so.*", name)
        )
        others -= {runtime, "sboms/auditwheel.cdx.json"}
    assert others == METADATA


def test_it_is_small(wheel):
    assert wheel.stat().st_size < 3_000_000


def test_its_metadata_name_the_licence_as_spdx_does(contents):
    metadata = email.message_from_string(dist_info(contents, "METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("License-File")) == LICENSES
    assert not [c for c in metadata.get_all("Classifier") if c.startswith("License")]
    assert dist_info(contents, "licenses/LICENSE") == (ROOT / "LICENSE").read_text("utf-8")


@linux_only
def test_nothing_in_it_says_where_it_was_built(contents):
    assert [name for name in contents if str(ROOT).encode() in contents[name]] == []


@linux_only
def test_it_asks_the_system_for_nothing_but_the_c_and_the_c_plus_plus_library(wheel):
    report = run(sys.executable, "-m", "auditwheel", "show", wheel)
    external = re.findall(r"(lib[\w+]+|ld-linux[\w-]*)\.so\.\d+ with", " ".join(report.split()))
    assert "libc" in external
    loader = re.compile(r"ld-linux-[\w-]+")
    known = {"libc", "libm", "libstdc++", "libgcc_s"}
    assert {name for name in external if not loader.fullmatch(name)} <= known
    assert re.search(r'"(manylinux|musllinux)_\w+"', report)


@linux_only
def test_it_computes_on_the_runtime_that_it_brings(wheel, tmp_path):
    # As where there is no other: none is mapped.
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path, wheel)
    code = """
import re, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, taut
taut.set_num_threads(2)
assert taut.regularizers.L2(1.0)(np.ones((3000, 1000), np.float32)) == 3_000_000
maps = open("/proc/self/maps").read()
print(*sorted(set(re.findall(r"[^/\\s]*/lib[gi]?omp\\S*", maps))))
"""
    output = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch(r"taut\.libs/libgomp-\w+\.so[.\d]*\n", output)
