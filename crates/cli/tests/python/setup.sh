#!/bin/sh
# Installs what the tests of the command run beside it into target/metrics-venv: TensorBoard and
# pyarrow, which read da2s's metrics, and onnxruntime, which measures blocks. Then:
#     export DA2S_METRICS_PYTHON="$PWD/target/metrics-venv/bin/python"
#     cargo test --release --test cli metrics
set -eu
cd "$(dirname "$0")/../../../.."
python3 -m venv target/metrics-venv
target/metrics-venv/bin/python -m pip install --quiet --disable-pip-version-check tensorboard==2.21.0 pyarrow==26.0.1 \
    onnxruntime==1.32.0
