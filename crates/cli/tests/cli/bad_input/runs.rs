//! Run directories with damaged files, for every command that reads one.

use std::fs;
use std::path::Path;

use super::data::picture;
use super::{Case, case};
use crate::finished;

/// Copies a finished run to `dir/run`.
pub fn finished_copy(dir: &Path) {
    copy(finished(), &dir.join("run"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A finished run whose file `path` has this content.
fn with(
    name: &str,
    path: &'static str,
    content: impl AsRef<[u8]>,
    arguments: &[&str],
    code: i32,
    says: &[&str],
) -> Case {
    let content = content.as_ref().to_vec();
    case(
        &format!("{}: {path} {name}", arguments[0]),
        arguments,
        code,
        &[&[path], says].concat(),
    )
    .make(move |dir| {
        finished_copy(dir);
        fs::write(dir.join("run").join(path), &content).unwrap();
    })
}

/// A finished run without the file `path`.
fn without(path: &'static str, arguments: &[&str], code: i32, says: &[&str]) -> Case {
    case(&format!("{}: no {path}", arguments[0]), arguments, code, says).make(move |dir| {
        finished_copy(dir);
        fs::remove_file(dir.join("run").join(path)).unwrap();
    })
}

/// A finished run with `picture` as the image of a misclassification.
fn mistake(name: &str, picture: Vec<u8>, says: &str) -> Case {
    case(
        &format!("report: a mistake's picture is {name}"),
        &["report", "run"],
        5,
        &["network/mistakes/0.png", says],
    )
    .make(move |dir| {
        finished_copy(dir);
        let evaluation = "{\"classes\":[\"a\",\"b\"],\"mistakes\":[{\"index\":0,\"class\":0,\"predicted\":1}]}";
        fs::write(dir.join("run/network/evaluation.json"), evaluation).unwrap();
        fs::write(dir.join("run/network/mistakes/0.png"), &picture).unwrap();
    })
}

pub fn cases() -> Vec<Case> {
    const REPORT: &[&str] = &["report", "run"];
    const DRAW: &[&str] = &["draw", "run", "--format", "svg,png"];
    const METRICS: &[&str] = &["metrics", "run", "--format", "csv"];
    const PARQUET: &[&str] = &["metrics", "run", "--format", "parquet"];
    const EVENTS: &[&str] = &["metrics", "run", "--format", "tensorboard"];
    const EXPORT: &[&str] = &["export", "run", "--format", "onnx"];
    const PREDICT: &[&str] = &["predict", "run", "run/network/mistakes/0.png"];
    const WATCH: &[&str] = &["watch", "run", "--http", "0"];
    let deep = "[".repeat(1_000_000);
    let edge = |to: &str| {
        format!(
            "{{\"cells\":{{\"normal\":{{\"edges\":[{{\"from\":0,\"to\":{to},\"operations\":[]}}],\"concat\":[]}}}}}}"
        )
    };
    let whole = |name: &str| fs::read_to_string(finished().join(name)).unwrap();
    let mut all = vec![
        case("report: no run", &["report", "."], 5, &["not a run directory"]),
        case("draw: no run", &["draw", "."], 5, &["not a run directory"]),
        case(
            "metrics: no run",
            &["metrics", ".", "--format", "csv"],
            5,
            &["not a run directory"],
        ),
        case(
            "watch: no run",
            &["watch", ".", "--http", "0"],
            5,
            &["not a run directory"],
        ),
        case("runs: no folder", &["runs", "nothing"], 7, &["nothing"]),
        case("evaluate: no run", &["evaluate", "."], 5, &["it has no config.toml"]),
        case("quantise: no run", &["quantise", "."], 5, &["it has no config.toml"]),
        case(
            "export: no run",
            &["export", ".", "--format", "onnx"],
            5,
            &["it has no config.toml"],
        ),
        case("compare: no comparison", &["compare", "--out", "."], 5, &["not empty"])
            .make(|dir| fs::write(dir.join("mine"), "x").unwrap()),
        case("compare: damaged", &["compare", "--out", "."], 5, &["compare.toml"]).make(|dir| {
            fs::write(dir.join("settings.toml"), "").unwrap();
            fs::write(dir.join("compare.toml"), "[").unwrap();
        }),
        case(
            "compare: damaged settings",
            &["compare", "--out", "."],
            5,
            &["settings.toml"],
        )
        .make(|dir| {
            fs::write(dir.join("settings.toml"), "search.epochs = \"many\"").unwrap();
            fs::write(dir.join("compare.toml"), "").unwrap();
        }),
        case(
            "predict: no image",
            &["predict", "run", "nothing.png"],
            3,
            &["nothing.png"],
        )
        .make(finished_copy),
        case(
            "predict: a folder without images",
            &["predict", "run", "run/search"],
            3,
            &["run/search contains no files"],
        )
        .make(finished_copy),
        case(
            "predict: no picture",
            &["predict", "run", "run/config.toml"],
            3,
            &["run/config.toml", "not an image"],
        )
        .make(finished_copy),
        case(
            "predict: a file without an end",
            &["predict", "run", "/dev/zero"],
            3,
            &["/dev/zero", "not a regular file"],
        )
        .make(finished_copy),
        case(
            "predict: links that lead back",
            &["predict", "run", "links"],
            3,
            &["links contains no files"],
        )
        .make(|dir| {
            finished_copy(dir);
            fs::create_dir(dir.join("links")).unwrap();
            for name in ["a", "b", "c"] {
                std::os::unix::fs::symlink(".", dir.join("links").join(name)).unwrap();
            }
            // These links are not followed, so their target is not read again.
            fs::write(dir.join("links/1.txt"), picture(image::ImageFormat::Png, 4)).unwrap();
        }),
        without(
            "genotype.json",
            EXPORT,
            5,
            &["genotype.json is missing", "da2s discretize"],
        ),
        without(
            "network/preprocessing.json",
            EXPORT,
            5,
            &["preprocessing.json is missing"],
        ),
        without(
            "network/best.safetensors",
            &["evaluate", "run"],
            5,
            &["best.safetensors is missing", "da2s train"],
        ),
        case(
            "discretize: no checkpoint",
            &["discretize", "run"],
            5,
            &["checkpoint.safetensors is missing"],
        )
        .make(|dir| {
            finished_copy(dir);
            fs::remove_file(dir.join("run/search/checkpoint.safetensors")).unwrap();
            // The previous checkpoint, to which it would fall back.
            let _ = fs::remove_file(dir.join("run/search/checkpoint.safetensors.previous"));
        }),
        with(
            "no UTF-8",
            "config.toml",
            b"\xff\xfe",
            &["evaluate", "run"],
            5,
            &["damaged", "UTF-8"],
        ),
        with("no UTF-8", "config.toml", b"\xff\xfe", REPORT, 5, &["line 1", "UTF-8"]),
        with(
            "deep",
            "config.toml",
            format!("a = {deep}"),
            EXPORT,
            5,
            &["damaged", "line 1", "recurse"],
        ),
        with(
            "wrong type",
            "config.toml",
            "[search]\nepochs = \"two\"\n",
            &["discretize", "run"],
            5,
            &["damaged", "line 2", "search.epochs"],
        ),
        with(
            "at odds with itself",
            "config.toml",
            "[search]\nepochs = 2\nwarmup_epochs = 2\n",
            &["train", "run"],
            5,
            &["damaged", "line 3", "search.warmup_epochs"],
        ),
        with(
            "deep",
            "genotype.json",
            format!("{{\"cells\":{deep}"),
            EXPORT,
            5,
            &["damaged"],
        ),
        with(
            "deep",
            "genotype.json",
            format!("{{\"a\":{deep}"),
            REPORT,
            5,
            &["line 1", "recursion limit exceeded"],
        ),
        with(
            "deep",
            "genotype.json",
            format!("{{\"a\":{deep}"),
            &["genotype", "run"],
            4,
            &["nested brackets"],
        ),
        with(
            "a huge node number",
            "genotype.json",
            edge("18446744073709551615"),
            REPORT,
            5,
            &["no such edge"],
        ),
        with(
            "a huge node number",
            "genotype.json",
            edge("18446744073709551615"),
            DRAW,
            5,
            &["no such edge"],
        ),
        with(
            "no genotype",
            "genotype.json",
            whole("genotype.json").replace("Genotype(", "Genotip("),
            EXPORT,
            4,
            &["expected Genotype"],
        ),
        with("no JSON", "summary.json", "[", METRICS, 5, &["line 1"]),
        with(
            "a million brackets",
            "summary.json",
            format!("{{\"a\":{deep}"),
            REPORT,
            5,
            &["line 1", "recursion limit exceeded"],
        ),
        with(
            "a negative count",
            "gap.json",
            "{\"images\": -1}",
            REPORT,
            5,
            &["line 1"],
        ),
        with(
            "an invalid matrix",
            "network/evaluation.json",
            "{\"classes\":[\"a\"],\"confusion\":[[1,2]]}",
            REPORT,
            5,
            &["confusion matrix"],
        ),
        with(
            "a mistake with an unknown class",
            "network/evaluation.json",
            "{\"classes\":[\"a\"],\"mistakes\":[{\"index\":0,\"class\":0,\"predicted\":9}]}",
            REPORT,
            5,
            &["1 classes"],
        ),
        with(
            "an edge backward",
            "edge_gaps.json",
            "{\"supernet\":{},\"edges\":[{\"kind\":\"n\",\"from\":3,\"to\":1,\"kept\":true,\"operations\":{},\"edge\":{}}]}",
            REPORT,
            5,
            &["no such edge"],
        ),
        with("no JSON", "search/metrics.jsonl", "{}\n{\n", REPORT, 5, &["line 1"]),
        with("no UTF-8", "search/metrics.jsonl", b"\xff\n", METRICS, 5, &["line 1"]),
        with(
            "no JSON",
            "network/metrics.jsonl",
            "{\"epoch\":1,\"epochs\":2}\nx\n",
            PARQUET,
            5,
            &["line 2"],
        ),
        with(
            "a negative epoch",
            "network/metrics.jsonl",
            "{\"epoch\":-1,\"epochs\":2}\n",
            EVENTS,
            5,
            &["line 1"],
        ),
        with(
            "deep",
            "search/arch.jsonl",
            format!("{{\"epoch\":{deep}\n"),
            DRAW,
            5,
            &["line 1"],
        ),
        with(
            "deep",
            "search/arch.jsonl",
            format!("{{\"a\":{deep}\n"),
            WATCH,
            5,
            &["line 1", "EOF"],
        ),
        with(
            "rows of unlike length",
            "search/arch.jsonl",
            "{\"epoch\":0,\"cells\":{\"normal\":{\"edges\":[[0,2]],\"operations\":[\"a\",\"b\"],\"p\":[[1]],\"q\":[1]}}}\n",
            METRICS,
            5,
            &["a row of p"],
        ),
        with(
            "a huge node number",
            "search/arch.jsonl",
            "{\"epoch\":0,\"cells\":{\"normal\":{\"edges\":[[0,18446744073709551615]],\"operations\":[\"a\"],\"p\":[[1]],\"q\":[1]}}}\n",
            EVENTS,
            5,
            &["no such edge"],
        ),
        mistake("no PNG", b"nothing".to_vec(), "not a PNG file"),
        mistake(
            "a large PNG",
            [b"\x89PNG\r\n\x1a\n", &vec![0; 1 << 20][..]].concat(),
            "1048584 bytes",
        ),
        with("deep", "network/preprocessing.json", &deep, EXPORT, 5, &["damaged"]),
        with(
            "no classes",
            "network/preprocessing.json",
            "{\"channels\":1,\"image_size\":8,\"centre_crop\":1,\"mean\":[0],\"std\":[1],\"classes\":[]}",
            PREDICT,
            5,
            &["no classes"],
        ),
        with(
            "a side of 4 billion",
            "network/preprocessing.json",
            "{\"channels\":1,\"image_size\":4294967296,\"centre_crop\":1,\"mean\":[0],\"std\":[1],\"classes\":[\"a\"]}",
            PREDICT,
            5,
            &["image_size"],
        ),
    ];
    all.push(
        case(
            "report: a pipe for a file",
            REPORT,
            7,
            &["summary.json", "not a regular file"],
        )
        .make(|dir| {
            finished_copy(dir);
            let path = dir.join("run/summary.json");
            fs::remove_file(&path).unwrap();
            assert!(
                std::process::Command::new("mkfifo")
                    .arg(path)
                    .status()
                    .unwrap()
                    .success()
            );
        }),
    );
    // Untrusted pictures and run directories are read as data, whatever their names.
    all.push(
        case(
            "report: more runs than fit",
            &[&["report"][..], &["run"; 9]].concat(),
            2,
            &["9 runs"],
        )
        .make(finished_copy),
    );
    all
}
