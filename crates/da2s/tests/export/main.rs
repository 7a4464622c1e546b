//! Exports evaluated by the tools that read them: onnx's checker, onnxruntime, OpenVINO, PyTorch,
//! tract and TFLite must reproduce da2s's logits, and its accuracy on test images.
//!
//! Python is `$DA2S_PYTHON`, or `python3` if it has the packages in `requirements.txt`; for TFLite
//! it is `$DA2S_TFLITE_PYTHON`, with those in `requirements-tflite.txt`. Without it a test passes
//! and prints that it is skipped; `run.py` installs the packages and runs the tests.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod cases;
mod int8;
mod preprocessing;
mod tools;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use da2s::export::{ExportFormat, ExportOptions, export};
use da2s::network::{Description, Trained};
use da2s_engine::{Block, EdgePlan, InputPlan, PlacedBlock, StagePlan};
use da2s_infer::Network;
use da2s_records::WeightsFile;
use proptest::prelude::*;
use rayon::prelude::*;
use serde_json::Value;

use cases::Case;

/// Largest allowed difference of a logit.
const TOLERANCE: f64 = 1e-4;

/// Writes all files that the tools read.
fn write(case: &Case, folder: &Path) {
    for (name, fold_batch_norms) in [("plain.onnx", false), ("folded.onnx", true)] {
        let options = ExportOptions {
            fold_batch_norms,
            with_preprocessing: false,
        };
        export(&case.trained, ExportFormat::Onnx, options, &folder.join(name)).unwrap();
    }
    let options = ExportOptions::default();
    export(&case.trained, ExportFormat::Pytorch, options, &folder.join("pytorch")).unwrap();
    let expected = WeightsFile::to_bytes(&case.expected, "case", case.name.to_owned()).unwrap();
    fs::write(folder.join("expected.safetensors"), expected).unwrap();
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} of {value}"))
}

/// Asserts that a tool computed the same logits as da2s.
fn same(case: &Case, tool: &str, result: &Value) {
    let (name, difference) = (case.name, number(result, "difference"));
    eprintln!("{name}, {tool}: largest difference {difference:.1e}");
    assert!(difference <= TOLERANCE, "{name}, {tool}: off by {difference:e}");
    let accuracy = number(result, "accuracy");
    assert!(
        (accuracy - case.accuracy).abs() < 1e-3,
        "{name}, {tool}: {accuracy} instead of {}",
        case.accuracy
    );
}

