"""Checks an export of da2s with the real onnx checker, onnxruntime, OpenVINO, tract and PyTorch; prints one JSON object.

    python check.py FOLDER

FOLDER contains `expected.safetensors` with `images`, `logits` and `labels` as da2s has them, `plain.onnx` and `folded.onnx`, and
`pytorch/`. Nothing is judged here: the test that runs this script reads the numbers.
"""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime
import openvino
import torch
import tract
from PIL import Image
from safetensors.numpy import load_file


def graph(path):
    """The graph checked in full: types and shapes of every value, and no batch norm that could have been folded."""
    content = Path(path).read_bytes()
    model = onnx.load_from_string(content)
    last = model.metadata_props[-1]
    assert last.key == "sha256" and last.value == hashlib.sha256(content[:-76]).hexdigest(), last
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    batch = inferred.graph.output[0].type.tensor_type.shape.dim[0].dim_param
    producers = {node.output[0]: node.op_type for node in model.graph.node}
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    return {
        "opset": model.opset_import[0].version,
        "batch": batch,
        "norms": len(norms),
        "foldable": sum(producers.get(norm.input[0]) == "Conv" for norm in norms),
        "metadata": {prop.key: prop.value for prop in model.metadata_props},
    }


def compared(logits, expected):
    """Largest difference, and accuracy in percent."""
    difference = float(numpy.abs(logits - expected["logits"]).max())
    return {"difference": difference, "accuracy": 100 * float((logits.argmax(1) == expected["labels"]).mean())}


def by_onnxruntime(path, expected):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    images = expected["images"]
    whole = session.run(["logits"], {"images": images})[0]
    one = session.run(["logits"], {"images": images[:1]})[0]
    return graph(path) | compared(whole, expected) | {"alone": float(numpy.abs(one - whole[:1]).max())}


def by_openvino(path, expected):
    # Where the processor has bfloat16, OpenVINO computes in it unless told otherwise.
    model = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2})
    return compared(model({"images": expected["images"]})["logits"], expected)


def by_tract(path, expected):
    # The batch size stays symbolic, since the model accepts any. The optimised model is run.
    model = tract.onnx().load(path).into_model().into_runnable()
    return compared(model.run([expected["images"]])[0].to_numpy(), expected)


def by_torch(folder, expected):
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    with torch.inference_mode():
        assert_refused(folder, model)
        logits = model.load()(torch.from_numpy(expected["images"])).numpy()
    return compared(logits, expected) | {"classes": model.CLASS_NAMES, "deep": of_16_bits(model.preprocess)}


def assert_refused(folder, model):
    """Weights that were changed after the export are refused."""
    weights = folder / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        model.load()
        raise AssertionError("changed weights were loaded")
    except ValueError as refused:
        assert "SHA256SUMS" in str(refused), refused
    finally:
        weights.write_bytes(content)


def of_16_bits(preprocess):
    """Largest difference after `preprocess` between a grey picture of 16 bits, in either mode of Pillow, and its copy of 8 bits."""
    deep = numpy.linspace(0, 65535, 32 * 32).astype(numpy.uint16).reshape(32, 32)
    flat = ((deep.astype(numpy.int32) + 128) // 257).astype(numpy.uint8)
    pictures = [Image.fromarray(pixels) for pixels in (deep, deep.astype(numpy.int32))]
    return max(float((preprocess(picture) - preprocess(Image.fromarray(flat))).abs().max()) for picture in pictures)


def main():
    folder = Path(sys.argv[1])
    torch.set_num_threads(2)
    expected = load_file(folder / "expected.safetensors")
    results = {name: by_onnxruntime(folder / f"{name}.onnx", expected) for name in ("plain", "folded")}
    results |= {f"openvino, {name}": by_openvino(folder / f"{name}.onnx", expected) for name in ("plain", "folded")}
    results |= {f"tract, {name}": by_tract(folder / f"{name}.onnx", expected) for name in ("plain", "folded")}
    print(json.dumps(results | {"pytorch": by_torch(folder / "pytorch", expected)}))


main()
