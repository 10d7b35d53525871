"""Put a CPU-only libtorch together from the few files of PyTorch's wheels that it needs.

The wheels are found by pip, so that a user's indexes, mirrors and links apply. They are chosen
for one fixed Python version: the libraries inside do not depend on it, and their hashes are pinned.
"""

import contextlib
import fcntl
import fnmatch
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections import namedtuple
from pathlib import Path, PurePosixPath

import fetch
from fetch import Problem

VERSION = "2.11.0"
STAMP = ".complete"  # a size and a path a line; written last

Wheel = namedtuple("Wheel", "name version size sha256")

# The CUDA libraries are here because libtorch_cpu.so of these wheels links to them; it works
# without a GPU or its driver. The aarch64 wheels are pinned and their libraries' dependencies
# were read, but this setup has not been run on such a machine.
WHEELS = {
    "x86_64": [
        Wheel("torch", VERSION, 530_712_279,
              "0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756"),
        Wheel("nvidia-cuda-cupti", "13.0.85", 10_715_597,
              "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"),
        Wheel("nvidia-cuda-runtime", "13.0.96", 2_243_632,
              "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"),
    ],
    "aarch64": [
        Wheel("torch", VERSION, 419_731_115,
              "f99924682ef0aa6a4ab3b1b76f40dc6e273fca09f367d15a524266db100a723f"),
        Wheel("nvidia-cuda-cupti", "13.0.85", 10_310_827,
              "796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151"),
        Wheel("nvidia-cuda-runtime", "13.0.96", 2_261_060,
              "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55"),
    ],
}
UNPACKED = {"x86_64": 540_000_000, "aarch64": 380_000_000}  # bytes on disk, rounded up

LIBRARIES = [
    "libtorch_cpu.so", "libc10.so", "libgomp*.so*", "libcupti.so.13", "libcudart.so.13",
    "libarm_compute*.so", "libnvpl_*.so*",  # aarch64 only
]


def provide(cache):
    """The path of a complete libtorch in `cache`, which is made first if it is not there."""
    tree = cache / f"libtorch-{VERSION}-cpu"
    if not complete(tree):
        machine = supported_machine()
        with alone(cache):
            if not complete(tree):  # who held the cache before may have made it
                make(tree, cache, machine)
    return tree


def supported_machine():
    """This machine's architecture, if the wheels run on it."""
    machine = platform.machine()
    libc, release = platform.libc_ver()
    if platform.system() != "Linux" or machine not in WHEELS:
        what = f"{platform.system()} on {machine}"
    elif libc != "glibc" or tuple(map(int, release.split(".")[:2])) < (2, 28):
        what = f"a system with {libc or 'another C library than glibc'} {release}"
    else:
        return machine
    raise Problem(
        f"there is no libtorch for {what} here (only Linux with glibc 2.28 or later, on x86_64 or\n"
        f"aarch64). If you have a libtorch {VERSION} for it, set LIBTORCH to its folder."
    )


