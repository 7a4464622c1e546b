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

/// What a Python must be able to import, and the variable that names it.
pub struct Packages {
    variable: &'static str,
    modules: &'static str,
    /// As package indices call them.
    names: &'static str,
}

/// For `check.py` and the other scripts beside it.
pub const OF_EXPORTS: Packages = Packages {
    variable: "DA2S_PYTHON",
    modules: "numpy, onnx, onnxruntime, openvino, PIL, safetensors, sklearn, torch, tract",
    names: "torch, onnx, onnxruntime, openvino, tract and scikit-learn",
};

/// For `check_tflite.py`. TensorFlow needs other versions of the same packages.
pub const OF_TFLITE: Packages = Packages {
    variable: "DA2S_TFLITE_PYTHON",
    modules: "ai_edge_litert, numpy, onnx2tf, safetensors",
    names: "onnx2tf and ai-edge-litert",
};

/// A Python that has the packages.
///
/// # Panics
/// If the variable is set but its Python lacks them.
pub fn python(test: &str, packages: &Packages) -> Option<String> {
    let Packages {
        variable,
        modules,
        names,
    } = packages;
    let named = std::env::var(variable).ok();
    let program = named.clone().unwrap_or_else(|| "python3".to_owned());
    let import = format!("import {modules}");
    let has = Command::new(&program).args(["-c", &import]).output();
    let has = has.is_ok_and(|output| output.status.success());
    assert!(has || named.is_none(), "{program} cannot {import}");
    if !has {
        skipped(test, &format!("a Python with {names} ({variable})"));
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
