#!/usr/bin/env python3
"""Writes docs/book/src/reference/commands.md from the program's own help: `.ci/commands.py PROGRAM`; with `--check` it writes nothing
and fails if the committed page does not match the program."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/book/src/reference/commands.md"
HEAD = """# Commands and exit codes

*Generated from the program's help by `.ci/commands.py`. `da2s COMMAND --help` prints the same, and `da2s man` writes it as manual pages.*
"""


def said(program: str, *words: str) -> str:
    """The help of a command, 100 columns wide whatever the terminal is."""
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run([program, *words, "--help"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def verbs(text: str) -> list:
    """The commands that a help lists."""
    listed = re.search(r"^Commands:\n(.*?)^$", text + "\n\n", re.M | re.S)
    found = re.findall(r"^  (\w+)  ", listed.group(1), re.M) if listed else []
    return [verb for verb in found if verb != "help"]


def section(program: str, words: list) -> str:
    """A command's heading and help, and those of the commands below it."""
    text = said(program, *words)
    below = "".join(section(program, [*words, verb]) for verb in verbs(text))
    return f"\n{'#' * (len(words) + 1)} da2s {' '.join(words)}\n\n```text\n{text}\n```\n{below}"


def page(program: str) -> str:
    whole = said(program)
    overview, _, codes = whole.partition("\nExit codes:\n")
    # A meaning may be wrapped; its further lines are indented and do not begin with a number.
    meanings = re.findall(r"^ *(\d+)  (.*(?:\n +[^\d\s].*)*)", codes, re.M)
    table = "".join(f"| {code} | {' '.join(meaning.split())} |\n" for code, meaning in meanings)
    parts = [HEAD, f"\n```text\n{overview.strip()}\n```\n", "\n## Exit codes\n\n| code | meaning |\n|---|---|\n", table]
    return "".join([*parts, *(section(program, [verb]) for verb in verbs(overview))])


def main() -> int:
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--check"]):
        print(__doc__)
        return 2
    now = page(sys.argv[1])
    if sys.argv[2:] == []:
        PAGE.write_text(now, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != now:
        print(f"{PAGE} is not current: write it with .ci/commands.py {sys.argv[1]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
