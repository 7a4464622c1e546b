"""Checks the preprocessing that exports describe, and graphs that include it; prints one JSON object.

    python check_preprocessing.py IMAGES FOLDER

IMAGES contains image files. FOLDER contains `expected.safetensors` with the `probabilities` that da2s computes for them, in the
order of their names, `network.onnx`, which preprocesses, with `preprocessing.json` beside it, and `pytorch/`. Nothing is judged
here: the test that runs this script reads the largest differences.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime
import torch
import tract
from PIL import Image, ImageOps
from safetensors.numpy import load_file


def described(path, what, resample=Image.Resampling.BILINEAR, in_bytes=False):
    """What a network sees of a file, computed with Pillow from `what`, the contents of `preprocessing.json`, and nothing else.

    Pillow resizes floats exactly; it rounds bytes twice, after each direction. Its `resize(box=…)` would read pixels outside the box.
    """
    fixed = {key: what[key] for key in ("orientation", "colour_order", "crop", "filter", "antialias")}
    assert list(fixed.values()) == ["exif", "RGB", "centre_square", "bilinear", True], fixed
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    if what["channels"] == 1:
        image = image.convert("L", (*what["grey"], 0))
    side = min(max(int(min(image.size) * what["centre_crop"] + 0.5), 1), min(image.size))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    size = (what["image_size"], what["image_size"])
    image = image.crop((left, top, left + side, top + side))
    bands = image.split() if in_bytes else [band.convert("F") for band in image.split()]
    bands = [band.resize(size, resample) for band in bands]
    pixels = numpy.floor(numpy.stack([numpy.asarray(band, numpy.float32) for band in bands]) + 0.5) / 255
    mean, std = (numpy.float32(what[key])[:, None, None] for key in ("mean", "std"))
    return (pixels - mean) / std


def softmax(logits):
    powers = numpy.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def main():
    paths, folder = sorted(Path(sys.argv[1]).iterdir()), Path(sys.argv[2])
    expected = load_file(folder / "expected.safetensors")["probabilities"]
    what = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    images = [numpy.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))[None] for path in paths]

    model = onnx.load(folder / "network.onnx")
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    by_onnxruntime = [session.run(["logits"], {"images": image})[0] for image in images]
    same = [index for index, image in enumerate(images) if image.shape == images[-1].shape]
    together = session.run(["logits"], {"images": numpy.concatenate([images[index] for index in same])})[0]
    alone = numpy.concatenate([by_onnxruntime[index] for index in same])
    runnable = tract.onnx().load(folder / "network.onnx").into_model().into_runnable()
    by_tract = [runnable.run([image])[0].to_numpy() for image in images]

    spec = importlib.util.spec_from_file_location("model", folder / "pytorch" / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load()

    def by_torch(seen):
        with torch.inference_mode():
            return network(torch.stack([torch.as_tensor(one) for one in seen])).numpy()

    logits = {
        "onnxruntime": numpy.concatenate(by_onnxruntime),
        "tract": numpy.concatenate(by_tract),
        "model.py": by_torch([module.preprocess(Image.open(path)) for path in paths]),
        "pillow": by_torch([described(path, what) for path in paths]),
        "pillow in bytes": by_torch([described(path, what, in_bytes=True) for path in paths]),
        "another filter": by_torch([described(path, what, Image.Resampling.NEAREST) for path in paths]),
    }
    results = {name: float(numpy.abs(softmax(one) - expected).max()) for name, one in logits.items()}
    print(
        json.dumps(
            results
            | {
                "together": float(numpy.abs(together - alone).max()),
                "several": len(same),
                "documentation": model.doc_string,
                "metadata": {prop.key: prop.value for prop in model.metadata_props},
                "inside": json.loads((folder / "pytorch" / "preprocessing.json").read_text(encoding="utf-8")) == what,
            }
        )
    )


main()
