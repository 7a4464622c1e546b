"""Images as arrays, folders and names of data sets, and errors in them."""

import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, same_bits, write_png

import da2s
from da2s.data import planes


def test_arrays_give_the_same_results_as_the_data_set_that_they_are_from(result, digits, tmp_path):
    made, _ = result
    arrays = (digits.train.images, digits.train.labels)
    test = (digits.test.images, digits.test.labels)
    same = da2s.run(arrays, test=test, class_names=digits.class_names, recipe="digits", out=tmp_path / "run", settings=TINY)
    assert same_bits(same.path, made.path) == []
    assert same.dataset == "arrays"
    assert da2s.Run(same.path).settings["data"]["image_size"] == 8


def test_a_run_of_arrays_needs_them_again_and_takes_no_others(digits, tmp_path):
    arrays = (digits.train.images, digits.train.labels)
    test = (digits.test.images, digits.test.labels)
    run = da2s.search(arrays, test=test, recipe="digits", out=tmp_path / "run", settings=TINY)
    with pytest.raises(da2s.ConfigError, match="arrays are passed by a program"):
        da2s.discretize(run)
    other = digits.train.images.copy()
    other[3, 4, 5] ^= 1
    with pytest.raises(da2s.RunDirectoryError, match="their checksum differs"):
        da2s.discretize(run, data=(other, digits.train.labels), test=test)
    assert da2s.discretize(run, data=arrays, test=test).genotype.parameters > 0
    # The run of a data set in files takes no arrays.
    named = da2s.search("digits", out=tmp_path / "named", settings=TINY)
    with pytest.raises(da2s.ConfigError, match="this run has its images in files"):
        da2s.discretize(named, data=arrays, test=test)
    # It does not take another data set or folder either.
    for stage in (da2s.discretize, da2s.train, da2s.evaluate):
        for data in ("digits", tmp_path):
            with pytest.raises(da2s.ConfigError, match="data: expected arrays, .images, labels.: a run knows its data set"):
                stage(named, data=data)


def test_without_test_images_a_fifth_is_set_aside_and_colour_has_three_channels(tmp_path):
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (100, 10, 8, 3), dtype=np.uint8)
    labels = np.arange(100) % 4
    run = da2s.search((images, labels), out=tmp_path / "run", settings={**TINY, "data.test_limit": 20}, search_epochs=1)
    assert run.settings["data"]["channels"] == 3
    assert run.search_epochs()[0].steps == 2, "80 images, half of them for the weights, in batches of 20"


def coloured(count=20, height=8, width=8):
    """Images that differ in every plane, row and column: red grows downward, green grows to the right, blue differs from image to image."""
    down, right = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    blue = [np.full_like(down, 200 + image) for image in range(count)]
    return np.array([np.stack([10 * down, 100 + 10 * right, plane], axis=-1) for plane in blue], dtype=np.uint8)


def test_rows_columns_and_colours_keep_their_places(tmp_path):
    images = coloured()
    for part in ("train", "test"):
        for name in ("ape", "bee"):
            for file, image in enumerate(images):
                write_png(tmp_path / part / name / f"{file:02}.png", image)
    dataset = da2s.load_data(tmp_path, recipe="digits", image_size=8, settings={"data.channels": 3})
    for label in (0, 1):
        seen = dataset.test.images[dataset.test.labels == label]
        # Their order may differ.
        assert (seen[np.argsort(seen[:, 0, 0, 2])] == images).all()
    # The layout in which the library receives arrays: image by image, colour by colour, row by row.
    shape, pixels = planes("training", coloured(height=6))
    assert shape == (3, 6, 8)
    planar = np.frombuffer(pixels, dtype=np.uint8).reshape(20, 3, 6, 8)
    assert planar[7, 0, :, 5].tolist() == [0, 10, 20, 30, 40, 50]
    assert planar[7, 1, 5].tolist() == [100, 110, 120, 130, 140, 150, 160, 170]
    assert (planar[7, 2] == 207).all()


def test_arrays_may_have_any_memory_layout():
    for images in (coloured(height=6), coloured(height=6)[..., 0]):
        wide = np.repeat(images, 2, axis=2)
        reversed_twice = images[::-1].copy()[::-1]
        for view in (np.asfortranarray(images), wide[:, :, ::2], reversed_twice):
            assert not view.flags.c_contiguous
            assert planes("training", view) == planes("training", images)


def test_channels_may_come_first_if_the_shape_is_unambiguous():
    images = coloured(height=6)
    assert planes("training", images.transpose(0, 3, 1, 2)) == planes("training", images)
    grey = images[..., 0]
    assert planes("training", grey[:, None]) == planes("training", grey)
    # 3×8×3 is ambiguous: it is read as three rows of eight pixels in three channels.
    assert planes("training", images[:, :3])[0] == (3, 3, 8)


def test_labels_may_be_a_column(digits, tmp_path):
    images, labels = digits.train.images[:100], digits.train.labels[:100]
    made = [
        da2s.search((images, column), recipe="digits", out=tmp_path / name, settings=TINY)
        for name, column in (("flat", labels), ("column", labels[:, None]))
    ]
    metrics = [(Path(search.path) / "search/metrics.jsonl").read_bytes() for search in made]
    assert metrics[0] == metrics[1] != b""


def test_a_folder_that_moved_is_found_by_every_stage(tmp_path):
    generator = np.random.default_rng(1)
    for name in ("ape", "bee"):
        for file in range(25):
            write_png(tmp_path / "data" / name / f"{file}.png", generator.integers(0, 256, (9, 11, 3), dtype=np.uint8))
    made = da2s.run(tmp_path / "data", out=tmp_path / "run", settings=TINY, image_size=16, recipe="digits")
    assert [score.images for score in made.class_scores] == [5, 5], "a fifth of each class"
    assert made.network_balanced_accuracy == pytest.approx(sum(score.recall for score in made.class_scores) / 2)
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(da2s.DataError, match="no longer in .*say where they are with data_dir="):
        da2s.evaluate(made)
    assert da2s.evaluate(made, data_dir=tmp_path / "moved").network_accuracy == made.network_accuracy


