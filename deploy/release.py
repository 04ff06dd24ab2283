"""Builds the folder that people without Rust deploy from, and packs it into archives.

`package` builds only the folder, for one processor. `release` adds the other processor's functions, the licenses, and a
list of what the functions contain, and packs it all into dist/session-api-<version>.tar.gz and .zip. Two such builds of
a commit are equal, byte for byte, if they have the same compiler and the same profiles.

`record` runs the functions with the benchmark's requests, and keeps profiles of what they did in target/pgo. If they are
there, `release` has the compiler optimize the functions for them. Those for another processor run in qemu-user.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target"
PROFILES = TARGET / "pgo"
FUNCTIONS = sorted(file.stem for file in (ROOT / "src" / "bin").glob("*.rs"))
FILES = ("deploy/README.md", "deploy/deploy", "deploy/deployer-policy.json", "template.yaml", "CHANGELOG.md", "LICENSE")
#: What Lambda calls the processors, and what Rust does.
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
#: What cargo-lambda compiles for, too, unless there are RUSTFLAGS. Lambda has Graviton2 or newer, and AVX2:
#: https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html
#: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-avx2.html
PROCESSORS = {"arm64": "neoverse-n1", "x86_64": "haswell"}
#: What the functions contain hardly depends on the processor.
PLATFORM = "x86_64-unknown-linux-gnu"
#: The earliest time that a zip file can have, in no time zone.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def run(*command, **environment):
    """Runs a command, with more variables in its environment."""
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | environment)


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def flags(architecture, *more):
    """Returns RUSTFLAGS that compile for Lambda's processors, and keep this machine's paths out of panic messages."""
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    paths = {ROOT: "session-api", cargo / "registry/src": "crates", Path(output("rustc", "--print", "sysroot")): "rust"}
    remap = [f"--remap-path-prefix={path}={name}" for path, name in paths.items()]
    return " ".join([f"-Ctarget-cpu={PROCESSORS[architecture]}", *remap, *more])


def profile_for(architecture, cargo_profile):
    """Returns the recorded profile to optimize for, or None. It matches only the symbols of a release build."""
    profile = PROFILES / f"{architecture}.profdata"
    return profile if cargo_profile == "release" and profile.exists() else None


def record(architecture):
    """Records the profile of one architecture."""
    merge = profdata()
    machine = ARCHITECTURES[architecture]
    triple, gcc, qemu = f"{machine}-unknown-linux-gnu", f"{machine}-linux-gnu-gcc", f"qemu-{machine}"
    raw, built = PROFILES / architecture, TARGET / "recording"
    shutil.rmtree(raw, ignore_errors=True)
    # All of Cargo's profile must be that of a release, because it becomes part of the functions' symbols.
    environment = {"RUSTFLAGS": flags(architecture, f"-Cprofile-generate={raw}"), "CARGO_TARGET_DIR": str(built)}
    start = "exec"
    if machine != platform.machine():
        for program, package in {gcc: f"gcc-{machine.replace('_', '-')}-linux-gnu", qemu: "qemu-user"}.items():
            if not shutil.which(program):
                sys.exit(f"error: {program} was not found. Install it: in Debian, it's in the package {package}")
        environment[f"CARGO_TARGET_{triple.upper().replace('-', '_')}_LINKER"] = gcc
        start = f"exec {qemu}"
    run("cargo", "build", "--locked", "--release", "--bins", "--target", triple, **environment)
    functions = PROFILES / "functions"
    for function in FUNCTIONS:
        bootstrap = functions / function / "bootstrap"
        bootstrap.parent.mkdir(parents=True, exist_ok=True)
        bootstrap.write_text(f"#!/bin/sh\n{start} '{built / triple / 'release' / function}'\n")
        bootstrap.chmod(0o755)
    bench = ("--manifest-path", "benches/Cargo.toml", "--profile", "harness", "--package", "bench")
    train = ("train", "--functions", str(functions))
    run("cargo", "run", "--locked", *bench, "--", *train, CARGO_TARGET_DIR=str(TARGET))
    run(merge, "merge", "--sparse", f"--output={PROFILES / f'{architecture}.profdata'}", str(raw))


def profdata():
    """Returns the llvm-profdata of the compiler's LLVM: rustup's component llvm-tools, or Debian's package llvm-<n>."""
    about = output("rustc", "-vV").splitlines()
    about = dict(line.split(": ", 1) for line in about if ": " in line)
    sysroot = Path(output("rustc", "--print", "sysroot"))
    version = about["LLVM version"].split(".")[0]
    places = (sysroot / f"lib/rustlib/{about['host']}/bin", Path(f"/usr/lib/llvm-{version}/bin"))
    for place in places:
        if (place / "llvm-profdata").exists():
            return str(place / "llvm-profdata")
    sys.exit(f"error: llvm-profdata of LLVM {version} was not found. Run: rustup component add llvm-tools")