#[test]
fn other_tools_compute_the_same_logits() {
    let Some(python) = tools::python("other_tools_compute_the_same_logits", &tools::OF_EXPORTS) else {
        return;
    };
    for case in cases::all() {
        let folder = tempfile::tempdir().unwrap();
        write(&case, folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/check.py");
        let results = tools::json(&python, &[script.as_path(), folder.path()]);
        for tool in ["plain", "folded"] {
            let result = &results[tool];
            same(&case, &format!("onnxruntime, {tool}"), result);
            assert!(number(result, "opset") >= 17.0);
            assert_eq!(result["batch"], "batch", "the batch is not fixed");
            assert!(
                number(result, "alone") <= TOLERANCE,
                "an image alone has another result: {result}"
            );
        }
        assert!(number(&results["plain"], "norms") > number(&results["folded"], "norms"));
        assert_eq!(
            results["folded"]["foldable"], 0,
            "every batch norm after a convolution is folded"
        );
        let metadata = &results["plain"]["metadata"];
        let preprocessing = &case.trained.description.preprocessing;
        let stated = serde_json::to_string(preprocessing).unwrap();
        let stated: serde_json::Map<String, Value> = serde_json::from_str(&stated).unwrap();
        for (key, value) in &stated {
            let told = &metadata[if key == "classes" { "class_names" } else { key }];
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(*told, text, "{key}");
        }
        assert_eq!(metadata["preprocessing"], "caller");
        assert_eq!(metadata["genotype"], case.trained.description.genotype);
        for tool in [
            "pytorch",
            "tract, plain",
            "tract, folded",
            "openvino, plain",
            "openvino, folded",
        ] {
            same(&case, tool, &results[tool]);
        }
        assert_eq!(results["pytorch"]["classes"], serde_json::json!(preprocessing.classes));
        assert!(
            number(&results["pytorch"], "deep") <= TOLERANCE,
            "a picture of 16 bits gives another result: {results}"
        );
    }
}

#[test]
fn tflite_computes_the_same_logits() {
    let Some(python) = tools::python("tflite_computes_the_same_logits", &tools::OF_TFLITE) else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/check_tflite.py");
    // onnx2tf cannot convert a node to which no operation leads: its zeros have no fixed shape.
    let cases = cases::all()
        .into_iter()
        .filter(|case| !cases::WITHOUT_INPUTS.contains(&case.name));
    let cases: Vec<_> = cases.map(|case| (case, tempfile::tempdir().unwrap())).collect();
    let mut arguments = vec![script.as_path()];
    for (case, folder) in &cases {
        write(case, folder.path());
        arguments.push(folder.path());
    }
    let results = tools::json(&python, &arguments);
    for (case, folder) in &cases {
        same(case, "tflite", &results[folder.path().to_str().unwrap()]);
    }
}

#[test]
fn a_safetensors_file_contains_all_that_a_network_needs() {
    for case in cases::all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        export(
            &case.trained,
            ExportFormat::Safetensors,
            ExportOptions::default(),
            &path,
        )
        .unwrap();
        let bytes = fs::read(&path).unwrap();
        export(
            &case.trained,
            ExportFormat::Safetensors,
            ExportOptions::default(),
            &path,
        )
        .unwrap();
        assert_eq!(
            bytes,
            fs::read(&path).unwrap(),
            "{}: the same network, the same bytes",
            case.name
        );
        let file = WeightsFile::from_bytes(&bytes).unwrap();
        let numbers: usize = file.tensors.iter().map(|tensor| tensor.data.len()).sum();
        assert_eq!(
            case.cost.on_device.size_bytes,
            Some(4 * numbers as u64),
            "{}",
            case.name
        );
        let description: Description = serde_json::from_str(&file.metadata["da2s"]).unwrap();
        assert_eq!(description, case.trained.description);
        let genotype = da2s::space::Genotype::parse(&description.genotype).unwrap();
        let read = Trained::new(
            genotype,
            description.size,
            description.preprocessing,
            &file.tensors,
            (&da2s_engine::Engine::fused(), &burn::tensor::Device::flex()),
        )
        .unwrap();
        let images = &case.expected[0];
        let logits = read.logits(images.data.clone(), images.shape[0], &burn::tensor::Device::flex());
        let expected = &case.expected[1].data;
        let worst = da2s::device::host(&logits)
            .iter()
            .zip(expected)
            .fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(f64::from(worst) <= TOLERANCE, "{}: off by {worst:e}", case.name);
    }
}

#[test]
fn a_deployed_network_computes_the_same_logits() {
    for case in cases::all() {
        let network = Network::from_bytes(&exported(&case)).unwrap();
        let (images, expected) = (&case.expected[0], &case.expected[1].data);
        let pictures: Vec<Vec<f32>> = images
            .data
            .chunks(network.preprocessing().len())
            .map(<[f32]>::to_vec)
            .collect();
        let logits = network.logits(&pictures);
        let worst = |logits: &[f32], expected: &[f32]| {
            logits
                .iter()
                .zip(expected)
                .fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()))
        };
        let difference = worst(&logits.concat(), expected);
        assert!(
            f64::from(difference) <= TOLERANCE,
            "{}: off by {difference:e}",
            case.name
        );
        // A single image, another batch size, and the first one again.
        let one = network.logits(&pictures[..1]).concat();
        assert!(f64::from(worst(&one, expected)) <= TOLERANCE, "{}", case.name);
        assert_eq!(network.logits(&pictures).concat(), logits.concat());
    }
}

/// A thread that waits inside a call may begin another call, so no call may hold a lock that
/// another call needs.
#[test]
fn a_deployed_network_can_be_called_by_several_threads() {
    let case = cases::all().into_iter().find(|case| case.name == "trained").unwrap();
    let network = Network::from_bytes(&exported(&case)).unwrap();
    let pictures: Vec<Vec<f32>> = case.expected[0]
        .data
        .chunks(network.preprocessing().len())
        .take(5)
        .map(<[f32]>::to_vec)
        .collect();
    let logits = network.logits(&pictures);
    let is_same = |images: usize| network.logits(&pictures[..images]) == logits[..images];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    assert!(pool.install(|| (0..80).into_par_iter().all(|call| is_same(1 + call % 5))));
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..20).all(|call| is_same(1 + call % 5))))
            .collect();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_plan_makes_a_deployed_network_panic(
        case in 0usize..3, at in any::<prop::sample::Index>(), number in prop::sample::select(vec![0u64, 1, 2, 3, 5, 7, 12, 64, 70_000, u64::MAX]),
    ) {
        let files = files();
        let file = &files[case];
        // One number of the description is changed.
        let text = &file.metadata["da2s"];
        let starts: Vec<usize> = text
            .char_indices()
            .filter(|&(at, c)| c.is_ascii_digit() && !text[..at].ends_with(|c: char| c.is_alphanumeric() || "._".contains(c)))
            .map(|(at, _)| at)
            .collect();
        let start = starts[at.index(starts.len())];
        let length = text[start..].find(|c: char| !c.is_ascii_digit()).unwrap();
        let changed = format!("{}{number}{}", &text[..start], &text[start + length..]);
        let bytes = WeightsFile::to_bytes(&file.tensors, "da2s", changed).unwrap();
        if let Ok(network) = Network::from_bytes(&bytes) {
            let values = network.preprocessing().len();
            if values <= 64 * 64 {
                let logits = network.logits(&[vec![0.5; values]]);
                prop_assert_eq!(logits[0].len(), network.preprocessing().classes.len());
            }
        }
    }
}

