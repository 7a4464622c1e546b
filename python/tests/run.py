#!/usr/bin/env python3
"""Builds the wheel of the Python package and tests it: `python3 python/tests/run.py [ARGUMENTS OF PYTEST]`; `--fetch` only fetches
what that needs.

Everything is below target/. maturin builds the wheel next to what cargo has compiled at the root. It is installed alone into an
environment of its own, in which the Python lines of the README are run as they are; then into one with numpy, pandas,
scikit-learn, Ray and what runs notebooks, for the snippets of the book and the tests. If no package index can be reached, the
script says so and tests nothing; if there is no Ray for this Python, sweeps are not tested.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "python"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
TOOLS = ["maturin>=1.8,<2", "mypy", "pandas-stubs", "numpy", "pandas", "pytest", "nbclient", "nbformat", "ipykernel", "jsonschema"]
#: For the tests of the classifier and of the bars.
TOOLS += ["scikit-learn>=1.6", "tqdm"]
#: For sweeps; Ray does not exist for every Python.
SWEEP_TOOLS = ["ray", "optuna"]
#: Checks the types of the Python part of the package.
MYPY = ["-m", "mypy", "--python-version", "3.10", "--cache-dir", str(TARGET / "mypy"), "da2s"]


def main() -> int:
    began = time.monotonic()
    tools = environment(TARGET / "python-tools")
    if not installed(tools, TOOLS):
        print("python package skipped: no package index gives " + ", ".join(TOOLS))
        return 0
    if not installed(tools, SWEEP_TOOLS):
        print("sweeps skipped: cannot install " + " and ".join(SWEEP_TOOLS))
    if sys.argv[1:] == ["--fetch"]:
        return 0
    wheel = build(tools)
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB", flush=True)

    clean = environment(TARGET / "python-clean")
    install = [clean, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel]
    run(install)
    with tempfile.TemporaryDirectory() as folder:
        print("the lines of the README, with the wheel alone:", flush=True)
        run([clean, "-c", readme_lines()], cwd=folder)

    run([tools, *install[1:]])
    with tempfile.TemporaryDirectory() as folder:
        print("the snippets of the book:", flush=True)
        run([tools, "-c", snippets()], cwd=folder)
    run([tools, *MYPY], cwd=PYTHON)
    run([tools, "-m", "pytest", "-p", "no:cacheprovider", PYTHON / "tests", *sys.argv[1:]], cwd=tempfile.gettempdir())
    print(f"the Python package: {time.monotonic() - began:.0f} s")
    return 0


def environment(path: Path) -> Path:
    """The Python of the virtual environment at `path`, created if it does not exist."""
    python = path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    whole = path / "whole"
    if not whole.exists():
        # The file is written last: if the creation is interrupted, it is repeated.
        venv.create(path, with_pip=True, clear=True)
        whole.touch()
    return python


def installed(python: Path, packages: list) -> bool:
    """Whether the packages are there, or could be fetched."""
    there = subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-index", *packages], capture_output=True)
    if there.returncode == 0:
        return True
    fetched = subprocess.run([python, "-m", "pip", "install", "--quiet", "--retries", "1", *packages])
    return fetched.returncode == 0


def build(tools: Path) -> Path:
    """Builds the wheel, and returns its path."""
    out = TARGET / "wheels"
    for old in out.glob("da2s-*.whl"):
        old.unlink()
    # maturin calls the cargo that is in the path.
    command = [tools, "-m", "maturin", "build", "--release", "--locked", "--manifest-path", PYTHON / "Cargo.toml", "--out", out]
    run(command)
    (wheel,) = out.glob("da2s-*.whl")
    return wheel


def readme_lines() -> str:
    """The first block of Python code in the section `## Python` of the README."""
    section = re.search(r"^## Python\n.*?^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    if section is None:
        raise SystemExit("README.md has no Python lines in a section `## Python`")
    return section.group(1)



def snippets() -> str:
    """The Python of the book's page on Python, in one program."""
    page = ROOT / "docs/book/src/guide/python.md"
    return subprocess.run([sys.executable, ROOT / ".ci/docs.py", "--python", page], capture_output=True, text=True, check=True).stdout


def run(command: list, cwd: "os.PathLike[str] | str | None" = None) -> None:
    done = subprocess.run([str(word) for word in command], cwd=cwd)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
