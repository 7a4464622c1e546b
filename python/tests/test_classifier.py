"""Runs as classifiers of scikit-learn: images and labels of every kind, pickling, pipelines, and scikit-learn's own checks."""

import copy
import gc
import pickle
import sys
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", reason="the classifier is skipped: scikit-learn is not installed")

from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import da2s

#: Arguments for a named network, which is trained in a second, and for a search of two seconds.
NETWORK = {"network": "ds-cnn", "train_epochs": 2, "settings": {"network.channels": 4, "network.batch_size": 16}, "threads": 1}
SEARCH = {
    "search_epochs": 2,
    "train_epochs": 1,
    "settings": {
        "search.warmup_epochs": 1,
        "search.channels": 2,
        "search.cells": 3,
        "search.batch_size": 20,
        "network.channels": 4,
        "network.cells": 3,
        "network.batch_size": 40,
        "discretize.edge_images": 0,
    },
}


def classifier(**more):
    return da2s.Da2sClassifier(random_state=1, **{**NETWORK, **more})


@pytest.fixture(scope="module")
def two():
    """Bright and dark images of 8×8 bytes, and their labels as words."""
    random = np.random.default_rng(0)
    labels = np.array(["dark", "bright"] * 40)
    images = random.integers(0, 100, (80, 8, 8)) + 150 * (labels == "bright")[:, None, None]
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def fitted(two):
    return classifier(train_epochs=6).fit(*two)


def test_images_and_words(fitted, two):
    images, labels = two
    assert list(fitted.classes_) == ["bright", "dark"] and fitted.n_features_in_ == 64 and fitted.image_shape_ == (8, 8)
    probabilities = fitted.predict_proba(images)
    assert probabilities.shape == (80, 2) and probabilities.sum(1) == pytest.approx(1)
    assert (fitted.classes_[probabilities.argmax(1)] == fitted.predict(images)).all()
    assert fitted.score(images, labels) > 0.9
    assert fitted.result_.class_scores[0].class_ == "bright" and fitted.run_.result == fitted.result_


def test_a_search(two):
    found = da2s.Da2sClassifier(random_state=3, **SEARCH).fit(*two)
    assert found.result_.gap is not None and found.run_.settings["run"]["seed"] == 3


def test_the_same_images_in_other_forms_give_the_same_network(two):
    images, labels = two
    colours = np.repeat(images[..., None], 3, axis=3)
    forms = {
        "bytes": images,
        "channels": images[..., None],
        "rows": images.reshape(80, 64),
        "fractions": images / 255,
        "lists": images.reshape(80, 64).tolist(),
    }
    found = {}
    for name, form in forms.items():
        ends = {"fractions": (0, 1), "lists": (0, 255)}.get(name)
        found[name] = classifier(pixel_range=ends).fit(form, labels).predict_proba(form)
    for name, probabilities in found.items():
        assert (probabilities == found["bytes"]).all(), name
    rows = classifier(image_shape=(8, 8, 3)).fit(colours.reshape(80, -1), labels)
    assert (rows.predict_proba(colours) == classifier().fit(colours, labels).predict_proba(colours)).all()


def test_other_numbers_are_scaled_as_in_fit(two):
    images, labels = two
    found = classifier().fit(images.astype(np.float32) / 10 - 3, labels)
    assert found.pixel_range_ == pytest.approx((images.min() / 10 - 3, images.max() / 10 - 3))
    # Values outside the range are clipped.
    low, high = found.pixel_range_
    ends, far = (np.stack([np.full((8, 8), end) for end in pair]) for pair in ((low, high), (-1e300, 1e300)))
    assert (found.predict_proba(far) == found.predict_proba(ends)).all()
    constant = classifier().fit(np.zeros((80, 64)), labels)
    assert constant.pixel_range_ == (0, 1)


def test_rows_are_filled_with_black_in_fit_and_in_predict(two):
    images, labels = two
    # No value is 0.
    rows = images.reshape(80, 64)[:, :63] // 2 + 50
    for more, form in (({}, rows), ({"pixel_range": (-0.5, 255)}, rows.astype(int))):
        found = classifier(image_shape="square", train_epochs=4, **more).fit(form, labels, test=(form, labels))
        assert found.result_.network_accuracy == pytest.approx(100 * found.score(form, labels))
        own = found.run_.predict(found._bytes(form))
        assert (found._bytes(form)[:, 7, 7] == 0).all() and [one.label for one in own] == list(found.predict(form))


