"""The JSON schema of configuration files, read by a validator that is not ours."""

import json
from pathlib import Path

import jsonschema
import pytest

tomllib = pytest.importorskip("tomllib")

CONFIGS = Path(__file__).resolve().parents[2] / "crates/da2s/recipes"
VALIDATOR = jsonschema.Draft7Validator(json.loads((CONFIGS / "settings.schema.json").read_text(encoding="utf-8")))


def test_the_schema_is_a_valid_json_schema():
    VALIDATOR.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_valid(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#:schema settings.schema.json\n")
    VALIDATOR.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "[search]\nepochs = 0",
        "[search]\nepochs = 1.5",
        "[search]\nepcohs = 3",
        "[search]\nmethod = 'magic'",
        "[search]\nmomentum = 1.0",
        "[search]\nlearning_rate = 0",
        "[search]\nalpha_rate = 'car'",
        "[search]\nlimit_weight = 1e300",
        "[target]\nedges = []",
        "[target]\nedges = 'most'",
        "[space]\noperations = ['skip_connect', 'skip_connect']",
        "[network.augmentation.random_resized_crop]\nscale = [0.5, 2]",
        "search = 3",
    ],
)
def test_what_is_not_allowed_is_invalid(text):
    assert not VALIDATOR.is_valid(tomllib.loads(text))
