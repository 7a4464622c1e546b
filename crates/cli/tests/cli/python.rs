//! The Python interpreter for tests that need one.

use std::io::Write;
use std::process::Command;

/// The interpreter in `DA2S_METRICS_PYTHON`, else in `DA2S_PYTHON`, else `python3`, if it has these
/// modules. If not, prints that `test` is skipped, directly to the standard error: the test runner
/// hides what passing tests print.
pub fn python_with(modules: &str, test: &str) -> Option<String> {
    let named = |name| std::env::var(name).ok();
    // The export tests expect all their packages in `DA2S_PYTHON`, so these tests have a variable
    // of their own.
    let python = named("DA2S_METRICS_PYTHON").or_else(|| named("DA2S_PYTHON"));
    let python = python.unwrap_or_else(|| "python3".to_owned());
    let import = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output();
    if import.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let skipped = format!("skipped: {test}: {python} cannot import {modules}; set DA2S_METRICS_PYTHON\n");
    std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    None
}