/// A plan may claim sizes that exceed any memory, or read a node without inputs.
#[test]
fn plans_that_claim_too_much_are_errors() {
    let files = files();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let file = &files[0];
        let mut description: serde_json::Value = serde_json::from_str(&file.metadata["da2s"]).unwrap();
        change(&mut description);
        let bytes = WeightsFile::to_bytes(&file.tensors, "da2s", description.to_string()).unwrap();
        Network::from_bytes(&bytes).unwrap_err().to_string()
    };
    let stem = |description: &mut serde_json::Value, channels: usize| {
        let stem = &mut description["plan"]["stages"][0];
        *stem = serde_json::to_value(StagePlan {
            prefix: "stem".to_owned(),
            sources: vec![None],
            inputs: vec![InputPlan {
                channels: 1,
                outputs: 1,
                block: None,
            }],
            nodes: vec![channels],
            edges: vec![EdgePlan {
                from: 0,
                to: 1,
                blocks: vec![PlacedBlock {
                    block: Block::Conv {
                        relu: false,
                        kernel: 11,
                        stride: 1,
                        padding: 5,
                        bias: false,
                        norm: true,
                    },
                    name: "0".to_owned(),
                    first: 0,
                }],
            }],
            output: vec![1],
        })
        .unwrap();
    };
    let too_wide = with(&|description| stem(description, 65_536));
    assert!(
        too_wide.contains("missing") || too_wide.contains("channels"),
        "{too_wide}"
    );
    let too_large = with(&|description| {
        stem(description, 65_536);
        description["preprocessing"]["image_size"] = 4096.into();
    });
    assert!(too_large.contains("larger than"), "{too_large}");
    let unled = with(&|description| {
        stem(description, 4);
        let stage = &mut description["plan"]["stages"][0];
        stage["nodes"] = serde_json::json!([4, 4]);
        stage["edges"][0]["from"] = 1.into();
        stage["edges"][0]["to"] = 2.into();
    });
    assert!(unled.contains("without inputs"), "{unled}");
}

/// The bytes of a case's safetensors file.
fn exported(case: &Case) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    export(
        &case.trained,
        ExportFormat::Safetensors,
        ExportOptions::default(),
        &path,
    )
    .unwrap();
    fs::read(&path).unwrap()
}

/// The files of some cases, created once.
fn files() -> &'static [WeightsFile] {
    static FILES: OnceLock<Vec<WeightsFile>> = OnceLock::new();
    FILES.get_or_init(|| {
        let cases = cases::all()
            .into_iter()
            .filter(|case| case.trained.description.size.image_size <= 16);
        cases
            .map(|case| WeightsFile::from_bytes(&exported(&case)).unwrap())
            .collect()
    })
}

#[test]
fn a_module_contains_the_cells_in_readable_form() {
    let case = cases::all().remove(0);
    let folder = tempfile::tempdir().unwrap();
    export(
        &case.trained,
        ExportFormat::Pytorch,
        ExportOptions::default(),
        folder.path(),
    )
    .unwrap();
    let module = fs::read_to_string(folder.path().join("model.py")).unwrap();
    for line in [
        "    [(\"sep_conv_3x3\", 1), (\"skip_connect\", 0)],\n",
        "NORMAL_CONCAT = [2, 3, 4, 5]\n",
        "STEM = \"cifar\"\nCELLS = 5\nREDUCTION_CELLS = [1, 3]\n",
        "class Cell(nn.Module):\n",
    ] {
        assert!(module.contains(line), "{line}\n{module}");
    }
    assert!(!module.contains("import da2s"));
}
