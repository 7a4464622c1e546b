#!/usr/bin/env python3
"""Draws docs/book/src/explanation/adaptive_schedule.svg: the least p or q of each epoch, from the metrics of runs.

    python3 docs/book/src/experiments/closed_loop_plot.py "published=RUN" "auto rate=RUN" "adaptive=RUN" > docs/book/src/explanation/adaptive_schedule.svg
"""

import json
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 300, 52, 16, 150, 40
COLOURS = ["#999999", "#d55e00", "#0072b2", "#009e73"]  # Okabe and Ito: safe for colour-blind readers


def main():
    runs = [argument.split("=", 1) for argument in sys.argv[1:]]
    epochs = 0
    lines = []
    for name, folder in runs:
        rows = [json.loads(line) for line in (Path(folder) / "search/metrics.jsonl").read_text().splitlines()]
        epochs = max(epochs, rows[-1]["epochs"])
        lines.append((name, [(row["epoch"], min(row["p_least"], row["q_least"])) for row in rows]))

    def x(epoch):
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / (epochs - 1)

    def y(value):
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" '
           'role="img" aria-label="Least p or q over the epochs">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<path d="M{LEFT} {y(share):.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>'
                   f'<text x="{LEFT - 8}" y="{y(share) + 4:.1f}" text-anchor="end" fill="#444444">{share:g}</text>')
    for epoch in [1, *range(5, epochs + 1, 5)]:
        out.append(f'<text x="{x(epoch):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#444444">{epoch}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle" fill="#444444">epoch of the search; '
               'least p or n·q, 1 = decided</text>')
    ends = []
    for (name, points), colour in zip(lines, COLOURS):
        path = "L".join(f"{x(epoch):.1f} {y(value):.1f}" for epoch, value in points)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        end = y(points[-1][1])
        while any(abs(end - other) < 16 for other in ends):
            end += 4
        ends.append(end)
        out.append(f'<text x="{WIDTH - RIGHT + 8}" y="{end + 4:.1f}" fill="{colour}">{name}</text>')
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
