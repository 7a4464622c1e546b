#!/usr/bin/env python3
"""Checks README, CONTRIBUTING, ARCHITECTURE and the book, with Python alone:

- every relative link leads to an existing file, and its anchor to an existing heading; pages of the book link only to pages of the book;
- every page of the book is in SUMMARY.md;
- every path in `code` exists in the repository;
- every `da2s …` command has a verb, flags and words that reference/commands.md lists;
- every method, rule, space, data set and format that reference/commands.md lists is on the page about its kind;
- every Python snippet compiles.

    .ci/docs.py                                 # all of these
    .ci/docs.py --run PROGRAM                   # also runs ```console snippets, and compares what they print
    .ci/docs.py --python PAGE                   # prints the Python snippets of a page, one after the other
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "docs/book/src"
COMMANDS = BOOK / "reference/commands.md"
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md")), *sorted((ROOT / "docs").rglob("*.md"))]
#: A fenced block: its info string, and its lines.
FENCE = re.compile(r"^ {0,3}```([^\n]*)\n(.*?)^ {0,3}```", re.M | re.S)
INCLUDE = re.compile(r"\{\{#include ([^}:]+)\}\}")
LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]*(?:\([^()]*\)[^()\s]*)?)\)")
#: Flags of worked examples, which do not exist in the program.
EXAMPLES = {"--small-alpha-weight"}
#: Pages of the book that must name all values of a flag, each with the command and the flag.
KINDS = {
    "reference/methods.md": ("run", "--method"),
    "guide/target_and_drive.md": ("run", "--rule"),
    "explanation/spaces.md": ("run", "--space"),
    "guide/your_images.md": ("data check", "--dataset"),
    "guide/deploying.md": ("export", "--format"),
    "reference/genotypes.md": ("genotype", "--form"),
}
PATH = re.compile(r"^(?:crates|fixtures|benches|docs|python|\.ci|\.github)/[\w./*-]*$")


def whole(page: Path) -> str:
    """The text of a page, with the files that it includes."""
    text = page.read_text(encoding="utf-8")
    return INCLUDE.sub(lambda found: (page.parent / found.group(1).strip()).read_text(encoding="utf-8"), text)


def prose(text: str) -> str:
    """A text without its fences."""
    return FENCE.sub("", text)


def anchors(page: Path) -> set:
    """The anchors of a page's headings, as mdBook and GitHub form them."""
    seen: dict = {}
    found = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", prose(whole(page)), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = "".join(c for c in plain.lower().replace(" ", "-") if c.isalnum() or c in "-_")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(slug if count == 0 else f"{slug}-{count}")
    return found


def links(page: Path) -> list:
    """What is wrong with the links of a page."""
    wrong = []
    text = re.sub(r"`[^`\n]*`", "", prose(page.read_text(encoding="utf-8")))
    targets = LINK.findall(text)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            wrong.append(f"{target}: there is no such file")
        elif BOOK in page.parents and BOOK not in [there, *there.parents]:
            wrong.append(f"{target}: leads out of the book")
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            wrong.append(f"{target}: {there.name} has no such heading")
    return wrong


def included(page: Path) -> list:
    """What is wrong with the links in files that a page of the book includes: they would be relative to the page."""
    wrong = []
    for name in INCLUDE.findall(page.read_text(encoding="utf-8")) if BOOK in page.parents else []:
        if name.strip().endswith(".md"):
            text = (page.parent / name.strip()).read_text(encoding="utf-8")
            inner = LINK.findall(re.sub(r"`[^`\n]*`", "", prose(text)))
            wrong += [f"{name} is included and has a relative link, {target}" for target in inner if not re.match(r"[a-z]+:|#", target)]
    return wrong


def summary() -> list:
    """Pages that SUMMARY.md does not list."""
    listed = {(BOOK / target).resolve() for target in LINK.findall((BOOK / "SUMMARY.md").read_text(encoding="utf-8"))}
    return [f"{page.relative_to(BOOK)} is not in SUMMARY.md" for page in sorted(BOOK.rglob("*.md")) if page.name != "SUMMARY.md" and page not in listed]


def paths(page: Path) -> list:
    """Paths in `code` that are not in the repository."""
    named = re.findall(r"`([^`\n]+)`", prose(page.read_text(encoding="utf-8")))
    wrong = [name for name in named if PATH.match(name) and not any(ROOT.glob(name.rstrip("/")))]
    return [f"`{name}` is not in the repository" for name in wrong]


