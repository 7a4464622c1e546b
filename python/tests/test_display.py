"""What a notebook shows: progress bars, and runs and results as tables."""

import re
import sys

import pytest
from conftest import TINY

import da2s


def test_results_and_runs_are_tables(result, tmp_path):
    made, _ = result
    shown = made._repr_html_()
    assert f"{made.network_accuracy:.2f} %" in shown and made.genotype[:8] in shown and shown.count("<tr>") == shown.count("</tr>")
    run = made.run._repr_html_()
    assert f"{made.gap:.2f} points" in run
    assert re.findall('alt="([^"]+)"', run) == ["normal-cell", "reduction-cell", "search-accuracy"]
    assert not (made.path / "drawings").exists(), "nothing is written to the run"
    # An unfinished run with markup in its name.
    searched = da2s.search("digits", out=tmp_path / "<b>&", settings=TINY)
    shown = searched._repr_html_()
    assert "<td>2 epochs</td>" in shown and "&lt;b&gt;&amp;" in shown and "<b>" not in shown and "<img" not in shown
    assert "points" in da2s.discretize(searched)._repr_html_()


class Bar:
    """Records the calls of a bar of tqdm."""

    made = []

    def __init__(self, total, initial, desc, unit):
        self.total, self.n, self.desc, self.closed, self.postfix = total, initial, desc, False, ""
        self.made.append(self)

    def update(self, more):
        self.n += more

    def set_postfix_str(self, text):
        self.postfix = text

    def close(self):
        self.closed = True


def test_a_bar_for_each_training(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(da2s.bars, "_tqdm", lambda: Bar)
    monkeypatch.setattr(Bar, "made", [])
    bars = da2s.Bars()
    da2s.run("digits", out=tmp_path / "run", settings={**TINY, "network.seeds": 2}, on_progress=bars)
    # The bars of a second run do not have the suffix of the first run.
    da2s.run("digits", out=tmp_path / "other", settings=TINY, on_progress=bars)
    assert [bar.desc for bar in Bar.made] == ["search", "train", "train, seed 2", "search", "train"]
    assert all(bar.closed and bar.n == bar.total for bar in Bar.made)
    assert "super-network" in Bar.made[0].postfix and "training images" in Bar.made[1].postfix
    assert re.search(r"^gap -?\d+\.\d\d points$", capsys.readouterr().out, re.M)


def test_without_tqdm_there_is_a_line_after_each_epoch(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    da2s.run("digits", out=tmp_path / "run", time="10m", settings=TINY, on_progress=da2s.Bars())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("plan for ")
    assert [line.split(": super")[0] for line in lines if "super-network" in line] == ["search: epoch 1 of 2", "search: epoch 2 of 2"]
    assert sum(line.startswith("train: epoch") for line in lines) == 2


def test_bars_of_tqdm_are_drawn(capsys, tmp_path):
    pytest.importorskip("tqdm", reason="the bars of tqdm are skipped: it is not installed")
    da2s.run("digits", out=tmp_path / "run", settings=TINY, on_progress=da2s.Bars())
    assert re.search(r"search: +100%", capsys.readouterr().err)
