//! `da2s-infer` with invalid input: the exit code, one sentence that names the file, and no panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A safetensors file with this header, which claims to be `length` bytes long.
fn file(length: u64, header: &str) -> Vec<u8> {
    [&length.to_le_bytes()[..], header.as_bytes()].concat()
}

/// A file with this description of a network.
fn network(description: &str) -> Vec<u8> {
    let header = serde_json::json!({ "__metadata__": { "da2s": description } }).to_string();
    file(header.len() as u64, &header)
}

/// A stage whose nodes pool an image of that side, each as large as the image: it has no weights
/// and would need unlimited memory.
fn pools(side: usize, nodes: usize) -> String {
    let pool = serde_json::json!({
        "block": { "pool": { "kind": "max", "kernel": 3, "stride": 1, "padding": 1, "norm": false } }, "name": "", "first": 0,
    });
    let edges: Vec<_> = (0..nodes)
        .map(|node| serde_json::json!({ "from": 0, "to": node + 1, "blocks": [pool] }))
        .collect();
    let stage = serde_json::json!({
        "prefix": "", "sources": [null], "inputs": [{ "channels": 1, "outputs": 1, "block": null }],
        "nodes": vec![1; nodes], "edges": edges, "output": [1],
    });
    let preprocessing = serde_json::json!({
        "channels": 1, "image_size": side, "centre_crop": 1.0, "mean": [0.0], "std": [1.0], "classes": ["a"],
    });
    serde_json::json!({ "plan": { "stages": [stage], "last_relu": false }, "preprocessing": preprocessing }).to_string()
}

/// A network of two convolutions whose weights are the same tensor.
fn twins() -> Vec<u8> {
    let conv = serde_json::json!({
        "block": { "conv": { "relu": false, "kernel": 1, "stride": 1, "padding": 0, "bias": false, "norm": false } },
        "name": "a", "first": 0,
    });
    let mut description: serde_json::Value = serde_json::from_str(&pools(8, 1)).unwrap();
    description["plan"]["stages"][0]["edges"][0]["blocks"] = serde_json::json!([conv, conv]);
    let header = serde_json::json!({
        "__metadata__": { "da2s": description.to_string() },
        "a.0.weight": { "dtype": "F32", "shape": [1, 1, 1, 1], "data_offsets": [0, 4] },
    });
    let header = header.to_string();
    [file(header.len() as u64, &header), vec![0; 4]].concat()
}

/// A network for images of that side with this weight and bias in its classifier, and an image of
/// 8×8 for it.
fn classifier(side: usize, weight: f32, bias: f32) -> (Vec<u8>, Vec<u8>) {
    let header = serde_json::json!({
        "__metadata__": { "da2s": pools(side, 1) },
        "classifier.weight": { "dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4] },
        "classifier.bias": { "dtype": "F32", "shape": [1], "data_offsets": [4, 8] },
    });
    let header = header.to_string();
    let numbers = [weight.to_le_bytes(), bias.to_le_bytes()].concat();
    // BMP with 24 bits per pixel.
    let mut image = b"BM".to_vec();
    for field in [54 + 192u32, 0, 54, 40, 8, 8, 1 | 24 << 16, 0, 192, 0, 0, 0, 0] {
        image.extend(field.to_le_bytes());
    }
    image.extend([100; 192]);
    ([file(header.len() as u64, &header), numbers].concat(), image)
}

/// The files of such a network and its image in `folder`.
fn written(folder: &Path, side: usize) -> [PathBuf; 2] {
    let paths = ["own.safetensors", "a.bmp"].map(|name| folder.join(name));
    let (network, image) = classifier(side, 1.0, 0.5);
    fs::write(&paths[0], network).unwrap();
    fs::write(&paths[1], image).unwrap();
    paths
}

/// Exit code, standard output and standard error of the program.
fn infer<T: AsRef<OsStr>>(arguments: &[T]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_da2s-infer"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn non_finite_outputs_are_rejected() {
    const WEIGHTS: &str = "classifier.bias contains NaN or infinity";
    let folder = tempfile::tempdir().unwrap();
    let (network, picture) = (folder.path().join("own.safetensors"), folder.path().join("a.bmp"));
    for (weight, bias, code, says) in [
        (1.0, 0.5, 0, ""),
        (1.0, f32::NAN, 8, WEIGHTS),
        (1.0, f32::INFINITY, 8, WEIGHTS),
        (f32::MAX, f32::MAX, 8, "an output of the network is"),
    ] {
        let (bytes, image) = classifier(8, weight, bias);
        fs::write(&network, bytes).unwrap();
        fs::write(&picture, image).unwrap();
        let (ended, answered, reason) = infer(&[&network, &picture]);
        assert_eq!(ended, Some(code), "{reason}");
        assert!(answered.is_empty() == (code != 0) && reason.contains(says), "{reason}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_ends_the_program_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 400000; exec \"$0\" --threads 1 \"$@\""])
        .arg(env!("CARGO_BIN_EXE_da2s-infer"))
        .args(written(folder.path(), 2048))
        .output()
        .unwrap();
    let reason = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(12), "{reason}");
    assert!(
        reason.starts_with("da2s-infer: not enough memory: another ") && reason.lines().count() == 1,
        "{reason}"
    );
}

