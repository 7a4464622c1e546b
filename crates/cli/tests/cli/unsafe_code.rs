//! `unsafe` appears only in the kernels and in the engine's memory, and more of it does not go
//! unnoticed.
//!
//! Every other crate must declare `forbid(unsafe_code)`, which the compiler enforces; this test
//! checks the declaration and counts `unsafe` where it is allowed. Clippy checks that each block
//! has a SAFETY comment (`undocumented_unsafe_blocks`), also inside `unsafe` functions
//! (`unsafe_op_in_unsafe_fn`). Dependencies are not checked.

use std::fs;
use std::path::Path;

/// Files that may contain `unsafe {`, `unsafe fn` or `unsafe impl`, and how often.
const ALLOWED: [(&str, usize); 47] = [
    ("engine/src/allocator.rs", 9),
    ("engine/src/cpu/backward_run.rs", 2),
    ("engine/src/cpu/backward_stage.rs", 17),
    ("engine/src/cpu/backward_steps.rs", 14),
    ("engine/src/cpu/forward_run.rs", 1),
    ("engine/src/cpu/forward_steps.rs", 14),
    ("engine/src/cpu/image.rs", 14),
    ("engine/src/cpu/inference.rs", 1),
    ("engine/src/cpu/memory.rs", 17),
    ("engine/src/cpu/weights.rs", 2),
    ("engine/src/deployed/mod.rs", 1),
    ("engine/src/deployed/run.rs", 14),
    ("engine/src/deployed/team.rs", 1),
    ("engine/src/gpu/backward.rs", 8),
    ("engine/src/gpu/executor.rs", 9),
    ("engine/src/gpu/memory.rs", 2),
    ("engine/src/huge_pages.rs", 1),
    ("engine/src/tensor_memory.rs", 4),
    ("kernels/src/activation.rs", 20),
    ("kernels/src/depthwise/mod.rs", 5),
    ("kernels/src/depthwise/rows.rs", 20),
    ("kernels/src/depthwise/weights.rs", 13),
    ("kernels/src/elementwise.rs", 12),
    ("kernels/src/fixed/dense.rs", 9),
    ("kernels/src/fixed/depthwise.rs", 9),
    ("kernels/src/fixed/mod.rs", 4),
    ("kernels/src/fixed/pool.rs", 13),
    ("kernels/src/gemm/mod.rs", 6),
    ("kernels/src/gemm/outer.rs", 6),
    ("kernels/src/gemm/product.rs", 8),
    ("kernels/src/int8/amx.rs", 10),
    ("kernels/src/int8/dense.rs", 11),
    ("kernels/src/int8/dense/tiles.rs", 10),
    ("kernels/src/int8/depthwise.rs", 8),
    ("kernels/src/int8/elementwise.rs", 12),
    ("kernels/src/int8/level.rs", 12),
    ("kernels/src/int8/pool.rs", 8),
    ("kernels/src/int8/simd.rs", 32),
    ("kernels/src/int8/simd/arm.rs", 19),
    ("kernels/src/int8/simd/x86.rs", 45),
    ("kernels/src/norm.rs", 20),
    ("kernels/src/pool.rs", 16),
    ("kernels/src/prefetch.rs", 1),
    ("kernels/src/simd.rs", 44),
    ("kernels/src/simd/arm.rs", 18),
    ("kernels/src/simd/x86.rs", 50),
    ("kernels/tests/fixed.rs", 5),
];
/// The crates with `unsafe` code. Every other crate forbids it.
const WITH_UNSAFE: [&str; 2] = ["engine", "kernels"];

/// How often the word occurs in the code of `text`, without comments and strings that begin on the
/// same line.
fn count(text: &str) -> usize {
    let code = |line: &str| {
        line.split("//")
            .next()
            .unwrap_or_default()
            .split('"')
            .step_by(2)
            .collect::<String>()
    };
    let words = |line: &str| {
        let code = code(line);
        let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(|word| *word == "unsafe").count()
    };
    text.lines().map(words).sum()
}

fn visit(dir: &Path, crates: &Path, found: &mut Vec<(String, usize)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, crates, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let count = count(&fs::read_to_string(&path).unwrap());
            if count > 0 {
                found.push((path.strip_prefix(crates).unwrap().display().to_string(), count));
            }
        }
    }
}

#[test]
fn unsafe_code_is_only_where_it_was_reviewed() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    visit(crates, crates, &mut found);
    found.sort();
    let allowed: Vec<(String, usize)> = ALLOWED.iter().map(|&(file, count)| (file.to_owned(), count)).collect();
    assert_eq!(
        found, allowed,
        "look at what is new, with its SAFETY lines, and put the number here"
    );
    for name in fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().file_name()) {
        if WITH_UNSAFE.iter().any(|&with| name == with) {
            continue;
        }
        for root in ["src/lib.rs", "src/main.rs"] {
            let path = crates.join(&name).join(root);
            if path.exists() {
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.contains("\n#![forbid(unsafe_code)]\n"), "{}", path.display());
            }
        }
    }
}

#[test]
fn only_code_counts() {
    assert_eq!(
        count("// unsafe {\nlet a = \"unsafe\"; unsafe { b() }\nunsafe fn c() {}\nnot_unsafe()"),
        2
    );
}