@contextlib.contextmanager
def alone(cache):
    """Hold the cache, as two checkouts may be set up at the same time."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another setup is at work in {cache}: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(tree, cache, machine):
    """Download, verify, unpack; each step starts where an interrupted run left off."""
    wheels = WHEELS[machine]
    downloads = cache / "downloads"
    downloads.mkdir(exist_ok=True)
    check_space(wheels, downloads, machine)
    pip = Pip(downloads)
    urls = fetch.opener(pip.setting("cert"), pip.setting("proxy"))
    files = []
    print("asking pip where the packages are", flush=True)
    for wheel, url in zip(wheels, locate(pip, wheels, machine)):
        file = downloads / PurePosixPath(url.partition("#")[0]).name
        print(f"{wheel.name} {wheel.version} ({wheel.size / 1e6:.1f} MB)", flush=True)
        try:
            fetch.fetch(url, file, wheel.size, wheel.sha256, urls)
        except fetch.Refused as refusal:
            # Credentials of a private index, say: pip knows them and does not tell.
            print(f"  {refusal}\n  letting pip download it", flush=True)
            download_by_pip(pip, wheel, file, machine)
        files.append(file)
    print("unpacking what CPU work needs", flush=True)
    unpack(files, tree)
    shutil.rmtree(downloads)
    print("the downloaded wheels were removed", flush=True)


def check_space(wheels, downloads, machine):
    """Say what is going to happen, and stop now if the disk cannot take it."""
    total = sum(wheel.size for wheel in wheels)
    arrived = sum(fetch.held(file) for file in downloads.glob("*.whl*"))
    needed = max(total - arrived, 0) + UNPACKED[machine]
    free = shutil.disk_usage(downloads).free
    print(
        f"libtorch {VERSION} (CPU) goes to {downloads.parent}: {total / 1e6:.0f} MB to download"
        + (f" ({arrived / 1e6:.0f} MB are there already)" if arrived else "")
        + f", {UNPACKED[machine] / 1e6:.0f} MB once unpacked",
        flush=True,
    )
    if free < needed:
        raise Problem(
            f"{needed / 1e6:.0f} MB of disk space are needed for a moment, and {downloads.parent}\n"
            f"has {free / 1e6:.0f} MB. Make room, or set DRR_CACHE to a folder on a larger disk."
        )


class Pip:
    """The pip of this Python, or one from the index if that is too old, or too new to be known."""

    # Before 25.3 a dry run downloads the whole wheels, and an interruption loses them.
    KNOWN = ((25, 3), (27, 0))
    ENVIRONMENT = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_USER": "0",  # nothing is installed, but pip would object to --target
    }

    def __init__(self, folder):
        self.environment = {**os.environ, **self.ENVIRONMENT}
        if not self.KNOWN[0] <= self.version() < self.KNOWN[1]:
            other = folder / "pip-{}.{}".format(*sys.version_info)
            if not other.exists():
                print("fetching another pip: this Python's is too old or too new", flush=True)
                building = other.with_name(other.name + ".partial")
                shutil.rmtree(building, ignore_errors=True)
                self("install", "--quiet", "--target", building, "pip>=25.3,<27")
                building.rename(other)
            path = [str(other), os.environ.get("PYTHONPATH", "")]
            self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))

    def __call__(self, *arguments, show=False):
        """Run pip; returns what it printed, or shows it."""
        command = [sys.executable, "-m", "pip", *map(str, arguments)]
        output = None if show else subprocess.PIPE
        done = subprocess.run(
            command, env=self.environment, stdout=output, stderr=output, text=True
        )
        if done.returncode:
            lines = (done.stderr or "").splitlines()
            reason = "".join(f"\n  {line}" for line in lines if "fast-deps" not in line)
            raise Problem(
                f"pip {arguments[0]} failed{reason}\n"
                "Is there a network connection, and is pip's index the intended one\n"
                f"(`{sys.executable} -m pip config list`)? A libtorch {VERSION} that you have works\n"
                "without either: set LIBTORCH to its folder."
            )
        return done.stdout

    def version(self):
        try:
            return tuple(map(int, re.match(r"pip (\d+)\.(\d+)", self("--version")).groups()))
        except Problem:
            raise Problem(
                f"{sys.executable} has no pip, which finds the libtorch packages.\n"
                "  Debian, Ubuntu: apt install python3-pip\n"
                "  Fedora, RHEL:   dnf install python3-pip\n"
                "  a virtual environment: python3 -m ensurepip\n"
                f"Or set LIBTORCH to the folder of a libtorch {VERSION} that you have."
            ) from None

    def setting(self, name):
        """A setting of pip's own configuration: its PIP_ variables, then its files."""
        listed = self("config", "list")
        found = dict(re.findall(rf"^(\S+)\.{name}='(.*)'$", listed, re.MULTILINE))
        return found.get(":env:") or found.get("install") or found.get("global")


def selection(machine):
    """The pip options that choose the pinned wheels, whatever Python runs here."""
    platforms = [f"manylinux_2_{glibc}_{machine}" for glibc in (28, 25, 17)]
    platforms.append(f"manylinux2014_{machine}")
    return [
        "--no-deps", "--only-binary", ":all:",
        "--implementation", "cp", "--python-version", "3.12", "--abi", "cp312",
        *(option for name in platforms for option in ("--platform", name)),
    ]


