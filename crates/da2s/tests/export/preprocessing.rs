//! Preprocessing is exported with a network: graphs that include it, and descriptions that other
//! programs follow, must reproduce da2s's probabilities on stripes and photographs of many sizes.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use da2s::data::{Image, Preprocessing, PreprocessingRules};
use da2s::device::host;
use da2s::export::{ExportError, ExportFormat, ExportOptions, export};
use da2s_records::{Named, WeightsFile};

use crate::cases::{self, of_images};
use crate::{number, tools};

/// Largest allowed difference of a probability.
const TOLERANCE: f64 = 1e-3;
/// The same if Pillow resizes bytes, which rounds twice.
const BYTES_TOLERANCE: f64 = 1e-2;

fn preprocessing(channels: usize, image_size: usize, centre_crop: f32) -> Preprocessing {
    Preprocessing {
        rules: PreprocessingRules::default(),
        channels,
        centre_crop,
        image_size,
        mean: vec![0.48, 0.41, 0.45][..channels].to_vec(),
        std: vec![0.24, 0.27, 0.21][..channels].to_vec(),
        classes: ["coarse", "fine", "flat"].map(str::to_owned).to_vec(),
    }
}

fn softmax(logits: &[f32]) -> impl Iterator<Item = f32> {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(move |power| power / sum)
}

#[test]
fn preprocessing_by_a_graph_and_by_description_gives_the_same_probabilities() {
    let Some(python) = tools::python(
        "preprocessing_by_a_graph_and_by_description_gives_the_same_probabilities",
        &tools::OF_EXPORTS,
    ) else {
        return;
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export");
    let images = tempfile::tempdir().unwrap();
    tools::run(&python, &[&scripts.join("pictures.py"), images.path()]);
    let mut paths: Vec<PathBuf> = fs::read_dir(images.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for (channels, image_size, centre_crop) in [(3, 32, 1.0), (1, 24, 0.875), (3, 15, 0.9), (3, 64, 0.5)] {
        let what = preprocessing(channels, image_size, centre_crop);
        let values: Vec<f32> = paths
            .iter()
            .flat_map(|path| Image::read_preprocessed(path, &what).unwrap())
            .collect();
        let trained = of_images(what.clone(), &values);
        let logits = host(&trained.logits(values, paths.len(), &Device::flex()));
        let probabilities = Named {
            name: "probabilities".to_owned(),
            shape: vec![paths.len(), what.classes.len()],
            data: logits.chunks(what.classes.len()).flat_map(softmax).collect(),
        };
        let folder = tempfile::tempdir().unwrap();
        let expected = WeightsFile::to_bytes(&[probabilities], "case", String::new()).unwrap();
        fs::write(folder.path().join("expected.safetensors"), expected).unwrap();
        let options = ExportOptions {
            with_preprocessing: true,
            fold_batch_norms: channels == 1,
        };
        let network = folder.path().join("network.onnx");
        export(&trained, ExportFormat::Onnx, options, &network).unwrap();
        let pytorch = folder.path().join("pytorch");
        export(&trained, ExportFormat::Pytorch, ExportOptions::default(), &pytorch).unwrap();

        let script = scripts.join("check_preprocessing.py");
        let results = tools::json(&python, &[script.as_path(), images.path(), folder.path()]);
        let case = format!("{channels} channels, {image_size}×{image_size}, crop {centre_crop}");
        for (tool, tolerance) in [
            ("onnxruntime", TOLERANCE),
            ("tract", TOLERANCE),
            ("model.py", TOLERANCE),
            ("pillow", TOLERANCE),
            ("pillow in bytes", BYTES_TOLERANCE),
        ] {
            let difference = number(&results, tool);
            eprintln!("{case}, {tool}: largest difference of a probability {difference:.1e}");
            assert!(difference <= tolerance, "{case}, {tool}: off by {difference:e}");
        }
        let other = number(&results, "another filter");
        assert!(
            other > 0.05,
            "{case}: another filter changes a probability by only {other}"
        );
        assert!(number(&results, "several") > 1.0 && number(&results, "together") <= 1e-4);
        assert_eq!(results["inside"], true);
        assert_eq!(results["metadata"]["preprocessing"], "graph");
        let documentation = results["documentation"].as_str().unwrap();
        assert!(documentation.starts_with("images: uint8") && documentation.contains("bilinear, antialiased"));
    }
}

#[test]
fn every_export_states_the_preprocessing() {
    let case = cases::all().remove(0);
    let what = &case.trained.description.preprocessing;
    for format in ExportFormat::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network");
        export(&case.trained, format, ExportOptions::default(), &path).unwrap();
        let (beside, network) = match format {
            ExportFormat::Pytorch => (path.join("preprocessing.json"), path.join("model.py")),
            _ => (folder.path().join("preprocessing.json"), path),
        };
        let read: Preprocessing = serde_json::from_slice(&fs::read(beside).unwrap()).unwrap();
        assert_eq!(read, *what);
        let network = String::from_utf8_lossy(&fs::read(network).unwrap()).into_owned();
        let texts = match format {
            ExportFormat::Safetensors => vec!["orientation", "bilinear", "antialias", "RGB"]
                .into_iter()
                .map(str::to_owned)
                .collect(),
            _ => what.steps(),
        };
        for text in texts {
            assert!(network.contains(&text), "{format}: {text}");
        }
    }
}

#[test]
fn the_preprocessing_of_another_network_is_not_replaced() {
    let (case, folder) = (cases::all().remove(0), tempfile::tempdir().unwrap());
    let to = |name: &str| {
        let path = folder.path().join(name);
        export(&case.trained, ExportFormat::Onnx, ExportOptions::default(), &path)
    };
    let beside = folder.path().join("preprocessing.json");
    to("a.onnx").unwrap();
    to("b.onnx").unwrap();
    // A file of an earlier version means the same.
    let mut earlier: serde_json::Value = serde_json::from_slice(&fs::read(&beside).unwrap()).unwrap();
    earlier.as_object_mut().unwrap().remove("filter").unwrap();
    fs::write(&beside, earlier.to_string()).unwrap();
    to("c.onnx").unwrap();
    let mut other: serde_json::Value = serde_json::from_slice(&fs::read(&beside).unwrap()).unwrap();
    other["mean"] = serde_json::json!([0.125]);
    for text in [other.to_string(), "{\"do_resize\":true}".to_owned()] {
        fs::write(&beside, &text).unwrap();
        assert!(matches!(to("d.onnx").unwrap_err(), ExportError::Other { path } if path == beside));
        assert!(!folder.path().join("d.onnx").exists());
        assert_eq!(fs::read_to_string(&beside).unwrap(), text);
    }
    fs::remove_file(&beside).unwrap();
    to("preprocessing.json").unwrap_err();
    assert!(!beside.exists());
}
