#!/usr/bin/env python3
"""Gets the tools that exports are checked with, and runs the tests that need them.

    python3 crates/da2s/tests/export/run.py
    python3 crates/da2s/tests/export/run.py --fetch        # only fetches them

Tools that no package index has are named, and their tests skipped. Needs only Python and cargo: the first run creates two virtual
environments under `target/`, one with PyTorch, onnx, onnxruntime, OpenVINO, tract and scikit-learn (for its photographs), and one with
onnx2tf and LiteRT, which need other versions of the same packages.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

# PyTorch is a download of two gigabytes, TensorFlow of one.
FETCH_LIMIT_S = 900
HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[3]
TARGET = REPOSITORY / "target"
# For each variable with the path of a Python for the tests: its folder, its packages, and how
# messages name them.
ENVIRONMENTS = {
    "DA2S_PYTHON": ("export-venv", "requirements.txt", "PyTorch, onnx, onnxruntime, OpenVINO, tract and scikit-learn"),
    "DA2S_TFLITE_PYTHON": ("tflite-venv", "requirements-tflite.txt", "onnx2tf and LiteRT"),
}


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, cwd=REPOSITORY, **options)


def python(folder, requirements):
    """The interpreter of a virtual environment, created if it is incomplete; `None` if its packages cannot be installed."""
    folder = TARGET / folder
    program = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    whole, needed = folder / "installed", HERE / requirements
    if not whole.exists() or whole.read_text() != needed.read_text():
        venv.create(folder, with_pip=True, clear=True)
        try:
            run(program, "-m", "pip", "install", "--quiet", "-r", needed, timeout=FETCH_LIMIT_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None
        whole.write_text(needed.read_text())
    return program


def main():
    tools = {}
    for variable, (folder, requirements, names) in ENVIRONMENTS.items():
        found = python(folder, requirements)
        if found is None:
            print(f"exports skipped: no package index gives {names}")
        else:
            tools[variable] = str(found)
    if sys.argv[1:] == ["--fetch"] or not tools:
        return
    run("cargo", "test", "--release", "--locked", "--test", "export", "--", "--nocapture", *sys.argv[1:], env=os.environ | tools)


main()