def known() -> dict:
    """The flags of each command, each with the words that it takes; no words if it takes any text."""
    commands: dict = {}
    for words, text in re.findall(r"^#{2,3} da2s ([\w ]+)\n\n```text\n(.*?)^```", COMMANDS.read_text(encoding="utf-8"), re.M | re.S):
        flags: dict = {}
        for flag in re.split(r"\n(?= {2,6}(?:-\w, )?--)", text)[1:]:
            name = re.search(r"--[a-z-]+", flag).group(0)
            values = re.search(r"\[possible values: ([^\]]*)\]", " ".join(flag.split()))
            flags[name] = values.group(1).split(", ") if values else None
        commands[words] = flags
    return commands


def command_lines(page: Path) -> list:
    """The `da2s …` commands of a page: in shell snippets, indented blocks and `code`."""
    text = page.read_text(encoding="utf-8")
    lines = []
    for kind, body in FENCE.findall(text):
        if kind.strip() in ("sh", "console"):
            lines += body.replace("\\\n", " ").splitlines()
    lines += re.findall(r"^ {4,}(?:\$ )?(da2s .*)$", prose(text).replace("\\\n", " "), re.M)
    lines += re.findall(r"`(da2s [^`\n]+)`", prose(text))
    return [line.strip().removeprefix("$ ") for line in lines if re.match(r"\s*(\$ )?da2s ", line)]


def commands(page: Path, verbs: dict) -> list:
    """Commands with a verb, a flag or a word that the program does not know."""
    wrong = []
    for line in command_lines(page):
        try:
            words = shlex.split(line.replace("…", " "), comments=True)[1:]
        except ValueError as error:
            wrong.append(f"{line}: {error}")
            continue
        words = words[: next((at for at, word in enumerate(words) if word in ("|", ">", "&&", "&")), None)]
        if not words or words[0].startswith("-") or words[0].isupper():
            continue
        verb = " ".join(words[:2]) if " ".join(words[:2]) in verbs else words[0]
        if verb not in verbs:
            wrong.append(f"{line}: there is no command {verb}")
            continue
        for word, following in zip(words, [*words[1:], ""]):
            flag, _, value = word.partition("=")
            if not flag.startswith("--") or flag in EXAMPLES:
                continue
            if flag not in verbs[verb] and flag not in ("--help", "--version"):
                wrong.append(f"{line}: {verb} has no {flag}")
            elif verbs[verb].get(flag):
                given = [one for one in (value or following).split(",") if one and not one.isupper()]
                wrong += [f"{line}: {flag} takes no {one}" for one in given if one not in verbs[verb][flag]]
    return wrong


def unnamed(verbs: dict) -> list:
    """Words that the page about their kind does not have in `code`."""
    wrong = []
    for page, (verb, flag) in KINDS.items():
        named = {word for code in re.findall(r"`([^`\n]+)`", (BOOK / page).read_text(encoding="utf-8")) for word in code.split()}
        wrong += [(page, f"`{word}`, which {flag} takes, is not on this page") for word in verbs[verb][flag] if word not in named]
    return wrong


def python(page: Path) -> list:
    """The Python snippets of a page."""
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind.strip() == "python"]


def compiled(page: Path) -> list:
    """Python snippets that do not compile."""
    wrong = []
    for body in python(page):
        try:
            compile(body, str(page), "exec")
        except SyntaxError as error:
            wrong.append(f"a Python snippet does not compile: {error}")
    return wrong


def ran(page: Path, program: Path) -> list:
    """Runs the console snippets of a page in one empty folder, and reports where they print something else. `…` stands for any lines, or for the rest of a line."""
    sessions = [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind.strip() == "console"]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
        for line, expected in (pair for body in sessions for pair in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body.replace("\\\n", " "), re.M)):
            done = subprocess.run(["bash", "-c", line], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            rows = [r"(?:.*\n)*" if row.strip() == "…" else ".*".join(map(re.escape, row.split("…"))) + " *\n" for row in expected.splitlines()]
            if done.returncode != 0 or not re.fullmatch("".join(rows), done.stdout):
                wrong.append(f"$ {line}\nends with {done.returncode} and prints\n{done.stdout}{done.stderr}")
    return wrong


def main() -> int:
    if sys.argv[1:2] == ["--python"]:
        print("\n".join(python(Path(sys.argv[2]))))
        return 0
    program = Path(sys.argv[2]).resolve() if sys.argv[1:2] == ["--run"] else None
    verbs = known()
    wrong = [("SUMMARY.md", what) for what in summary()] + unnamed(verbs)
    for page in PAGES:
        found = [*links(page), *included(page), *paths(page), *commands(page, verbs), *compiled(page)]
        if program is not None:
            found += ran(page, program)
        wrong += [(str(page.relative_to(ROOT)), what) for what in found]
    for name, what in wrong:
        print(f"{name}: {what}")
    checked = sum(len(command_lines(page)) for page in PAGES)
    print(f"{len(PAGES)} pages, {checked} commands: {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
