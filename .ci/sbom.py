"""Writes the bill of materials of the program da2s as CycloneDX 1.5 to the standard output: `python3 .ci/sbom.py > da2s.cdx.json`.

From `cargo metadata` and Cargo.lock alone, without times or random numbers: the same lock file gives the same bytes.
Crates that only tests need are left out. The format: https://cyclonedx.org/docs/1.5/json/
"""

import json
import pathlib
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = "da2s-cli"


def main():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in lock}
    needs = {
        node["id"]: sorted(
            dependency["pkg"]
            for dependency in node["deps"]
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
        )
        for node in metadata["resolve"]["nodes"]
    }
    program = next(name for name, package in packages.items() if package["name"] == PROGRAM)
    # `cargo metadata` lists the dependencies of all features; `cargo tree` lists what is compiled,
    # here for every platform.
    command = ["cargo", "tree", "--locked", "-p", PROGRAM, "-e", "no-dev", "--target", "all", "--prefix", "none", "--format", "{p}"]
    tree = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    compiled = {tuple(line.split()[:2]) for line in tree.splitlines()}
    reached = {name for name, package in packages.items() if (package["name"], f"v{package['version']}") in compiled}
    needs = {package: [need for need in needs[package] if need in reached] for package in reached}

    def url(package):
        return f"pkg:cargo/{packages[package]['name']}@{packages[package]['version']}"

    def component(package):
        facts = packages[package]
        entry = {"type": "library", "bom-ref": url(package), "name": facts["name"], "version": facts["version"]}
        entry["purl"] = url(package)
        if facts["license"]:
            # Before SPDX had expressions, crates used a slash for "or".
            entry["licenses"] = [{"expression": facts["license"].replace("/", " OR ")}]
        checksum = checksums.get((facts["name"], facts["version"]))
        if checksum:
            entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return entry

    order = sorted(reached, key=url)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(program) | {"type": "application"}},
        "components": [component(package) for package in order if package != program],
        "dependencies": [{"ref": url(package), "dependsOn": sorted(map(url, needs[package]))} for package in order],
    }
    print(json.dumps(document, indent=2))


main()