def requirement(wheel):
    """`===` keeps away builds such as 2.11.0+cpu, which other indexes have and nobody pinned."""
    return f"{wheel.name}==={wheel.version}"


def locate(pip, wheels, machine):
    """The wheels' URLs. pip insists on a --target here, and does not touch it."""
    report = pip(
        "install", "--dry-run", "--quiet", "--ignore-installed", "--report", "-",
        # An index without metadata files makes pip open the wheels: let it read parts of them.
        "--use-feature=fast-deps",
        "--target", "unused", *selection(machine), *map(requirement, wheels),
    )
    found = {}
    for item in json.loads(report)["install"]:
        name = re.sub("[-_.]+", "-", item["metadata"]["name"]).lower()
        found[name] = item["download_info"]["url"]
    return [found[wheel.name] for wheel in wheels]


def download_by_pip(pip, wheel, file, machine):
    """Download through pip, which knows more but does not continue in its next run."""
    fresh = file.parent / "by-pip"
    pip("download", "--dest", fresh, *selection(machine), requirement(wheel), show=True)
    fetch.accept(fresh / file.name, file, wheel.sha256)
    shutil.rmtree(fresh)


def unpack(files, tree):
    """Make the tree beside its final place; the rename at the end makes it valid."""
    building = tree.with_name(tree.name + ".partial")
    shutil.rmtree(building, ignore_errors=True)
    try:
        for file in files:
            with zipfile.ZipFile(file) as archive:
                for entry in archive.infolist():
                    if place := destination(entry.filename):
                        copy(archive, entry, building / place)
        (building / "lib" / "libtorch.so").symlink_to("libtorch_cpu.so")
        (building / "build-version").write_text(VERSION + "\n")
        check_loads(building / "lib" / "libtorch.so")
        write_stamp(building)
        shutil.rmtree(tree, ignore_errors=True)
        building.rename(tree)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def destination(name):
    """Where a wheel's member belongs in the tree, None if it is not needed."""
    if name.startswith("torch/include/") and not name.endswith("/"):
        return name[len("torch/"):]
    folder, _, file = name.rpartition("/")
    if folder in ("torch/lib", "nvidia/cu13/lib"):
        if any(fnmatch.fnmatchcase(file, pattern) for pattern in LIBRARIES):
            return f"lib/{file}"
    return None


def copy(archive, entry, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def check_loads(library):
    """Load the library in another process: what it needs is then there, and fits this system."""
    script = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", script, str(library)], capture_output=True, text=True
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Problem(f"libtorch was unpacked but this system cannot load it:\n  {reason[-1]}")


def write_stamp(tree):
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    lines = [f"{path.stat().st_size} {path.relative_to(tree)}\n" for path in files]
    (tree / STAMP).write_text("".join(lines))


def complete(tree):
    """Whether every file that the stamp lists is there with its size."""
    stamp = Path(tree, STAMP)
    if not stamp.is_file():
        return False
    entries = [line.split(" ", 1) for line in stamp.read_text().splitlines()]
    try:
        return all(os.stat(tree / path).st_size == int(size) for size, path in entries)
    except (OSError, ValueError):
        return False


def fault(tree):
    """What keeps a user's own libtorch from being used, None if nothing does."""
    if not tree.is_dir():
        return "there is no such folder"
    for name in (
        "include/torch/csrc/api/include/torch/torch.h",
        "lib/libtorch.so",
        "lib/libtorch_cpu.so",
        "lib/libc10.so",
    ):
        if not (tree / name).is_file():
            return f"it has no {name}"
    # A libtorch archive has the first file, a PyTorch installation the second.
    for name, pattern in (
        ("build-version", r"\s*([\w.+]+)"),
        ("version.py", r"__version__ = '([\w.+]+)'"),
    ):
        if (tree / name).is_file():
            found = re.search(pattern, (tree / name).read_text())
            version = found.group(1) if found else "unknown"
            if version.partition("+")[0] == VERSION:
                return None
            return f"its version is {version} and has to be {VERSION}"
    return "it has neither build-version nor version.py, so its version is unknown"
