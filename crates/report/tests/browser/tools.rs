//! What a browser test needs: Node, Chromium, and playwright-core. Shared by the tests of the
//! crates that create pages.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tools, all of them present.
pub struct Tools {
    node: PathBuf,
    /// `-` for the browser that playwright has downloaded.
    chromium: PathBuf,
    modules: PathBuf,
}

impl Tools {
    /// Finds the tools; if one is missing, reports that `test` is skipped.
    pub fn find(test: &str) -> Option<Self> {
        let tools = (|| {
            let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/browser/node_modules");
            Some(Self {
                node: program(&["node"])?,
                chromium: program(&["chromium", "chromium-browser", "google-chrome"]).or_else(downloaded)?,
                modules: modules
                    .join("playwright-core")
                    .is_dir()
                    .then(|| modules.canonicalize().ok())??,
            })
        })();
        if tools.is_none() {
            // Written directly to the terminal, since the test runner hides what passing tests
            // print.
            let note = format!(
                "skipped: {test} needs Node, Chromium and playwright-core; crates/report/tests/browser/setup.sh gets the latter two\n"
            );
            std::io::stderr().write_all(note.as_bytes()).expect("standard error");
        }
        tools
    }

    /// Node with a script, the browser and the modules as its first arguments.
    pub fn script(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(script).arg(&self.chromium).arg(&self.modules);
        command
    }
}

/// A program on the search path.
fn program(names: &[&str]) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let places = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|path| path.is_file())
}

/// Whether playwright has its own browser (`npx playwright-core install chromium-headless-shell`).
fn downloaded() -> Option<PathBuf> {
    let folder = Path::new(&env::var_os("HOME")?).join(".cache/ms-playwright");
    let entries = folder.read_dir().ok()?.filter_map(Result::ok);
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .any(|name| name.starts_with("chromium"))
        .then(|| PathBuf::from("-"))
}
