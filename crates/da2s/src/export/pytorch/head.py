"""A network that da2s found and trained, in plain PyTorch.

    from PIL import Image
    from model import CLASS_NAMES, load, preprocess

    network = load()                                            # weights.safetensors, beside this file
    logits = network(preprocess(Image.open("picture.png"))[None])
    print(CLASS_NAMES[logits.argmax().item()])

Needs torch and safetensors, and Pillow for pictures. Modules are called as in the DARTS family of PyTorch code, so
that the weights fit there too. Neither the auxiliary head nor drop-path is here: they only help training.
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
PREPROCESSING = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
CLASS_NAMES = PREPROCESSING["classes"]
