//! Finds and runs external tools.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Prints that `test` is skipped. Bypasses the test runner, which hides the output of passing
/// tests.
fn skipped(test: &str, need: &str) {
    let note = format!("skipped: {test} needs {need}; crates/da2s/tests/export/run.py gets it\n");
    std::io::stderr().write_all(note.as_bytes()).unwrap();
}

/// A Python that has the packages.
///
/// # Panics
/// If `$DA2S_PYTHON` is set but lacks them.
pub fn python(test: &str) -> Option<String> {
    let named = std::env::var("DA2S_PYTHON").ok();
    let program = named.clone().unwrap_or_else(|| "python3".to_owned());
    let import = "import numpy, onnx, onnxruntime, PIL, safetensors, sklearn, torch, tract";
    let has = Command::new(&program).args(["-c", import]).output();
    let has = has.is_ok_and(|output| output.status.success());
    assert!(has || named.is_none(), "{program} cannot {import}");
    if !has {
        skipped(
            test,
            "a Python with torch, onnx, onnxruntime, tract and scikit-learn (DA2S_PYTHON)",
        );
    }
    has.then_some(program)
}

/// The JSON that a program prints.
///
/// # Panics
/// If it fails or prints something else.
pub fn json(program: &str, arguments: &[&Path]) -> Value {
    let said = run(program, arguments);
    serde_json::from_str(said.trim().lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What a program prints.
///
/// # Panics
/// If it fails.
pub fn run(program: &str, arguments: &[&Path]) -> String {
    let arguments = arguments.iter().map(|path| OsStr::new(*path));
    let output = Command::new(program).args(arguments).output().unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{program}: {said}{told}");
    said.into_owned()
}
