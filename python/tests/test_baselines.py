"""Networks by name, and baselines."""

import pytest
from conftest import TINY

import da2s

SMALL = {key: value for key, value in TINY.items() if key not in ("network.channels", "network.cells")}


def test_a_network_is_trained_by_its_name_and_has_baselines(tmp_path):
    heard = []
    with pytest.warns(UserWarning, match="the widest resnet8 within the limits"):
        made = da2s.run(
            "digits",
            out=tmp_path / "run",
            network="resnet8",
            max_parameters=5000,
            baselines=["ds-cnn"],
            settings={**SMALL, "network.seeds": 2},
            on_progress=heard.append,
        )
    (seed,) = (event for event in heard if isinstance(event, da2s.Seed))
    assert (seed.seed, seed.place, seed.trainings) == (2, 2, 2)
    assert [each["seed"] for each in made.seeds["trainings"]] == [1, 2]
    assert made.seeds["trainings"][0]["accuracy"] == made.network_accuracy
    (named,) = (event for event in heard if isinstance(event, da2s.Baseline))
    assert named.network == "ds-cnn" and named.channels > 0
    assert (made.network, made.gap) == ("resnet8", None)
    assert made.parameters <= 5000
    (baseline,) = made.baselines
    assert baseline["network"] == "ds-cnn" and 0 <= baseline["p"] <= 1
    assert da2s.Run(made.path / "baselines" / "ds-cnn").result.network == "ds-cnn"


def test_an_invalid_network_is_refused(tmp_path):
    with pytest.raises(da2s.ConfigError, match="resnet9: expected one of resnet8"):
        da2s.run("digits", out=tmp_path / "run", network="resnet9", settings=SMALL)
    with pytest.raises(da2s.ConfigError, match="exclude each other"):
        da2s.run("digits", out=tmp_path / "run", network="resnet8", genotype="Genotype(stages=[])", settings=SMALL)
    assert not (tmp_path / "run").exists()
