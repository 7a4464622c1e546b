#!/usr/bin/env python3
"""Draws docs/book/src/experiments/closed_loop_moments.svg: when the edges of a search were decided, against the accuracy of the retrained network.

    python3 docs/book/src/experiments/closed_loop_moments.py "name=COMPARISON" "name=COMPARISON" … > docs/book/src/experiments/closed_loop_moments.svg

Each COMPARISON is the directory of `da2s compare`, or a run; "name=DIR/da2s-*0.5*" selects some of its runs. An edge is decided from the epoch
after which one operation permanently has at least 0.9 of the weight; for a search, the mean over its edges is used. Writes one line per run and the rank correlation to stderr.
"""

import glob
import json
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 340, 52, 16, 170, 44
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#999999"]  # Okabe and Ito: safe for colour-blind readers
DECIDED = 0.9


def moment(run):
    """Share of the search after which the edges were decided, as a mean; an edge that was never decided counts as 1."""
    epochs = [json.loads(line) for line in (run / "search/arch.jsonl").read_text().splitlines()]
    last = epochs[-1]["epoch"]
    shares = []
    for kind in epochs[0]["cells"]:
        for edge in range(len(epochs[0]["cells"][kind]["p"])):
            open_still = [state["epoch"] for state in epochs if max(state["cells"][kind]["p"][edge]) < DECIDED]
            shares.append(min(max(open_still, default=0) + 1, last) / last)
    return sum(shares) / len(shares)


def ranks(values):
    """Ranks from 1, with mean ranks for ties."""
    order = sorted(values)
    return [order.index(value) + (order.count(value) + 1) / 2 for value in values]


def correlation(first, second):
    first, second = ranks(first), ranks(second)
    means = sum(first) / len(first), sum(second) / len(second)
    product = sum((a - means[0]) * (b - means[1]) for a, b in zip(first, second))
    return product / (sum((a - means[0]) ** 2 for a in first) * sum((b - means[1]) ** 2 for b in second)) ** 0.5


def main():
    groups = []
    for argument in sys.argv[1:]:
        name, pattern = argument.split("=", 1)
        found = [Path(path) for path in sorted(glob.glob(pattern))]
        runs = [run for folder in found for run in ([folder] if (folder / "summary.json").exists() else sorted(folder.glob("*-s*")))]
        points = [(moment(run), json.loads((run / "summary.json").read_text())["network_accuracy"]) for run in runs]
        groups.append((name, points))
        for run, (share, accuracy) in zip(runs, points):
            print(f"{name}: {run.name}, decided at {share:.3f}, retrained {accuracy:.2f} %", file=sys.stderr)
    everything = [point for _, points in groups for point in points]
    print(f"rank correlation {correlation(*zip(*everything)):+.2f} over {len(everything)} runs", file=sys.stderr)
    low, high = min(y for _, y in everything) - 0.5, max(y for _, y in everything) + 0.5

    def x(share):
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(accuracy):
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - accuracy) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" '
           'role="img" aria-label="When the edges were decided, and the retrained accuracy">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<text x="{x(share):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#444444">{share:g}</text>')
    step = max(1, round((high - low) / 5))
    for accuracy in range(int(low) + 1, int(high) + 1, step):
        out.append(f'<path d="M{LEFT} {y(accuracy):.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>'
                   f'<text x="{LEFT - 8}" y="{y(accuracy) + 4:.1f}" text-anchor="end" fill="#444444">{accuracy}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle" fill="#444444">share of the search after which '
               'its edges were decided</text>')
    out.append(f'<text x="{LEFT}" y="{TOP - 3}" fill="#444444">retrained, % of test images</text>')
    for (name, points), colour, row in zip(groups, COLOURS, range(len(groups))):
        for share, accuracy in points:
            out.append(f'<circle cx="{x(share):.1f}" cy="{y(accuracy):.1f}" r="5" fill="{colour}" fill-opacity="0.8"/>')
        at = TOP + 20 + 20 * row
        out.append(f'<circle cx="{WIDTH - RIGHT + 20}" cy="{at - 4}" r="5" fill="{colour}"/>'
                   f'<text x="{WIDTH - RIGHT + 32}" y="{at}" fill="#222222">{name}</text>')
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
