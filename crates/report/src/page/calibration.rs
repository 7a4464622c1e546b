//! How far the probabilities of the network can be believed: the reliability curve and the expected
//! calibration error.

use maud::{Markup, html};

use crate::data_link::CsvTable;
use crate::number::{points, significant};
use crate::run::{Calibration, Evaluation};
use crate::svg::reliability::curve;

/// Below this error, in points, the probabilities may be taken as they are.
const GOOD: f64 = 3.0;

/// The sentences and the curve; `None` if it was not measured.
pub(super) fn section(evaluation: &Evaluation) -> Option<Markup> {
    let calibration = evaluation.calibration.as_ref()?;
    let error = calibration.error?;
    Some(html! {
        p { (advice(error, calibration.overconfidence().unwrap_or_default(), calibration.chance())) }
        figure.reliability {
            h3 { "Reliability" }
            (curve(calibration, &format!("Reliability curve; expected calibration error {} points", points(error))))
            figcaption {
                "Test images in " (calibration.bins.len()) " bins by the probability of their prediction: how often the network is right "
                "in each. On the diagonal, probabilities are exact. The area of a dot grows with the number of images, and its line is the "
                "95 % interval. The expected calibration error is the mean distance from the diagonal, weighted by images (Guo et al., 2017). "
                (table(calibration).link("calibration", "Reliability curve"))
            }
        }
    })
}

fn advice(error: f64, overconfidence: f64, chance: f64) -> String {
    let mean = match points(overconfidence.abs()) {
        same if same == points(0.0) => "On average its probabilities are exact.".to_owned(),
        size if overconfidence > 0.0 => format!("On average its probabilities are {size} points too high."),
        size => format!("On average its probabilities are {size} points too low."),
    };
    let advice = if error < GOOD {
        "Its probabilities may be taken as they are.".to_owned()
    } else if error < chance {
        format!(
            "With so few images, the error would be about {} points even if the probabilities were exact.",
            points(chance)
        )
    } else {
        "If you apply a threshold to its probabilities, choose the threshold on images of your own.".to_owned()
    };
    format!(
        "The expected calibration error is {} points. {mean} {advice}",
        points(error)
    )
}

fn table(calibration: &Calibration) -> CsvTable {
    let mut table = CsvTable::new(["probability from", "to", "images", "mean probability %", "accuracy %"]);
    let bins = calibration.bins.len() as f64;
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| significant(value, 5));
    for (index, bin) in calibration.bins.iter().enumerate() {
        table.row([
            significant(index as f64 / bins, 5),
            significant((index + 1) as f64 / bins, 5),
            bin.images.to_string(),
            number(bin.confidence),
            number(bin.accuracy),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_follows_the_error() {
        assert!(advice(0.5, 0.0, 0.1).contains("probabilities are exact. Its probabilities may"));
        assert!(advice(8.0, 7.5, 1.0).contains("7.50 points too high. If you"));
        assert!(advice(8.0, -7.5, 1.0).contains("7.50 points too low."));
        assert!(advice(8.0, 7.5, 9.0).contains("about 9.00 points even"));
    }
}
