//! Networks in int8: da2s-infer and onnxruntime compute the same logits, and most classes are those
//! of float32.

use std::fs;
use std::path::Path;

use da2s::export::quantised_onnx;
use da2s_infer::int8::{Int8Network, Int8Runner, RangeSetting, quantise};
use da2s_records::{Named, WeightsFile};

use crate::cases::{self, Case};
use crate::{number, tools};

/// Largest allowed root mean squared difference between da2s-infer and onnxruntime, in units of the
/// spread of the logits: a byte may be rounded to its neighbour.
const TOLERANCE: f64 = 0.02;

fn pictures(case: &Case) -> Vec<Vec<f32>> {
    let values = &case.expected[0];
    let len = values.data.len() / values.shape[0];
    values.data.chunks(len).map(<[f32]>::to_vec).collect()
}

/// `None` for the network that has no int8 form.
fn int8(case: &Case) -> Option<Int8Network> {
    let description = &case.trained.description;
    let (plan, preprocessing) = (&description.plan, &description.preprocessing);
    let tensors = case.trained.tensors();
    let found = quantise(
        plan,
        preprocessing,
        &tensors,
        &pictures(case),
        RangeSetting::Mse,
        &|| false,
    );
    if case.name == cases::SQUEEZED {
        let problem = found.unwrap_err().to_string();
        assert!(
            problem.contains("layers.0.0 has squeeze-and-excitation, for which there are no int8 kernels"),
            "{problem}"
        );
        return None;
    }
    Some(found.unwrap())
}

/// The share of images with the same class, in percent.
fn agreement(one: &[f32], other: &[f32], classes: usize) -> f64 {
    let best = |row: &[f32]| (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let rows = one.chunks(classes).zip(other.chunks(classes));
    let same = rows.clone().filter(|(one, other)| best(one) == best(other)).count();
    100.0 * same as f64 / rows.count() as f64
}

#[test]
fn a_network_in_int8_classifies_as_in_float32() {
    for case in cases::all() {
        let Some(network) = int8(&case) else { continue };
        let runner = Int8Runner::new(network).unwrap();
        let logits = runner.logits(&pictures(&case)).concat();
        let agreement = agreement(
            &logits,
            &case.expected[1].data,
            runner.network().preprocessing.classes.len(),
        );
        eprintln!(
            "{}: {agreement:.1} % of the images have the class of float32",
            case.name
        );
        // In untrained networks, the classes have almost equal logits.
        let least = if case.name == "trained" { 98.0 } else { 80.0 };
        assert!(agreement >= least, "{}: {agreement} %", case.name);
    }
}

#[test]
fn onnxruntime_computes_the_same_int8_logits() {
    let Some(python) = tools::python("onnxruntime_computes_the_same_int8_logits", &tools::OF_EXPORTS) else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/check_int8.py");
    for case in cases::all() {
        let Some(network) = int8(&case) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let bytes = quantised_onnx(&case.trained, &network).unwrap();
        fs::write(folder.path().join("int8.onnx"), bytes).unwrap();
        let classes = network.preprocessing.classes.len();
        let runner = Int8Runner::new(network).unwrap();
        let logits = Named {
            name: "logits".to_owned(),
            shape: case.expected[1].shape.clone(),
            data: runner.logits(&pictures(&case)).concat(),
        };
        let expected = [case.expected[0].clone(), logits, case.expected[2].clone()];
        let expected = WeightsFile::to_bytes(&expected, "case", case.name.to_owned()).unwrap();
        fs::write(folder.path().join("expected.safetensors"), expected).unwrap();
        let results = tools::json(&python, &[&script, folder.path()]);
        for how in ["optimised", "plain"] {
            let result = &results[how];
            eprintln!("{}, onnxruntime, {how}: {result}", case.name);
            let (difference, same) = (number(result, "difference"), number(result, "same"));
            assert!(difference <= TOLERANCE, "{}, {how}: off by {difference}", case.name);
            // For 256 images, with almost equal logits in untrained networks.
            assert!(same >= 98.0, "{}, {how}: {same} % of the classes", case.name);
        }
        assert!(
            number(&results, "float_convolutions") == 0.0,
            "{}: {results}",
            case.name
        );
        assert_eq!(number(&results, "classes"), classes as f64);
    }
}
