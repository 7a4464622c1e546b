"""Errors: their classes, and what they say to a Python user."""

import json
import shutil
import sys
import warnings

import numpy as np
import pytest
from conftest import TINY

import da2s


def test_every_error_is_one_of_da2s_and_one_of_python():
    for kind, python in {
        da2s.ConfigError: ValueError,
        da2s.DataError: ValueError,
        da2s.GenotypeError: ValueError,
        da2s.DeviceError: RuntimeError,
        da2s.FileError: OSError,
        da2s.NotEnoughMemoryError: MemoryError,
        da2s.NotFiniteError: ArithmeticError,
        da2s.MissingPackage: ImportError,
        da2s.InternalError: RuntimeError,
        da2s.RunDirectoryError: Exception,
        da2s.BusyError: da2s.RunDirectoryError,
        da2s.Stopped: Exception,
    }.items():
        assert issubclass(kind, da2s.Da2sError) and issubclass(kind, python)


def test_settings_are_checked_as_the_command_line_checks_them():
    with pytest.raises(da2s.ConfigError, match="settings: unknown key search.epoch: did you mean search.epochs"):
        da2s.run("digits", settings={"search.epoch": 1})
    with pytest.raises(da2s.ConfigError, match="settings: unknown key search.epoch: did you mean search.epochs"):
        da2s.run("digits", settings={"search": {"epoch": 1}})
    with pytest.raises(da2s.ConfigError, match='search_epochs: search.epochs = "a": expected a whole number'):
        da2s.run("digits", search_epochs="a")
    with pytest.raises(da2s.ConfigError, match="^epochs: expected one of data_dir, "):
        da2s.run("digits", epochs=3)
    with pytest.raises(da2s.ConfigError, match="method: search.method = "):
        da2s.run("digits", method="magic")
    with pytest.raises(da2s.ConfigError, match="there is no recipe none"):
        da2s.run("digits", recipe="none")
    with pytest.raises(TypeError, match="a setting cannot be a set"):
        da2s.run("digits", settings={"search.epochs": {1}})
    with pytest.raises(OverflowError):
        da2s.run("digits", seed=2**70)


def test_a_value_that_contains_itself_is_not_a_setting():
    itself = []
    itself.append(itself)
    for value in (itself, {"a": itself}):
        with pytest.raises(TypeError, match="a setting cannot have more than 16 nested lists"):
            da2s.run("digits", settings={"target.edges": value})
    # A NumPy number whose `item` has the same type.
    with pytest.raises(TypeError, match="a setting cannot be a (longdouble|float128)"):
        da2s.run("digits", settings={"search.regulariser.lambda": np.longdouble(1)})


def test_run_directories(result, tmp_path):
    made, _ = result
    with pytest.raises(da2s.RunDirectoryError, match="already contains a run; resume with resume=True, or choose another directory with out=$"):
        da2s.run("digits", out=made.path, settings=TINY)
    with pytest.raises(da2s.RunDirectoryError, match="it has search.epochs = 2, but 3 was requested"):
        da2s.run("digits", out=made.path, resume=True, settings={**TINY, "search.epochs": 3})
    with pytest.raises(da2s.RunDirectoryError, match="is not a run directory"):
        da2s.Run(tmp_path)
    with pytest.raises(da2s.RunDirectoryError, match="is not a run directory"):
        da2s.train(tmp_path)
    with pytest.raises(da2s.FileError):
        da2s.run("digits", out="/dev/null/run", settings=TINY)


