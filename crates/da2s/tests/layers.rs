//! The layers: crates and modules import downward only, as drawn in ARCHITECTURE.md.
//!
//! The test reads the picture, the manifests of the crates and the imports of the library's
//! modules. A crate or module that is missing from the picture, an upward import and a cycle are
//! each reported by name, with file and line. Tests may import anything.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The line after which the picture begins.
const BEGIN: &str = "```text layers";
/// The crate whose modules are drawn below it, indented.
const LIBRARY: &str = "da2s";

/// The imports and where they are: `(importer, imported)` → places.
type Imports = BTreeMap<(String, String), BTreeSet<String>>;

/// The lines of the picture from top to bottom, each with its names.
#[derive(Debug, Default)]
struct Layers {
    crates: Vec<Vec<String>>,
    modules: Vec<Vec<String>>,
}

impl Layers {
    /// Parses the picture in `text`. Names are separated by ` · `; two spaces begin a remark.
    fn read(text: &str) -> Self {
        let (_, rest) = text.split_once(BEGIN).expect("a picture of the layers");
        let (picture, _) = rest.split_once("```").expect("the end of the picture");
        let mut layers = Self::default();
        for line in picture.lines().filter(|line| !line.trim().is_empty()) {
            let names = line.trim().split("  ").next().unwrap_or_default();
            let names = names.split(" · ").map(str::to_owned).collect();
            if line.starts_with(' ') {
                layers.modules.push(names);
            } else {
                layers.crates.push(names);
            }
        }
        layers
    }

    /// The picture in ARCHITECTURE.md.
    fn drawn() -> Self {
        Self::read(&fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap())
    }
}

/// The violations by `imports` among `existing` crates or modules, one sentence each.
fn problems(layers: &[Vec<String>], imports: &Imports, existing: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let drawn: BTreeSet<String> = layers.iter().flatten().cloned().collect();
    for name in existing.difference(&drawn) {
        problems.push(format!("{name} is missing in the picture"));
    }
    for name in drawn.difference(existing) {
        problems.push(format!("{name} is in the picture, but does not exist"));
    }
    let layer = |name: &String| layers.iter().position(|line| line.contains(name));
    for ((from, to), places) in imports {
        if let (Some(above), Some(below)) = (layer(from), layer(to))
            && below < above
        {
            let places: Vec<_> = places.iter().map(String::as_str).collect();
            problems.push(format!("{from} imports {to}, which is above it: {}", places.join(", ")));
        }
    }
    if let Some(cycle) = cycle(imports) {
        problems.push(format!("a cycle: {}", cycle.join(" → ")));
    }
    problems
}

/// A cycle of imports, with its first name repeated at the end.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    imports.keys().find_map(|(from, _)| {
        let mut path = vec![from.clone()];
        closes(&mut path, &mut done, imports).then_some(path)
    })
}

