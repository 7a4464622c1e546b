//! The content of the files of a run: one type per file or line, used by writers and readers.
//!
//! Contract: readers are lenient. A number that is absent, `null` or not finite is `None`, so that
//! runs of earlier versions, diverged runs and files from other tools can be shown; `check` refuses
//! what cannot be shown at all. Keys never change their meaning.

mod arch_epoch;
mod baseline;
mod calibration;
mod cost;
mod dataset_images;
mod device_cost;
mod evaluation;
mod fit;
mod front;
mod gap;
mod genotype;
mod int8;
mod judged_image;
mod latency;
mod preprocessing;
mod scores;
mod search_epoch;
mod seeds;
mod single;
mod summary;
mod suspects;
mod train_epoch;
mod trained_network;
mod tuning_epoch;
mod widened;

pub use arch_epoch::{ArchCell, ArchEpoch, MOST_NODES};
pub use baseline::Baseline;
pub use calibration::{Calibration, CalibrationBin};
pub use cost::{Costs, PartCost};
pub use dataset_images::{DatasetImages, Sides};
pub use device_cost::DeviceCost;
pub use evaluation::Evaluation;
pub use fit::Fit;
pub use front::{Front, FrontCost, FrontPoint, LatencySource, OnFront};
pub use gap::{EdgeGap, EdgeGaps, Gap, GapRow, Measured, RemovedGap};
pub use genotype::{GenotypeCell, GenotypeEdge, GenotypeFile, GenotypeTarget};
pub use int8::Int8;
pub use judged_image::JudgedImage;
pub use latency::Latency;
pub use preprocessing::{ColourOrder, Crop, Filter, Orientation, Preprocessing, PreprocessingRules};
pub use scores::{ClassScores, balanced_accuracy, class_scores};
pub use search_epoch::{SearchEpoch, Term, term_names};
pub use seeds::{SeedTraining, Seeds};
pub use summary::{Environment, Summary};
pub use suspects::{Doubted, Suspect, Suspects};
pub use train_epoch::{EpochTime, TrainEpoch};
pub use trained_network::TrainedNetwork;
pub use tuning_epoch::TuningEpoch;
pub use widened::Widened;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_single_precision_are_written_with_the_fewest_digits() {
        let epoch = SearchEpoch {
            p_mean: Some(f64::from(0.1f32)),
            q_least: Some(f64::NAN),
            gap: Some(0.1),
            ..SearchEpoch::default()
        };
        let text = serde_json::to_string(&epoch).unwrap();
        for field in [
            "\"p_mean\":0.1,",
            "\"q_least\":null,",
            "\"gap\":0.1,",
            "\"arch_loss\":null,",
        ] {
            assert!(text.contains(field), "{field}: {text}");
        }
        assert!(!text.contains("terms") && !text.contains("time_s"), "{text}");
        let read: SearchEpoch = serde_json::from_str(&text).unwrap();
        assert_eq!((read.p_mean, read.q_least), (Some(0.1), None));
        let cell = ArchCell {
            edges: vec![(0, 1)],
            groups: Vec::new(),
            operations: vec!["none".to_owned()],
            alpha: vec![vec![Some(f64::from(0.3f32))]],
            beta: vec![None],
            p: vec![vec![f64::from(0.7f32)]],
            q: vec![f64::NAN],
        };
        assert_eq!(
            serde_json::to_string(&cell).unwrap(),
            "{\"edges\":[[0,1]],\"operations\":[\"none\"],\"alpha\":[[0.3]],\"beta\":[null],\"p\":[[0.7]],\"q\":[null]}"
        );
    }

    #[test]
    fn edge_weights_are_shares_of_their_group() {
        let cell = |groups: &str| -> ArchCell {
            let text = format!(
                "{{\"edges\":[[0,1],[1,2],[2,3]],{groups}\"operations\":[\"a\"],\"p\":[[1],[1],[1]],\"q\":[1,0.5,0.5]}}"
            );
            serde_json::from_str(&text).unwrap()
        };
        assert_eq!(cell("").shares(), [1.0; 3]);
        assert_eq!(cell("\"groups\":[0,1,1],").shares(), [1.0, 0.5, 0.5]);
    }
}