def test_only_one_process_at_a_time_works_on_a_run(tmp_path):
    """A stage locks the run and releases it however the stage ends, even if a reference to its exception is kept."""
    out = tmp_path / "run"
    refused = []

    def second(event):
        if isinstance(event, da2s.SearchEpoch):
            assert da2s.Run(out).settings["search"]["epochs"] == 2, "reading is free"
            with pytest.raises(da2s.BusyError, match="is in use by another process"):
                da2s.search("digits", out=out, settings=TINY, resume=True)
            refused.append(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:
        da2s.search("digits", out=out, settings=TINY, on_progress=second)
    assert len(refused) == 1
    da2s.search("digits", out=out, settings=TINY, resume=True)
    assert kept.traceback


def test_a_new_run_that_cannot_begin_leaves_no_directory(tmp_path):
    with pytest.raises(da2s.DeviceError, match="available here: cpu"):
        da2s.run("digits", out=tmp_path / "run", settings=TINY, device="abacus")
    with pytest.raises(da2s.GenotypeError):
        da2s.run("digits", out=tmp_path / "run", settings=TINY, genotype="Genotype(")
    with pytest.raises(da2s.FileError, match="nowhere"):
        da2s.run("digits", out=tmp_path / "run", settings=TINY, genotype=tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(da2s.FileError, match="cannot read .*latin"):
        da2s.run("digits", out=tmp_path / "run", settings=TINY, genotype=tmp_path / "latin")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "name, text, read",
    [
        ("summary.json", b"[]", lambda run: run.result),
        ("summary.json", b"{}", lambda run: run.result),
        ("genotype.json", b"{}", lambda run: run.genotype),
        ("genotype.json", b'{"genotype": "\xff"}', lambda run: run.genotype),
        ("gap.json", b'{"images": 3}', lambda run: run.gap),
        ("search/metrics.jsonl", b"\xff\n", lambda run: run.search_epochs()),
        ("network/metrics.jsonl", b"[]\n", lambda run: run.train_epochs()),
    ],
)
def test_a_damaged_file_is_named(result, tmp_path, name, text, read):
    made, _ = result
    for file in ("config.toml", "genotype.json"):
        shutil.copy(made.path / file, tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(text)
    with pytest.raises(da2s.RunDirectoryError, match=f"{name} is damaged: "):
        read(da2s.Run(tmp_path))


def test_hints_are_arguments_and_functions(tmp_path):
    run = da2s.search("digits", out=tmp_path / "lr--0.1--out/a --seed-2 b", settings=TINY)
    with pytest.raises(da2s.RunDirectoryError) as error:
        da2s.search("digits", out=run.path, settings=TINY)
    expected = f"{run.path} already contains a run; resume with resume=True, or choose another directory with out="
    assert str(error.value) == expected
    with pytest.raises(da2s.RunDirectoryError, match=r"genotype.json is missing; call da2s.discretize\(\) on this directory first$"):
        da2s.train(run)
    with pytest.raises(da2s.ConfigError, match=r"data.dir is not set: .*; pass data_dir=\.\.\.$"):
        da2s.search("cifar10", out=tmp_path / "cifar")


def test_a_run_that_fails_says_why_in_its_directory(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(da2s.NotFiniteError, match="; lower network.learning_rate, or pass on_nan=.rollback.$") as failure:
        da2s.run("digits", out=out, settings={**TINY, "network.learning_rate": 1e30})
    assert (out / "failure.txt").read_text() == f"{failure.value}\n"


def test_a_search_that_fails_says_why_in_its_directory(digits, tmp_path):
    out, other = tmp_path / "run", digits.train.images.copy()
    other[3, 4, 5] ^= 1
    da2s.search((digits.train.images, digits.train.labels), recipe="digits", out=out, settings=TINY)
    with pytest.raises(da2s.RunDirectoryError, match="their checksum differs") as failure:
        da2s.search((other, digits.train.labels), recipe="digits", out=out, settings=TINY, resume=True)
    assert (out / "failure.txt").read_text() == f"{failure.value}\n"


def test_an_undecided_search_warns_at_the_line_that_called_da2s(result, tmp_path):
    made, _ = result
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        da2s.discretize(da2s.search("digits", out=tmp_path / "run", settings=TINY))
    (warning,) = caught
    assert "; pass extra_epochs=0.5, raise search.alpha_rate" in str(warning.message) and "--" not in str(warning.message)
    assert warning.filename == __file__


def test_exports_and_pictures(result, tmp_path):
    made, _ = result
    assert made.run.export("safetensors", tmp_path / "n.safetensors").stat().st_size > 1000
    assert made.run.export().name == "network.onnx"
    with pytest.raises(da2s.ConfigError, match="format = tf: expected one of onnx, pytorch, safetensors"):
        made.run.export("tf")
    with pytest.raises(da2s.ConfigError, match="fold_batch_norms is for the format onnx"):
        made.run.export("pytorch", fold_batch_norms=True)
    with pytest.raises(da2s.ConfigError, match="with_preprocessing is for the format onnx"):
        made.run.export("safetensors", with_preprocessing=True)
    plain = made.run.export("onnx", tmp_path / "plain" / "n.onnx")
    whole = made.run.export("onnx", tmp_path / "whole" / "n.onnx", with_preprocessing=True)
    assert whole.stat().st_size > plain.stat().st_size
    assert (whole.parent / "preprocessing.json").read_text() == (plain.parent / "preprocessing.json").read_text()
    pictures = made.run.draw(["svg"], tmp_path / "pictures")
    assert {"normal-cell.svg", "reduction-cell.svg"} <= {path.name for path in pictures}
    with pytest.raises(da2s.ConfigError, match="format = gif: expected one of svg, png, dot"):
        made.run.draw(["gif"])


def test_frames(result):
    pandas = pytest.importorskip("pandas")
    made, _ = result
    searched = made.metrics()
    assert list(searched.index) == [1, 2]
    assert searched["gap"].iloc[-1] == made.run.search_epochs()[-1].gap
    assert list(made.metrics("train")["train_loss"]) == [epoch.train_loss for epoch in made.run.train_epochs()]
    arch = made.arch()
    assert isinstance(arch, pandas.DataFrame)
    # Epochs 0 to 2, two kinds of cell, 14 edges, 7 candidates; p sums to 1 on every edge.
    assert len(arch) == 3 * 2 * 14 * 7
    sums = arch.groupby(["epoch", "cell", "from", "to"])["p"].sum()
    assert sums.to_numpy() == pytest.approx(1, abs=1e-5)
    with pytest.raises(da2s.ConfigError, match="stage = test"):
        made.metrics("test")
    evaluation = json.loads((made.path / "network/evaluation.json").read_text())
    classes = made.run.classes()
    assert list(classes.index) == evaluation["classes"] and classes["images"].sum() == evaluation["images"]
    mistakes = made.run.mistakes()
    assert sorted(mistakes.index) == evaluation["wrong"]
    assert set(mistakes["truth"]) <= set(evaluation["classes"]), "class names are strings, even those of digits"
    assert (mistakes["truth"] != mistakes["prediction"]).all()
    bins = made.run.calibration()
    assert len(bins) == 15 and bins["images"].sum() == evaluation["images"]


def test_a_missing_package_is_named(result, monkeypatch, tmp_path):
    made, _ = result
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(da2s.MissingPackage, match="pip install pandas"):
        made.metrics()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(da2s.MissingPackage, match="pip install ray"):
        da2s.sweep("digits", out=tmp_path / "sweep")
