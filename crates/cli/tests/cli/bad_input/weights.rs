//! Weight files with false headers, read by `import`, by the stages that read checkpoints, and by
//! `da2s-infer`.

use std::fs;
use std::path::Path;

use super::runs::finished_copy;
use super::{Case, case};

/// What is wrong with a file, and the message that every reader gives.
struct Lie {
    name: &'static str,
    bytes: Vec<u8>,
    says: &'static str,
}

/// A file with this header, `length` as its claimed length, and `zeros` zeros.
fn file(length: Option<u64>, header: &str, zeros: usize) -> Vec<u8> {
    let length = length.unwrap_or(header.len() as u64);
    [&length.to_le_bytes()[..], header.as_bytes(), &vec![0; zeros]].concat()
}

fn tensor(name: &str, kind: &str, shape: &str, offsets: &str) -> String {
    format!("\"{name}\":{{\"dtype\":\"{kind}\",\"shape\":[{shape}],\"data_offsets\":[{offsets}]}}")
}

fn lies() -> Vec<Lie> {
    let lie = |name, bytes, says| Lie { name, bytes, says };
    let of = |tensors: &[String], zeros| file(None, &format!("{{{}}}", tensors.join(",")), zeros);
    vec![
        lie("empty", Vec::new(), "header too small"),
        lie("a header of 8 EB", file(Some(1 << 63), "{}", 0), "header too large"),
        lie(
            "a header of the largest length",
            file(Some(u64::MAX), "{}", 0),
            "header too large",
        ),
        lie("a header beyond the file", file(Some(1000), "{}", 0), "header length"),
        lie("no JSON", file(None, "nothing!", 0), "header"),
        lie(
            "a million brackets",
            file(None, &format!("{{\"a\":{}", "[".repeat(1_000_000)), 0),
            "recursion limit",
        ),
        lie(
            "beyond the file",
            of(&[tensor("a", "F32", "4", "0,16")], 8),
            "not fully covered",
        ),
        lie(
            "overlapping",
            of(&[tensor("a", "F32", "4", "0,16"), tensor("b", "F32", "4", "8,24")], 24),
            "invalid offset",
        ),
        lie(
            "a hole",
            of(&[tensor("a", "F32", "4", "0,16"), tensor("b", "F32", "4", "20,36")], 36),
            "invalid offset",
        ),
        lie("backward", of(&[tensor("a", "F32", "4", "16,0")], 16), "invalid offset"),
        lie(
            "a shape beyond 64 bits",
            of(&[tensor("a", "F32", "9223372036854775808,2,2", "0,16")], 16),
            "overflow",
        ),
        lie("an unknown type", of(&[tensor("a", "F99", "4", "0,16")], 16), "F99"),
    ]
}

/// Commands that read weights from a run directory, each with the file that it reads.
const STAGES: [(&[&str], &str); 5] = [
    (&["evaluate", "run"], "network/best.safetensors"),
    (
        &["predict", "run", "run/network/mistakes/0.png"],
        "network/best.safetensors",
    ),
    (&["export", "run", "--format", "onnx"], "network/best.safetensors"),
    (&["quantise", "run"], "network/best.safetensors"),
    (&["discretize", "run"], "search/checkpoint.safetensors"),
];

pub fn cases() -> Vec<Case> {
    let genotype = "Genotype(normal=[('skip_connect', 0)], normal_concat=[2], normal_nodes=[1], reduce=[('skip_connect', 0)], \
                    reduce_concat=[2], reduce_nodes=[1])";
    let weights = |dir: &Path, bytes: &[u8]| fs::write(dir.join("own.safetensors"), bytes).unwrap();
    let mut all = Vec::new();
    for (number, Lie { name, bytes, says }) in lies().into_iter().enumerate() {
        let import = [
            "import",
            "digits",
            "--weights",
            "own.safetensors",
            "--genotype",
            genotype,
        ];
        let own = bytes.clone();
        all.push(
            case(&format!("import: {name}"), &import, 5, &["own.safetensors", says])
                .make(move |dir| weights(dir, &own))
                .tiny(),
        );
        // Each file is tried with only one of the stages, since all use the same reader.
        let (arguments, path) = STAGES[number % STAGES.len()];
        all.push(
            case(&format!("{}: {name}", arguments[0]), arguments, 5, &[path, says]).make(move |dir| {
                finished_copy(dir);
                fs::write(dir.join("run").join(path), &bytes).unwrap();
                // The previous checkpoint, to which it could fall back.
                let _ = fs::remove_file(dir.join(format!("run/{path}.previous")));
            }),
        );
    }
    let other = |text: &str| file(None, text, 16);
    for (name, bytes) in [
        ("torch.save", &b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0archive/data.pkl"[..]),
        ("torch.save before 1.6", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."),
    ] {
        let import = [
            "import",
            "digits",
            "--weights",
            "own.safetensors",
            "--genotype",
            genotype,
        ];
        let says = ["own.safetensors", "a pickle of PyTorch", "safetensors.torch.save_file"];
        all.push(
            case(&format!("import: {name}"), &import, 5, &says)
                .make(move |dir| weights(dir, bytes))
                .tiny(),
        );
    }
    let float = tensor("a", "F32", "4", "0,16");
    all.extend([
        case(
            "import: numbers that are no weights",
            &[
                "import",
                "digits",
                "--weights",
                "own.safetensors",
                "--genotype",
                genotype,
            ],
            5,
            &["own.safetensors", "BOOL"],
        )
        .make(move |dir| weights(dir, &other(&format!("{{{}}}", tensor("a", "BOOL", "16", "0,16")))))
        .tiny(),
        case(
            "import: weights of another network",
            &[
                "import",
                "digits",
                "--weights",
                "own.safetensors",
                "--genotype",
                genotype,
            ],
            5,
            &["own.safetensors", "stem.0.weight is missing"],
        )
        .make(move |dir| weights(dir, &other(&format!("{{{float}}}"))))
        .tiny(),
        case(
            "import: weights of another super-network",
            &["import", "digits", "--supernet", "own.safetensors"],
            5,
            &["own.safetensors", "missing"],
        )
        .make(move |dir| weights(dir, &file(None, "{}", 0)))
        .tiny(),
        case(
            "import: no file",
            &["import", "digits", "--supernet", "nothing.safetensors"],
            7,
            &["nothing.safetensors"],
        )
        .tiny(),
        case(
            "import: a folder",
            &["import", "digits", "--supernet", "."],
            7,
            &["cannot read"],
        )
        .tiny(),
        case(
            "export: weights that da2s did not write",
            &["export", "run", "--format", "onnx"],
            5,
            &["best.safetensors", "not written by da2s"],
        )
        .make(|dir| {
            finished_copy(dir);
            fs::write(dir.join("run/network/best.safetensors"), file(None, "{}", 0)).unwrap();
        }),
        case(
            "export: a changed bit of a weight",
            &["export", "run", "--format", "safetensors"],
            5,
            &["best.safetensors", "checksum"],
        )
        .make(|dir| {
            finished_copy(dir);
            let path = dir.join("run/network/best.safetensors");
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        }),
    ]);
    all
}