@pytest.mark.parametrize(
    "arrays, message",
    [
        (lambda x, y: (x / 255.0, y), "training images: expected bytes .uint8, 0 to 255., found float64"),
        (lambda x, y: (x[0], y), "expected the shape N×H×W×C or N×H×W, found .8, 8."),
        (lambda x, y: (x, y[1:]), "expected one image for each of 159 labels"),
        (lambda x, y: (x, y - 1), "expected whole numbers from 0, found -1 to 8"),
        (lambda x, y: (x, y.astype(float)), "training labels: expected whole numbers, one per image, found float64"),
        (lambda x, y: (x, y + 1), "expected images of every class, found none of class 0"),
        (lambda x, y: (np.stack([x, x], axis=-1), y), "expected 1 or 3 channels, found 2"),
        (lambda x, y: (x[:0], y[:0]), "class names: expected two or more, found 0"),
        (lambda x, y: (x, y, y), "found 3 items"),
        (lambda x, y: ([x[0], x[1, 1:]], y[:2]), "expected one array N×H×W×C or N×H×W, with images of one size, found items of .8, 8. and .7, 8."),
        (lambda x, y: ((x, y), (x, y)), "expected .images, labels., found ..images, labels., .images, labels..; pass the second pair as test="),
        (lambda x, y: (x, [[1], [1, 2]]), "training labels: expected whole numbers, one per image, found items of list"),
    ],
)
def test_arrays_that_do_not_fit_are_named(digits, tmp_path, arrays, message):
    with pytest.raises(da2s.DataError, match=message):
        da2s.run(arrays(digits.train.images, digits.train.labels), out=tmp_path / "run", settings=TINY)
    assert not (tmp_path / "run").exists()


def test_a_folder_determines_its_data_set(tmp_path):
    generator = np.random.default_rng(1)
    for part in ("train", "test"):
        for name in ("ape", "bee"):
            for file in range(20):
                image = generator.integers(0, 256, (9, 11, 3), dtype=np.uint8)
                write_png(tmp_path / "data" / part / name / f"{file}.png", image)
    made = da2s.run(
        tmp_path / "data",
        out=tmp_path / "run",
        settings=TINY,
        image_size=16,
        recipe="digits",
        search_epochs=2,
    )
    assert made.dataset == "images"
    pictures = sorted((tmp_path / "data/test/ape").iterdir())[:2]
    predictions = made.run.predict(pictures, top=2)
    assert [sorted(name for name, _ in each.classes) for each in predictions] == [["ape", "bee"]] * 2
    for prediction in predictions:
        assert sum(probability for _, probability in prediction.classes) == pytest.approx(1, abs=1e-5)
        assert prediction.probability == max(probability for _, probability in prediction.classes)
    assert made.run.predict(str(pictures[0]))[0] == predictions[0]
    with pytest.raises(da2s.DataError, match="nowhere.png"):
        made.run.predict(tmp_path / "nowhere.png")


def test_a_folder_of_cifar_is_known_by_its_files(tmp_path):
    names = [f"class {label}" for label in range(10)]
    (tmp_path / "batches.meta.txt").write_text("\n".join(names))
    records = b"".join(bytes([label]) + bytes([label * 20]) * 3072 for label in range(10))
    for file in [*(f"data_batch_{batch}.bin" for batch in range(1, 6)), "test_batch.bin"]:
        (tmp_path / file).write_bytes(records)
    dataset = da2s.load_data(tmp_path)
    assert dataset.class_names == names
    assert dataset.train.images.shape == (50, 32, 32, 3)
    assert dataset.test.images[7].tolist() == [[[140] * 3] * 32] * 32
    assert dataset.train.labels.tolist() == list(range(10)) * 5
    assert da2s.load_data("cifar10", data_dir=str(tmp_path), limit=20).train.images.shape == (20, 32, 32, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="nobody forks elsewhere")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_loads_images_after_its_parent():
    def load():
        assert len(da2s.load_data("digits", settings=TINY, threads=2).train.images)

    load()
    child = multiprocessing.get_context("fork").Process(target=load)
    child.start()
    child.join(60)
    if child.is_alive():
        child.kill()
        child.join()
    assert child.exitcode == 0


def test_what_is_not_a_data_set_is_reported(tmp_path):
    with pytest.raises(da2s.DataError, match="data = digit: expected one of digits, cifar10"):
        da2s.run("digit")
    with pytest.raises(da2s.DataError, match="images belong in train/CLASS/"):
        da2s.run(tmp_path)
    with pytest.raises(da2s.ConfigError, match="found int"):
        da2s.run(3)
    with pytest.raises(da2s.ConfigError, match="belong to arrays"):
        da2s.run("digits", test=([], []))
    with pytest.raises(da2s.ConfigError, match="data.dir"):
        da2s.run("cifar10")


def test_predictions_for_arrays_give_the_accuracy_of_the_evaluation(result, digits):
    made, _ = result
    predictions = made.run.predict(digits.test.images, top=1)
    right = sum(each.label == str(label) for each, label in zip(predictions, digits.test.labels))
    assert 100 * right / len(predictions) == pytest.approx(made.network_accuracy)
    with pytest.raises(da2s.DataError, match="expected 1 channel and"):
        made.run.predict(np.zeros((1, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(da2s.ConfigError, match="top = 0"):
        made.run.predict(digits.test.images, top=0)
