"""Runs with a given time: which settings are chosen, which are kept, and which times are refused."""

from datetime import timedelta

import pytest
from conftest import TINY, write_png

import da2s

#: Settings with which a run on a folder of images takes a second or two; the recipe's auxiliary head needs larger images.
FOLDER = {**TINY, "data.image_size": 8, "network.auxiliary": False, "network.augmentation.cutout": 0}


def test_a_time_chooses_what_was_not_requested(tmp_path):
    heard = []
    asked = {key: value for key, value in TINY.items() if key != "network.epochs"}
    made = da2s.run("digits", out=tmp_path / "run", time="30s", settings=asked, on_progress=heard.append)
    plan = made.plan
    assert heard[0].text == plan.text and isinstance(heard[0], da2s.Plan)
    assert "search.epochs" not in plan.chosen and plan.chosen["network.epochs"] == plan.network.epochs
    assert any("as requested: " in reason and "search.epochs" in reason for reason in plan.reasons)
    assert (plan.limit_s, plan.at_most) == (30, False)
    assert plan.total_s < 30 and plan.search.epochs == 2 and len(plan.classes) == 10
    assert plan.images["train"] + plan.images["validation"] == 160 and plan.images["test"] == 40
    assert [each.stage for each in plan.times] == ["search", "discretize", "train", "evaluate", "report"]
    # The number of training epochs is chosen once more, for the network that was found.
    (again,) = (event for event in heard if isinstance(event, da2s.TrainingPlan))
    assert plan.training == again and again.planned == plan.network.epochs
    # And again, while it trains, if it would not end in time.
    lengths = [again.epochs] + [event.epochs for event in heard if isinstance(event, da2s.NewLength)]
    assert made.run.settings["network"]["epochs"] == lengths[-1] == len(made.run.train_epochs())
    assert "Chosen from measured steps" in (made.path / "config.toml").read_text()
    assert "plan for" in str(plan) and "&" not in plan.text and plan._repr_html_().startswith("<pre>plan for")
    assert made.run.result == made and made.run.result.plan is None


def test_a_given_network_is_planned_and_a_resumed_run_is_not(tmp_path):
    asked = {"network": "resnet8", "out": tmp_path / "run", "settings": {"data.limit": 160, "data.test_limit": 40, "network.channels": 4}}
    made = da2s.run("digits", time=timedelta(minutes=10), train_epochs=1, **asked)
    assert made.plan.search is None and made.plan.limit_s == 600 and made.plan.training is None
    assert "it ends early: the requested settings take no longer" in made.plan.reasons
    with pytest.warns(UserWarning, match="a time applies only to a new run: this one resumes with the settings in its config.toml"):
        again = da2s.run("digits", time="1h", resume=True, **asked)
    assert again.plan is None and again == made


@pytest.mark.parametrize("time", ["30", "soon", "0s", timedelta(0), 30])
def test_a_time_has_a_unit(tmp_path, time):
    with pytest.raises(da2s.ConfigError, match="^time = .*: expected a .*with its unit"):
        da2s.run("digits", out=tmp_path / "run", time=time)
    assert not (tmp_path / "run").exists()


def test_a_time_that_is_too_short_leaves_nothing(tmp_path):
    with pytest.raises(da2s.ConfigError, match="is too short: even at its smallest, this run takes about"):
        da2s.run("digits", out=tmp_path / "run", time="1s", search_epochs=1000)
    assert not (tmp_path / "run").exists()


def test_a_listener_that_refuses_the_plan_leaves_nothing(tmp_path):
    class No(Exception):
        pass

    def refuse(event):
        raise No

    with pytest.raises(No):
        da2s.run("digits", out=tmp_path / "run", time="10m", settings=TINY, on_progress=refuse)
    assert not (tmp_path / "run").exists()


def test_the_recipe_for_folders_has_a_limit(result, digits, tmp_path):
    made, _ = result
    assert made.plan is None
    for index, (image, label) in enumerate(zip(digits.train.images, digits.train.labels)):
        write_png(tmp_path / "images" / str(label) / f"{index}.png", image)
    folder = da2s.run(tmp_path / "images", out=tmp_path / "run", settings={**FOLDER, "network.channels": 4})
    assert folder.plan.at_most and folder.plan.limit_s == 7200 and folder.plan.reasons == []
    sweep = da2s.stages.created("sweep", tmp_path / "images", None, None, tmp_path / "other", False, None, None, FOLDER, {})
    assert sweep.plan(None, None) is None
