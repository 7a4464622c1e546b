"""A network that da2s found and trained, in plain PyTorch.

    from PIL import Image
    from model import CLASS_NAMES, load, preprocess

    network = load()                                            # weights.safetensors, beside this file
    logits = network(preprocess(Image.open("picture.png"))[None])
    print(CLASS_NAMES[logits.argmax().item()])

Needs torch and safetensors, and Pillow for pictures. Modules have the same names as in the DARTS family of PyTorch
code, so that the weights fit there too. Neither the auxiliary head nor drop-path is here: they only help training.
"""

import hashlib
import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent


def whole(name):
    """The bytes of a file beside this one, if they are those that were exported."""
    sums = dict(reversed(line.split("  ")) for line in (HERE / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    content = (HERE / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != sums.get(name):
        raise ValueError(f"{HERE / name} does not match its checksum in SHA256SUMS: it was damaged or changed")
    return content


PREPROCESSING = json.loads(whole("preprocessing.json").decode("utf-8"))
CLASS_NAMES = PREPROCESSING["classes"]
