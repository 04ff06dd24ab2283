"""A release is the same wherever it's built, runs on Lambda, and says what it contains."""

import json
import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

import template as tpl
from emulator import machine

FUNCTIONS = tpl.BUILT / "functions" / machine()


@pytest.fixture(scope="module")
def programs():
    """The functions by name, as Lambda gets them."""
    return {file.stem: zipfile.ZipFile(file).read("bootstrap") for file in FUNCTIONS.glob("*.zip")}


def test_two_releases_of_a_commit_are_equal(tmp_path):
    clone, cargo = tmp_path / "another-name", Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    subprocess.run(["git", "clone", "--quiet", "--shared", tpl.ROOT, clone], check=True)
    # Include changes that aren't committed yet.
    changed = subprocess.check_output(
        ["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"], cwd=tpl.ROOT
    )
    for name in changed.decode().split("\0")[:-1]:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tpl.ROOT / name, clone / name)
    # Have Cargo unpack the crates elsewhere.
    home = tmp_path / "cargo"
    for name in ("registry/cache", "registry/index"):
        shutil.copytree(cargo / name, home / name)
    for name in ("config.toml", "bin"):
        if (cargo / name).exists():
            (home / name).symlink_to(cargo / name)
    build = ("python3", "-B", "deploy/release.py", "release", "--architecture", machine(), "--profile", "emulated")
    folder = tmp_path / tpl.BUILT.name
    subprocess.run([*build, "--folder", folder], cwd=clone, env=os.environ | {"CARGO_HOME": str(home)}, check=True)
    for file in sorted(one.relative_to(tpl.BUILT) for one in tpl.BUILT.rglob("*") if one.is_file()):
        assert (folder / file).read_bytes() == (tpl.BUILT / file).read_bytes(), f"{file} differs"
    for packed in ("tar.gz", "zip"):
        archives = [
            (parent / f"{tpl.BUILT.name}.{packed}").read_bytes() for parent in (tpl.BUILT.parent, folder.parent)
        ]
        assert archives[0] == archives[1], f"the {packed}s differ"


def test_functions_run_on_amazon_linux_2023(programs):
    # Its glibc: https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
    newest = {
        name: max(int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", code)) for name, code in programs.items()
    }
    assert len(newest) == 3 and max(newest.values()) <= 34, newest


def test_functions_do_not_name_this_machines_folders(programs):
    for name, code in programs.items():
        for folder in (tpl.ROOT, Path.home()):
            assert str(folder).encode() not in code, f"{name} has the path {folder}"


def test_sums_are_those_of_all_other_files():
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tpl.BUILT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    listed = {line.split("  ")[1] for line in (tpl.BUILT / "SHA256SUMS").read_text().splitlines()}
    assert listed == {str(one.relative_to(tpl.BUILT)) for one in tpl.BUILT.rglob("*") if one.is_file()} - {"SHA256SUMS"}


def test_sbom_and_licenses_list_the_crates_in_the_functions():
    lock = {
        f"{one['name']} {one['version']}" for one in tomllib.loads((tpl.ROOT / "Cargo.lock").read_text())["package"]
    }
    sbom = json.loads((tpl.BUILT / "sbom.json").read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    components = {f"{one['name']} {one['version']}" for one in sbom["components"]}
    licenses = (tpl.BUILT / "functions" / "LICENSES.txt").read_text()
    licensed = set(re.findall(r"^(\S+ \d\S+) \(.*\)$", licenses, re.MULTILINE))
    assert components == licensed and components < lock
    names = {component.split()[0] for component in components}
    assert {"aws-sdk-dynamodb", "lambda_http", "ring"} <= names, names
    assert not {"proptest", "axum"} & names, "it lists what only tests use"
