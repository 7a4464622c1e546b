#!/usr/bin/env python3
"""One engine on one network, for inference.py: prints the median time of a batch in milliseconds as JSON.

    engines.py onnxruntime NETWORK.onnx --batch 1 --threads 1 --repeat 300
    engines.py versions
"""

import argparse
import json
import statistics
import time

import numpy


def batch(shape, count):
    """Random images of the network's shape N×C×H×W."""
    sizes = [count, *(size if isinstance(size, int) else 1 for size in shape[1:])]
    return numpy.random.default_rng(0).standard_normal(sizes).astype(numpy.float32)


def onnxruntime_run(asked):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = asked.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(asked.network, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    value = batch(source.shape, asked.batch)
    return lambda: session.run(None, {source.name: value})


def openvino_run(asked):
    """`None` if bfloat16 is requested and the processor does not have it."""
    import openvino

    core = openvino.Core()
    model = core.read_model(asked.network)
    shape = [size.get_length() if size.is_static else None for size in model.input(0).partial_shape]
    value = batch(shape, asked.batch)
    model.reshape(value.shape)
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": asked.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # Otherwise two threads that share a core may be reduced to one.
        "ENABLE_HYPER_THREADING": True,
        "INFERENCE_PRECISION_HINT": "bf16" if asked.bf16 else "f32",
    })
    if asked.bf16 and compiled.get_property("INFERENCE_PRECISION_HINT") != openvino.Type.bf16:
        return None
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(value))
    return request.infer


ENGINES = {"onnxruntime": onnxruntime_run, "openvino": openvino_run}


def versions():
    import onnxruntime
    import openvino

    return f"onnxruntime {onnxruntime.__version__}, OpenVINO {openvino.__version__.split('-')[0]}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("engine", choices=[*ENGINES, "versions"])
    arguments.add_argument("network", nargs="?")
    arguments.add_argument("--bf16", action="store_true", help="OpenVINO computes in bfloat16; the time is null if the processor cannot")
    arguments.add_argument("--batch", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--repeat", type=int, default=100)
    asked = arguments.parse_args()
    if asked.engine == "versions":
        print(versions())
        return
    once = ENGINES[asked.engine](asked)
    if once is None:
        print(json.dumps({"median_ms": None}))
        return
    # One uncounted run first, as in da2s-infer.
    once()
    times_ms = []
    for _ in range(asked.repeat):
        began = time.perf_counter()
        once()
        times_ms.append(1e3 * (time.perf_counter() - began))
    print(json.dumps({"median_ms": statistics.median(times_ms)}))


if __name__ == "__main__":
    main()
