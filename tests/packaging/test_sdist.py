"""What the source distribution holds, and that it can be made again."""

import shutil
import sys
import tarfile

from conftest import ROOT, run, tracked


def test_it_holds_what_the_repository_does_but_for_hidden_files(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    hidden = {name for name in tracked() if any(part[0] == "." for part in name.split("/"))}
    assert names == tracked() - hidden | {"PKG-INFO"}


def test_another_checkout_at_another_time_gives_the_same_bytes(sdist, tmp_path):
    checkout = tmp_path / "elsewhere"
    for name in tracked():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)  # with a modification time of its own
    run("git", "init", "--quiet", checkout)
    run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, checkout, umask=0o077)
    assert (tmp_path / sdist.name).read_bytes() == sdist.read_bytes()
