"""Converts exports of da2s to TFLite with onnx2tf and runs them with LiteRT; prints one JSON object with an entry per folder.

    python check_tflite.py FOLDER...

Each folder contains `folded.onnx`, and `expected.safetensors` with `images`, `logits` and `labels` as da2s has them. Nothing is judged
here: the test that runs this script reads the numbers.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy
import onnx2tf
from ai_edge_litert.interpreter import Interpreter
from safetensors.numpy import load_file


def converted(folder):
    """The file in float32. onnx2tf makes the images N×H×W×C, as TFLite has them."""
    with contextlib.redirect_stdout(io.StringIO()):
        # Its option `batch_size` computes wrong shapes for these graphs.
        onnx2tf.convert(input_onnx_file_path=str(folder / "folded.onnx"), output_folder_path=str(folder / "tflite"), verbosity="error")
    return folder / "tflite" / "folded_float32.tflite"


def check(folder):
    expected = load_file(folder / "expected.safetensors")
    interpreter = Interpreter(model_path=str(converted(folder)), num_threads=2)
    images = numpy.ascontiguousarray(expected["images"].transpose(0, 2, 3, 1))
    given = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(given["index"], images[:1].shape)
    interpreter.allocate_tensors()
    rows = []
    for image in images:
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    logits = numpy.stack(rows)
    difference = float(numpy.abs(logits - expected["logits"]).max())
    return {"difference": difference, "accuracy": 100 * float((logits.argmax(1) == expected["labels"]).mean())}


def main():
    print(json.dumps({folder: check(Path(folder)) for folder in sys.argv[1:]}))


main()
