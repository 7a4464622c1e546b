//! Every schedule at every epoch.

use std::collections::HashMap;

use da2s::objective::{Curve, Schedule};

#[test]
fn schedules() {
    #[derive(serde::Deserialize)]
    struct File {
        epochs: usize,
        warmup: usize,
        values: HashMap<String, Vec<f64>>,
    }
    let file: File = serde_json::from_slice(&std::fs::read(super::file::path("schedules.json")).unwrap()).unwrap();
    let curves = [
        ("const", Curve::Const),
        ("linear", Curve::Linear),
        ("log", Curve::Log),
        ("exp", Curve::Exp),
        ("sig", Curve::Sigmoid),
        ("step", Curve::Step),
    ];
    let mut compared = 0;
    for (name, values) in file.values {
        let delayed = name.ends_with('_');
        let curve = curves
            .iter()
            .find(|(known, _)| *known == name.trim_end_matches('_'))
            .unwrap()
            .1;
        let schedule = Schedule { curve, delayed };
        for (index, &golden) in values.iter().enumerate() {
            let ours = schedule.at(index + 1, file.epochs, file.warmup);
            assert!(
                (ours - golden).abs() <= 1e-9 * golden.abs().max(1e-9),
                "{name} at {}: {ours} != {golden}",
                index + 1
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 12 * file.epochs);
}
