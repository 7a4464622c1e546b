"""The notebook of the documentation runs from its first cell to its last."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the notebook is skipped: nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="the notebook is skipped: nbclient is not installed")

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "book" / "src" / "guide" / "python.ipynb"


def test_the_notebook_runs(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(notebook, timeout=1200, resources=resources, coalesce_streams=True, record_timing=False)
    client.execute()
    # DA2S_NOTEBOOK_OUT saves the executed notebook; the one in the repository was created in this
    # way.
    if kept := os.environ.get("DA2S_NOTEBOOK_OUT"):
        nbformat.write(notebook, kept)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = ["image/png" in output.get("data", {}) for output in outputs]
    assert sum(pictures) == 3, "two cells and a curve"
    assert any("text/html" in output.get("data", {}) for output in outputs), "a frame"
    texts = "".join(output.get("text", "") for output in outputs)
    assert "gap" in texts
