#!/bin/sh
# Installs the programs that read da2s's metrics in the tests, the real TensorBoard and pyarrow,
# into target/metrics-venv. Then:
#     export DA2S_METRICS_PYTHON="$PWD/target/metrics-venv/bin/python"
#     cargo test --release --test cli metrics
set -eu
cd "$(dirname "$0")/../../../.."
python3 -m venv target/metrics-venv
target/metrics-venv/bin/python -m pip install --quiet --disable-pip-version-check tensorboard==2.21.0 pyarrow==26.0.1
