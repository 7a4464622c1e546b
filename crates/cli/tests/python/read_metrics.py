"""Reads the files of `da2s metrics` with TensorBoard and pyarrow, for which they are written, and prints them as one JSON object.

usage: read_metrics.py EVENTS TABLES

EVENTS is a folder of runs with event files, which the real TensorBoard serves; TABLES has metrics.parquet and
architecture.parquet, which pyarrow reads.
"""

import json
import struct
import sys
import time
import urllib.parse
import urllib.request

import pyarrow.parquet
from tensorboard import program

WAIT_S = 60


def main():
    events, tables = sys.argv[1:]
    board = program.TensorBoard()
    board.configure(argv=["tensorboard", "--logdir", events, "--port", "0", "--host", "127.0.0.1"])
    url = board.launch()

    def get(path, **query):
        with urllib.request.urlopen(f"{url}data/{path}?{urllib.parse.urlencode(query)}", timeout=WAIT_S) as answer:
            return json.load(answer)

    def post(path, body):
        request = urllib.request.Request(f"{url}data/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return json.load(answer)

    # TensorBoard loads data in a separate thread; the results are the last that da2s writes.
    deadline = time.monotonic() + WAIT_S
    while not any("result/gap" in tags for tags in get("plugin/scalars/tags").values()):
        if time.monotonic() > deadline:
            sys.exit(f"TensorBoard has loaded nothing in {WAIT_S} s")
        time.sleep(0.2)

    scalars = {
        run: {tag: [[step, value] for _, step, value in get("plugin/scalars/scalars", run=run, tag=tag)] for tag in tags}
        for run, tags in get("plugin/scalars/tags").items()
    }
    histograms = {
        run: {tag: get("plugin/histograms/histograms", run=run, tag=tag) for tag in tags}
        for run, tags in get("plugin/histograms/tags").items()
    }

    def picture(image):
        """The first bytes, the width and the height of an image, which is a PNG file."""
        with urllib.request.urlopen(f"{url}data/plugin/images/individualImage?{image['query']}", timeout=WAIT_S) as answer:
            start = answer.read(24)
        return [start[:4].decode("latin-1"), *struct.unpack(">II", start[16:24])]

    images = {
        run: {tag: [picture(image) for image in get("plugin/images/images", run=run, tag=tag)] for tag in tags}
        for run, tags in get("plugin/images/tags").items()
    }
    experiment = post("plugin/hparams/experiment", {})
    sessions = post(
        "plugin/hparams/session_groups",
        {"startIndex": 0, "sliceSize": 10, "allowedStatuses": ["STATUS_SUCCESS"], "colParams": []},
    )
    read = {
        "scalars": scalars,
        "histograms": histograms,
        "images": images,
        "hparams": {
            "names": [info["name"] for info in experiment.get("hparamInfos", [])],
            "metrics": [info["name"]["tag"] for info in experiment.get("metricInfos", [])],
            "groups": [group["hparams"] for group in sessions["sessionGroups"]],
        },
        "metrics": pyarrow.parquet.read_table(f"{tables}/metrics.parquet").to_pydict(),
        "architecture": pyarrow.parquet.read_table(f"{tables}/architecture.parquet").to_pydict(),
    }
    print(json.dumps(read))


if __name__ == "__main__":
    main()