#[test]
fn readable_images_are_classified_and_the_others_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (network, image) = classifier(8, 1.0, 0.5);
    fs::write(path("own.safetensors"), network).unwrap();
    fs::write(path("bad.bmp"), &image[..60]).unwrap();
    fs::write(path("good.bmp"), image).unwrap();
    let (ended, answered, reason) = infer(&[path("own.safetensors"), path("bad.bmp"), path("good.bmp")]);
    assert_eq!(ended, Some(3), "{reason}");
    assert!(
        answered.lines().count() == 1 && answered.contains("good.bmp"),
        "{answered}"
    );
    assert!(reason.lines().count() == 1 && reason.contains("bad.bmp"), "{reason}");
}

#[test]
fn a_measured_time_is_printed_with_the_number_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let paths = written(folder.path(), 8);
    let answer = |arguments: &[&str]| {
        let own = paths.iter().map(|path| path.as_os_str());
        let arguments: Vec<&OsStr> = own.chain(arguments.iter().map(OsStr::new)).collect();
        let (ended, answered, reason) = infer(&arguments);
        assert_eq!(ended, Some(0), "{reason}");
        answered
    };
    assert!(!answer(&[]).contains("ms"));
    assert!(answer(&["--repeat", "3"]).ends_with(" ms)\n"));
    let eight = ["--repeat", "3", "--batch", "8"];
    assert!(answer(&eight).ends_with(" ms for 8 images)\n"));
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()[0].clone();
    let timed = read(&answer(&[&eight[..], &["--json"]].concat()));
    assert!(timed["median_ms"].is_f64() && timed["batch"] == 8, "{timed}");
    let untimed = read(&answer(&["--json"]));
    assert!(
        untimed["median_ms"].is_null() && untimed["batch"].is_null(),
        "{untimed}"
    );
}

#[cfg(unix)]
#[test]
fn a_network_is_a_regular_file() {
    let (ended, _, reason) = infer(&["/dev/zero", "a.png"]);
    assert_eq!(ended, Some(5), "{reason}");
    assert!(reason.contains("it is not a regular file"), "{reason}");
}

#[test]
fn networks_that_cannot_be_used_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.safetensors");
    for (bytes, says) in [
        (Vec::new(), "header too small"),
        (b"nothing".to_vec(), "header too small"),
        (file(1 << 63, "{}"), "header too large"),
        (file(1000, "{}"), "not a safetensors file"),
        (
            file(1_000_005, &format!("{{\"a\":{}", "[".repeat(1_000_000))),
            "recursion limit",
        ),
        (file(2, "{}"), "no description"),
        (network(""), "its description cannot be read"),
        (network(&"[".repeat(100_000)), "its description cannot be read"),
        (
            network("{\"plan\":{\"stages\":[],\"last_relu\":true},\"preprocessing\":{}}"),
            "missing field",
        ),
        (network(&pools(4096, 4).replace("4096", "1000000")), "image_size"),
        (
            network(&pools(4096, 4).replace("\"kernel\":3", "\"kernel\":4294967296")),
            "a window",
        ),
        (
            network(&pools(4096, 4).replace("\"from\":0", "\"from\":9")),
            "go forward",
        ),
        (network(&pools(4096, 40)), "would be larger than"),
        (network(&pools(8, 4)), "classifier.weight is missing"),
        (twins(), "the tensor a.0.weight is used twice"),
        (
            // Tensors are missing too.
            network(&pools(8, 4).replacen('{', &format!("{{\"sha256\":\"{:064}\",", 0), 1)),
            "checksum",
        ),
        (
            network(&pools(8, 4).replace("\"max\"", "\"\\u001b[31m\\n\"")),
            "variant `\\u001b[31m\\n`",
        ),
    ] {
        fs::write(&path, &bytes).unwrap();
        let (ended, _, reason) = infer(&[path.as_os_str(), OsStr::new("image.png")]);
        assert_eq!(ended, Some(5), "{says}: {reason}");
        assert_eq!(reason.lines().count(), 1, "{reason}");
        assert!(!reason.trim_end_matches('\n').contains(char::is_control), "{reason:?}");
        assert!(
            reason.starts_with("da2s-infer: ") && reason.contains("own.safetensors") && reason.contains(says),
            "{says}: {reason}"
        );
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    for (arguments, code, says) in [
        (&["nothing.safetensors", "a.png"][..], 5, "nothing.safetensors"),
        (&["a.safetensors"], 2, "images are missing"),
        (&[], 2, "a network is missing"),
        (&["a", "b", "--top", "0"], 2, "--top"),
        (&["a", "b", "--threads", "-1"], 2, "invalid"),
        (
            &["a", "b", "--threads", "4097"],
            2,
            "--threads 4097: expected a number up to 4096",
        ),
        (
            &["a", "b", "--repeat", "18446744073709551615"],
            2,
            "expected a number up to 1000000",
        ),
        (&["a", "b", "--repeat", "1000001"], 2, "--repeat 1000001"),
        (&["a", "b", "--batch", "8"], 2, "--batch needs --repeat"),
        (
            &["a", "b", "--repeat", "1", "--batch", "0"],
            2,
            "--batch must be at least 1",
        ),
        (
            &["a", "b", "--repeat", "1", "--batch", "1025"],
            2,
            "--batch 1025: expected a number up to 1024",
        ),
        (&["a\u{1b}[2J\n.safetensors", "b"], 5, "a\\u001b[2J\\n.safetensors"),
        (&["a", "b", "--none"], 2, "--none"),
    ] {
        let (ended, _, reason) = infer(arguments);
        assert_eq!(ended, Some(code), "{reason}");
        assert!(reason.lines().count() == 1 && reason.contains(says), "{says}: {reason}");
    }
}
