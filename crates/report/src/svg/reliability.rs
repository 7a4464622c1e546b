//! A reliability curve: accuracy against the probability of the predictions. The diagonal, which is
//! the curve of a calibrated network, is also drawn.

use da2s_records::schema::{Calibration, CalibrationBin};
use da2s_records::statistics::interval_of;
use maud::{Markup, html};

use super::px;

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 13.0;
const BOTTOM: f64 = HEIGHT - 40.0;
/// Radii of the dots of one image and of all images.
const RADII: [f64; 2] = [2.5, 11.0];

fn x(percent: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * percent.clamp(0.0, 100.0) / 100.0
}

fn y(percent: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * percent.clamp(0.0, 100.0) / 100.0
}

/// The picture; `spoken` describes it for screen readers.
pub(crate) fn curve(calibration: &Calibration, spoken: &str) -> Markup {
    let images = |bin: &CalibrationBin| bin.images as f64;
    let all = calibration.bins.iter().map(images).sum::<f64>().max(1.0);
    let dots: Vec<_> = calibration
        .bins
        .iter()
        .filter_map(|bin| Some((bin, bin.confidence?, bin.accuracy?)))
        .filter(|(bin, confidence, accuracy)| bin.images > 0 && confidence.is_finite() && accuracy.is_finite())
        .collect();
    html! {
        svg viewBox={ "0 0 " (px(WIDTH)) " " (px(HEIGHT)) } role="img" aria-label=(spoken) {
            g.grid {
                @for mark in [0.0, 20.0, 40.0, 60.0, 80.0, 100.0] {
                    line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(y(mark))) y2=(px(y(mark))) {}
                    text.axis x=(px(LEFT - 6.0)) y=(px(y(mark) + 3.5)) text-anchor="end" { (mark) }
                    text.axis x=(px(x(mark))) y=(px(BOTTOM + 16.0)) text-anchor="middle" { (mark) }
                }
            }
            text.axis x=(px((LEFT + RIGHT) / 2.0)) y=(px(HEIGHT - 6.0)) text-anchor="middle" { "probability of the prediction, %" }
            text.axis transform={ "translate(12 " (px((TOP + BOTTOM) / 2.0)) ") rotate(-90)" } text-anchor="middle" { "right, %" }
            line.diagonal x1=(px(x(0.0))) y1=(px(y(0.0))) x2=(px(x(100.0))) y2=(px(y(100.0))) {}
            @for (bin, confidence, accuracy) in dots {
                @if let Some([from, to]) = interval_of(accuracy, bin.images) {
                    line.interval x1=(px(x(confidence))) x2=(px(x(confidence))) y1=(px(y(from))) y2=(px(y(to))) {}
                }
                circle.dot cx=(px(x(confidence))) cy=(px(y(accuracy))) r=(px(radius(images(bin) / all))) {
                    title { (bin.images) " images: " (format!("{confidence:.1} % sure, {accuracy:.1} % right")) }
                }
            }
        }
    }
}

/// The radius of a dot, whose area grows with the share of images.
fn radius(share: f64) -> f64 {
    let [least, most] = RADII;
    least + (most - least) * share.clamp(0.0, 1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bin_with_images_is_a_dot_inside() {
        let bin = |images, confidence, accuracy| CalibrationBin {
            images,
            confidence: Some(confidence),
            accuracy: Some(accuracy),
        };
        let calibration = Calibration {
            error: None,
            bins: vec![
                bin(3, 40.0, 50.0),
                bin(u64::MAX, 1e300, -7.0),
                bin(5, f64::NAN, 50.0),
                bin(0, 90.0, 90.0),
                CalibrationBin::default(),
            ],
        };
        let text = curve(&calibration, "reliability").into_string();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        let document = roxmltree::Document::parse(&text).unwrap();
        let dots = document.descendants().filter(|node| node.has_tag_name("circle"));
        let at: Vec<f64> = dots.map(|dot| dot.attribute("cx").unwrap().parse().unwrap()).collect();
        assert_eq!(at.len(), 2);
        assert!(at.iter().all(|at| (LEFT..=RIGHT).contains(at)), "{at:?}");
        assert!((radius(1.0) - RADII[1]).abs() < 1e-9);
    }
}