def test_the_centre_of_images_that_are_not_square_is_used(two):
    images, labels = two
    with pytest.warns(UserWarning, match="the images have 8×6 pixels: only the centred square of 6×6 is used"):
        wide = classifier().fit(images[:, :, 1:7], labels)
    square = classifier().fit(images[:, 1:7, 1:7], labels)
    assert (wide.predict_proba(images[:, :, 1:7]) == square.predict_proba(images[:, 1:7, 1:7])).all()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the images have")
        classifier().fit(images[:, None], labels)


def test_test_images_are_those_that_are_given(two):
    images, labels = two
    found = classifier().fit(images[:60], labels[:60], test=(images[60:], labels[60:]))
    assert sum(scores.images for scores in found.result_.class_scores) == 20
    with pytest.raises(ValueError, match="test: expected labels of fit, found 'grey'"):
        classifier().fit(images, labels, test=(images[:1], ["grey"]))


def test_a_run_directory_is_kept_on_request(two, tmp_path):
    found = classifier(out=tmp_path / "run").fit(*two)
    assert found.run_.path == tmp_path / "run" and (tmp_path / "run" / "report.html").is_file()
    with pytest.raises(da2s.RunDirectoryError, match="already contains a run"):
        found.fit(*two)
    temporary = classifier().fit(*two)
    path = temporary.run_.path
    assert path.is_dir()
    del temporary
    gc.collect()
    assert not path.exists()


def test_a_fitted_classifier_is_pickled_with_its_network(fitted, two, tmp_path):
    images, _ = two
    expected = fitted.predict_proba(images)
    text = pickle.dumps(fitted)
    assert len(text) < 2_000_000
    for other in (pickle.loads(text), copy.deepcopy(fitted)):
        assert other.run_.path != fitted.run_.path
        assert (other.predict_proba(images) == expected).all()
        assert other.run_.result == other.result_
        assert other.run_.report().is_file()
        assert other.run_.export("onnx", tmp_path / "network.onnx").is_file()
    assert fitted.run_.path.is_dir()


def test_clones_pipelines_and_cross_validation(fitted, two):
    images, labels = two
    again = clone(fitted)
    assert again.get_params() == fitted.get_params() and not hasattr(again, "classes_")
    assert again.set_params(train_epochs=1).train_epochs == 1
    pipeline = make_pipeline(FunctionTransformer(lambda images: 255 - images), again)
    assert cross_val_score(pipeline, images, labels, cv=2).shape == (2,)


def test_a_time_is_planned(two):
    found = classifier(time="20m").fit(*two)
    assert found.result_.plan.limit_s == 1200
    # The plan is pickled too.
    assert pickle.loads(pickle.dumps(found)).result_.plan == found.result_.plan


@pytest.mark.parametrize(
    "parameters, reason",
    [
        ({}, r"rows of 63 features are not square images: pass image_shape=\(H, W\), \(H, W, C\) or .square."),
        ({"image_shape": (8, 8)}, r"image_shape = \(8, 8\): expected \(H, W\) or \(H, W, C\) of 63 features"),
        ({"image_shape": "round"}, "image_shape = 'round': expected"),
        ({"image_shape": (7, 9), "pixel_range": (1, 1)}, r"pixel_range = \(1, 1\): expected two numbers, low < high"),
    ],
)
def test_what_does_not_fit_is_refused(two, parameters, reason):
    images, labels = two
    with pytest.raises(ValueError, match=reason):
        classifier(**parameters).fit(images.reshape(80, 64)[:, :63].astype(float), labels)


def test_images_of_another_shape_are_refused(fitted, two):
    images, labels = two
    with pytest.raises(ValueError, match=r"expected images of the shape \(8, 8\), as in fit, found \(8, 7\)"):
        fitted.predict(images[:, :, :7])
    with pytest.raises(ValueError, match="expected one label for each of 80 images"):
        classifier().fit(images, labels[:-1])
    with pytest.raises(da2s.DataError, match="N×H×W×C"):
        classifier().fit(np.zeros((80, 8, 8, 1, 1)), labels)


def test_without_scikit_learn_there_is_no_classifier(monkeypatch):
    for name in [name for name in sys.modules if name == "da2s.classifier" or name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(da2s.MissingPackage, match="pip install scikit-learn"):
        da2s.Da2sClassifier
    with pytest.raises(AttributeError, match="Da2sRegressor"):
        da2s.Da2sRegressor


#: scikit-learn's checks that fail, and why.
FAILS = {
    "check_classifiers_train": "requires 83 % on points of a plane, which are images of 2×2 pixels here, half of them empty: a training of "
    "a few seconds does not reach it",
}


CHECKED = classifier(image_shape="square", train_epochs=4, settings={"network.channels": 8, "network.batch_size": 4})


@parametrize_with_checks([CHECKED], expected_failed_checks=lambda _: FAILS)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)