/// Whether `path` can be extended to a cycle; `path` is that cycle then. Names that lead to no
/// cycle are `done`.
fn closes(path: &mut Vec<String>, done: &mut BTreeSet<String>, imports: &Imports) -> bool {
    let last = path[path.len() - 1].clone();
    for (_, next) in imports.keys().filter(|(from, _)| *from == last) {
        if let Some(begin) = path.iter().position(|name| name == next) {
            path.drain(..begin);
            path.push(next.clone());
            return true;
        }
        if !done.contains(next) {
            path.push(next.clone());
            if closes(path, done, imports) {
                return true;
            }
            path.pop();
        }
    }
    done.insert(last);
    false
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folders of the crates by their names.
fn crates() -> BTreeMap<String, PathBuf> {
    let folders = fs::read_dir(workspace().join("crates")).unwrap();
    folders
        .map(|entry| entry.unwrap().path())
        .chain([workspace().join("python")])
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .map(|folder| (folder.file_name().unwrap().to_str().unwrap().to_owned(), folder))
        .collect()
}

/// The dependencies of each crate of the workspace on others, without dependencies of tests.
fn imports_of_crates(crates: &BTreeMap<String, PathBuf>) -> Imports {
    let mut imports = Imports::new();
    for (name, folder) in crates {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for dependency in dependencies.into_iter().flat_map(toml::Table::keys) {
            let other = dependency.strip_prefix("da2s-").unwrap_or(dependency);
            if crates.contains_key(other) {
                let between = (name.clone(), other.to_owned());
                let place = format!("{name}/Cargo.toml");
                imports.entry(between).or_default().insert(place);
            }
        }
    }
    imports
}

/// The source files below `folder` with their paths, which begin with `prefix`, without test files.
fn sources(folder: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_str().unwrap().to_owned();
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() && name != "tests" {
            sources(&entry.path(), &format!("{path}/"), found);
        } else if name.ends_with(".rs") {
            found.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// The module that the file `path` is in.
fn module(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The modules that `files` belong to, and which of them each one imports: every path from the root
/// of the crate counts, wherever it is written.
fn imports_of_modules(files: &BTreeMap<String, String>) -> (BTreeSet<String>, Imports) {
    let modules: BTreeSet<String> = files.keys().map(|path| module(path).to_owned()).collect();
    let mut imports = Imports::new();
    for (path, text) in files {
        for (line, other) in named(path, text) {
            // Other names are items of lib.rs: crates re-exported under shorter names.
            if modules.contains(&other) && other != module(path) {
                let between = (module(path).to_owned(), other);
                imports.entry(between).or_default().insert(format!("{path}:{line}"));
            }
        }
    }
    (modules, imports)
}

/// The names at the root of the crate that the file `path` with this `text` uses, by line.
fn named(path: &str, text: &str) -> Vec<(usize, String)> {
    // `super::`, repeated as often as needed to get from the module of the file to the root.
    let folders = path.matches('/').count();
    let depth = if path.ends_with("/mod.rs") {
        folders
    } else {
        folders + 1
    };
    let up = "super::".repeat(depth);
    let code = code(text);
    let mut named = Vec::new();
    for root in ["crate::", &up] {
        for (at, _) in code.match_indices(root) {
            let line = code[..at].matches('\n').count() + 1;
            let rest = &code[at + root.len()..];
            named.extend(first_names(rest).into_iter().map(|name| (line, name)));
        }
    }
    named
}

/// The first name of the path `rest`, or of each path if it is a list in braces.
fn first_names(rest: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut paths = vec![String::new()];
    let mut depth = 0;
    for c in rest.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 1 => paths.push(String::new()),
            '{' if depth == 1 => {}
            _ if depth <= 0 && !is_name(c) => break,
            _ => paths.last_mut().unwrap().push(c),
        }
    }
    let first = |path: String| path.trim_start().split(|c| !is_name(c)).next().map(str::to_owned);
    paths
        .into_iter()
        .filter_map(first)
        .filter(|name| !name.is_empty())
        .collect()
}

/// `text` without comments and test-only items; line numbers stay the same.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut in_test = false;
    for line in text.lines() {
        in_test |= line.starts_with("#[cfg(test)]");
        if !in_test {
            code.push_str(line.split("//").next().unwrap_or_default());
        }
        code.push('\n');
        // The end of the item: a module in a separate file, or a block.
        in_test &= !(line.ends_with(';') && !line.starts_with(' ') || line == "}");
    }
    code
}

#[test]
fn crates_import_downward() {
    let crates = crates();
    let existing = crates.keys().cloned().collect();
    let problems = problems(&Layers::drawn().crates, &imports_of_crates(&crates), &existing);
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn modules_import_downward() {
    let mut files = BTreeMap::new();
    sources(&crates()[LIBRARY].join("src"), "", &mut files);
    files.remove("lib.rs");
    let (modules, imports) = imports_of_modules(&files);
    assert!(modules.len() > 10 && imports.len() > 20, "{modules:?}, {imports:?}");
    let problems = problems(&Layers::drawn().modules, &imports, &modules);
    assert!(problems.is_empty(), "{problems:#?}");
}

/// A picture and imports with every kind of violation.
#[test]
fn what_is_wrong_is_named() {
    let picture = format!("# Title\n{BEGIN}\nlibrary\n    top · side  above\n    middle\n    ghost\n    bottom\n```\n");
    let layers = Layers::read(&picture).modules;
    let files = [
        (
            "top/mod.rs",
            "use crate::{middle::A,\n    side::{B, C}};\nuse std::fmt;\n",
        ),
        (
            "side.rs",
            "// use crate::middle;\nfn f() {\n    crate::middle::g();\n}\n",
        ),
        (
            "middle.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::top;\n}\nuse super::bottom;\n",
        ),
        ("bottom/mod.rs", "mod inner;\n"),
        ("bottom/inner.rs", "use super::super::middle::Up;\n"),
        ("new.rs", ""),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    let (modules, imports) = imports_of_modules(&files);
    assert_eq!(
        problems(&layers, &imports, &modules),
        [
            "new is missing in the picture",
            "ghost is in the picture, but does not exist",
            "bottom imports middle, which is above it: bottom/inner.rs:1",
            "a cycle: bottom → middle → bottom",
        ]
    );
    let from_top: Vec<_> = imports.iter().filter(|((from, _), _)| from == "top").collect();
    assert_eq!(from_top.len(), 2, "{from_top:?}");
    assert!(imports.contains_key(&("side".to_owned(), "middle".to_owned())));
}
