"""Runs an int8 network in QDQ form with the real onnxruntime; prints one JSON object.

    python check_int8.py FOLDER

FOLDER contains `int8.onnx`, and `expected.safetensors` with `images`, the `logits` of da2s-infer, and `labels`. Nothing is judged
here: the test that runs this script reads the numbers.
"""

import json
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime
from safetensors.numpy import load_file


def run(path, images, level, optimised=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.graph_optimization_level = level
    if optimised:
        options.optimized_model_filepath = str(optimised)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]


def compared(logits, expected):
    """Root mean squared difference in units of the spread; percentages of images with the same class and with the right class."""
    difference = numpy.sqrt(((logits - expected["logits"]) ** 2).mean()) / max(expected["logits"].std(), 1e-6)
    same = logits.argmax(1) == expected["logits"].argmax(1)
    right = logits.argmax(1) == expected["labels"]
    return {"difference": float(difference), "same": 100 * float(same.mean()), "accuracy": 100 * float(right.mean())}


def main():
    folder = Path(sys.argv[1])
    path, optimised = folder / "int8.onnx", folder / "optimised.onnx"
    expected = load_file(folder / "expected.safetensors")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    levels = onnxruntime.GraphOptimizationLevel
    logits = run(path, expected["images"], levels.ORT_ENABLE_EXTENDED, optimised)
    plain = run(path, expected["images"], levels.ORT_DISABLE_ALL)
    kinds = [node.op_type for node in onnx.load(optimised).graph.node]
    print(json.dumps({
        "optimised": compared(logits, expected),
        "plain": compared(plain, expected),
        "float_convolutions": kinds.count("Conv") + kinds.count("FusedConv"),
        "integer_convolutions": kinds.count("QLinearConv"),
        "classes": logits.shape[1],
    }))


main()