def package(folder, architectures, cargo_profile):
    """Builds the functions into a folder, with all that it takes to deploy them."""
    shutil.rmtree(folder / "functions", ignore_errors=True)
    for architecture in architectures:
        profile = profile_for(architecture, cargo_profile)
        optimize = [f"-Cprofile-use={profile}"] if profile else []
        how = "with" if optimize else "without"
        print(f"Building the functions for {architecture}, {how} a recorded profile", flush=True)
        built = TARGET / "package" / f"{cargo_profile}-{architecture}"
        switch = "--" + architecture.replace("_", "-")
        build = ("cargo", "lambda", "build", "--locked", "--profile", cargo_profile, switch, "--lambda-dir", str(built))
        run(*build, RUSTFLAGS=flags(architecture, *optimize))
        zips = folder / "functions" / architecture
        zips.mkdir(parents=True)
        for function in FUNCTIONS:
            program = (built / function / "bootstrap").read_bytes()
            with zipfile.ZipFile(zips / f"{function}.zip", "w") as archive:
                archive.writestr(entry("bootstrap", 0o755), program, compresslevel=9)
    for file in FILES:
        shutil.copy(ROOT / file, folder)


def entry(name, mode):
    """Returns the entry of a file in a zip file."""
    info = zipfile.ZipInfo(name, ZIP_TIME)
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def licenses():
    """Returns the licenses of all crates that the functions contain."""
    about = json.loads(output("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", PLATFORM))
    packages = {package["id"]: package for package in about["packages"]}
    nodes = {node["id"]: node for node in about["resolve"]["nodes"]}
    found, queue = set(), [about["resolve"]["root"]]
    while queue:
        for dependency in nodes[queue.pop()]["deps"]:
            is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_linked and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                queue.append(dependency["pkg"])
    texts = defaultdict(list)
    for package in sorted((packages[id] for id in found), key=lambda package: (package["name"], package["version"])):
        folder = Path(package["manifest_path"]).parent
        files = [file for file in folder.glob("*") if re.match("LICENSE|NOTICE", file.name) and file.is_file()]
        contents = [file.read_text(errors="replace").strip() for file in sorted(files)]
        for text in contents or ["The crate ships no license text."]:
            texts[text].append(f"{package['name']} {package['version']} ({package['license']})\n")
    line = "=" * 80
    return "\n".join(f"{line}\n{''.join(crates)}{line}\n{text}\n" for text, crates in texts.items())


def sbom(file):
    """Writes the list of what the functions contain, in CycloneDX's format."""
    options = ("--format", "json", "--no-build-deps", "--target", PLATFORM, "--override-filename", "sbom")
    run("cargo", "cyclonedx", *options, SOURCE_DATE_EPOCH=commit_time())
    made = ROOT / "sbom.json"
    file.write_text(made.read_text().replace(str(ROOT), "/session-api"))
    made.unlink()


def commit_time():
    return output("git", "log", "-1", "--format=%ct")


def pack(folder):
    """Packs the folder, with nothing in the archives that depends on when and where this happens."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = {file: str(file.relative_to(folder.parent)) for file in files}

    def mode(file):
        return 0o755 if os.access(file, os.X_OK) else 0o644

    with zipfile.ZipFile(f"{folder}.zip", "w") as archive:
        for file, name in names.items():
            archive.writestr(entry(name, mode(file)), file.read_bytes())
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file, name in names.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = file.stat().st_size, mode(file), int(commit_time())
            archive.addfile(info, io.BytesIO(file.read_bytes()))
    Path(f"{folder}.tar.gz").write_bytes(gzip.compress(tar.getvalue(), mtime=0))


def release(folder, architectures, cargo_profile):
    """Builds the folder, and packs it into a .tar.gz and a .zip next to it."""
    package(folder, architectures, cargo_profile)
    (folder / "functions/LICENSES.txt").write_text(licenses())
    sbom(folder / "sbom.json")
    sums = folder / "SHA256SUMS"
    sums.unlink(missing_ok=True)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n" for file in files]
    sums.write_text("".join(lines))
    pack(folder)
    # Anyone who wants to rebuild the same functions needs these.
    for architecture in architectures:
        if profile := profile_for(architecture, cargo_profile):
            shutil.copy(profile, f"{folder}-{profile.name}")


def main():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("package", "release", "record"))
    parser.add_argument("--architecture", action="append", choices=ARCHITECTURES, help="default: both")
    parser.add_argument("--profile", default="release", help="Cargo's profile (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "dist" / f"session-api-{version}", help="default: %(default)s"
    )
    arguments = parser.parse_args()
    architectures = arguments.architecture or list(ARCHITECTURES)
    if arguments.command == "record":
        for architecture in architectures:
            print(f"Recording the profile of {architecture}", flush=True)
            record(architecture)
        return
    build = release if arguments.command == "release" else package
    build(arguments.folder.absolute(), architectures, arguments.profile)
    print(f"Built {arguments.folder}")


if __name__ == "__main__":
    main()
