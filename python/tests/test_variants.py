"""Networks of several sizes from one search, and the trained network in int8."""

import json

import pytest
from conftest import TINY

import da2s


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of its own, since fronts and int8 are written into it."""
    return da2s.run("digits", out=tmp_path_factory.mktemp("variants") / "run", settings=TINY)


def test_a_front_is_what_its_files_say(run):
    heard = []
    front = da2s.front(run, widths=[0.5, 1], max_multiply_adds=run.multiply_adds, epochs=1, threads=1, on_progress=heard.append)
    written = json.loads((run.path / "front/front.json").read_text())
    assert front.page == run.path / "front/front.html" and front.page.is_file()
    assert (front.dataset, front.epochs, front.precision) == ("digits", 1, "float32")
    assert front.chance == written["chance"] and 10 <= front.chance < 20
    assert front.latency["measured"] and front.latency["threads"] == 1
    names = [event.name for event in heard if isinstance(event, da2s.FrontNetwork)]
    # The widest network within the limit is that of width 1.
    assert names == ["c2-n3-e1", "c4-n3-e1"]
    assert [len(point.requested) for point in front.points] == [1, 2]
    assert [point.name for point in front.points] == [point["name"] for point in written["points"]]
    for point, fields in zip(front.points, written["points"]):
        assert point.accuracy == fields["accuracy"] and point.latency_ms == fields["latency_ms"] > 0
        assert point.on_front == fields["on_front"] and point.at_chance == fields["at_chance"]
        assert point.run.result.network_accuracy == point.accuracy
    # Nothing is left to do.
    heard.clear()
    again = da2s.front(run.run, widths=(0.5, 1), epochs=1, on_progress=heard.append)
    assert [point.name for point in again.points] == [point.name for point in front.points]
    assert not any(isinstance(event, da2s.FrontNetwork) for event in heard)


def test_impossible_fronts_are_refused(run):
    for arguments, problem in [
        ({"widths": [0.5, 0.5]}, "a width of 0.5 is requested twice"),
        ({"widths": 0.0}, "expected a number above 0"),
        ({"depths": [2, (1, 2)]}, "vary the number of cells"),
        ({"max_size": "200 apples"}, "max_size: .*expected a number of bytes"),
        ({"max_size": -1}, "max_size: .*expected"),
        ({"max_latency": ["5ms"]}, "a limit on latency needs the times of blocks"),
        ({"epochs": 0}, "epochs"),
        ({"seed": 3}, "seed: expected one of"),
    ]:
        with pytest.raises(da2s.ConfigError, match=problem):
            da2s.front(run, **arguments)
    with pytest.raises(TypeError):
        da2s.front(run, max_size=[None])


def test_a_network_is_quantised(run):
    int8 = da2s.quantise(run, images=32, range="minmax", threads=1)
    written = json.loads((run.path / "network/int8.json").read_text())
    assert (int8.calibration_images, int8.range, int8.images) == (32, "minmax", 40)
    assert int8.accuracy == written["accuracy"] and int8.gap == pytest.approx(int8.float32_accuracy - int8.accuracy)
    assert int8.safetensors.is_file() and int8.onnx.is_file() and int8.size_bytes > 0
    assert da2s.Run(run.path).result.int8_accuracy == int8.accuracy
    with pytest.raises(da2s.ConfigError, match="range = best: expected one of mse, minmax"):
        da2s.quantise(run, range="best")
    with pytest.raises(da2s.ConfigError, match="images = 0: expected at least 1"):
        da2s.quantise(run, images=0)


def test_runs_on_arrays_need_them_again(digits, tmp_path):
    pixels, labels = digits.train.images, digits.train.labels
    made = da2s.run((pixels, labels), out=tmp_path / "run", recipe="digits", settings=TINY)
    again = {"data": (pixels, labels)}
    assert len(da2s.front(made, widths=1, epochs=1, **again).points) == 1
    assert da2s.quantise(made, images=8, **again).calibration_images == 8
    with pytest.raises(da2s.Da2sError):
        da2s.quantise(made, images=8)
