//! The table of a run, and what to do with it next.

use std::path::Path;
use std::time::Duration;

use da2s_records::schema::{Baseline, ClassScores, Fit, Summary};
use da2s_settings::Quantity;

use super::{Lines, absent, decimals, gap, grouped, interval};
use crate::terminal::escaped;

/// Maximum number of classes that are shown; the report and `summary.json` have all.
const SHOWN_CLASSES: usize = 10;

/// The table of a run; `undecided` describes its undecided edges, the least decided first, if
/// known. `took` is the time of the whole command.
pub fn of_run(summary: &Summary, undecided: &[String], report: Option<&Path>, took: Option<Duration>) -> String {
    let mut table = Lines::default();
    let word = |word: &Option<String>| word.clone().unwrap_or_else(absent);
    table.row(
        "run",
        &format!(
            "{}, {}, seed {}, {}",
            word(&summary.dataset),
            summary.origin().map_or_else(absent, str::to_owned),
            summary.seed.map_or_else(absent, |seed| seed.to_string()),
            word(&summary.device)
        ),
    );
    table.percent("super-network", summary.supernet_accuracy, "held-out training images");
    table.percent("  operations discretized", summary.discretized_operations_accuracy, "");
    table.percent("  edges discretized", summary.discretized_edges_accuracy, "");
    table.percent("discretized", summary.discretized_accuracy, &gap(summary.gap));
    table.percent(
        "  statistics recalibrated",
        summary.discretized_recalibrated_accuracy,
        "",
    );
    table.percent(
        "retrained",
        summary.network_accuracy,
        &on_test_images(summary.network_accuracy_interval),
    );
    table.seeds(summary);
    table.percent("  in int8", summary.int8_accuracy, &gap(summary.int8_gap));
    table.percent(
        "  on training images",
        summary.network_train_accuracy,
        &summary.fit().as_ref().map(Fit::remark).unwrap_or_default(),
    );
    if let Some(error) = summary.network_calibration_error {
        let row = format!("{error:>6.2} points  between probabilities and accuracy (expected calibration error)");
        table.row("  calibration", &row);
    }
    table.percent(
        "  balanced over classes",
        summary.network_balanced_accuracy,
        "mean recall",
    );
    table.classes(&summary.class_scores);
    table.widened(summary.widened.as_ref());
    table.count("parameters", summary.parameters);
    table.count("multiply-adds", summary.multiply_adds);
    table.device(&summary.on_device);
    table.latency(summary);
    if let Some((p_least, q_least)) = summary.p_least.zip(summary.q_least) {
        table.decision(summary.decided, p_least, q_least, undecided);
    }
    table.baselines(summary);
    let times = [("search", summary.search_time_s), ("training", summary.train_time_s)];
    let stages = times
        .iter()
        .filter_map(|(stage, time_s)| Some(format!("{stage} {:.0} s", (*time_s)?)));
    let all = took.map(|took| format!("this command {:.0} s in all", took.as_secs_f64()));
    let times: Vec<String> = stages.chain(all).collect();
    if !times.is_empty() {
        table.row("time", &times.join(", "));
    }
    if let Some(report) = report {
        table.row("report", &report.display().to_string());
    }
    table.text
}

/// Commands to copy for the finished run in `run`.
pub fn next_steps(run: &Path) -> String {
    // The report has the other commands. It leaves out `watch`, which is added here.
    let steps = da2s_report::next_steps(run)
        .into_iter()
        .take(3)
        .map(|(_, command)| command);
    let watch = format!("da2s watch {} --http 8080", da2s_report::argument(run));
    let mut table = Lines::default();
    for (at, step) in steps.chain([watch]).enumerate() {
        table.row(if at == 0 { "next" } else { "" }, &step);
    }
    table.text
}

/// The remark on an accuracy on the test images.
fn on_test_images(confidence: Option<[f64; 2]>) -> String {
    match confidence {
        Some(ends) => format!("test images; 95 % interval {}", interval(ends)),
        None => "test images".to_owned(),
    }
}

impl Lines {
    /// Mean and deviation over several seeds.
    fn seeds(&mut self, summary: &Summary) {
        let Some(seeds) = &summary.seeds else { return };
        if let (Some(mean), Some(deviation), Some(ends)) = (seeds.mean, seeds.deviation, seeds.interval) {
            let measured = seeds.trainings.iter().filter(|training| training.accuracy.is_some());
            let name = format!("  over {} seeds", measured.count());
            let remark = format!(
                "standard deviation {deviation:.2} points; 95 % interval of the mean {}",
                interval(ends)
            );
            self.percent(&name, Some(mean), &remark);
        }
    }

    /// The baselines, and what they say about the search.
    fn baselines(&mut self, summary: &Summary) {
        if summary.baselines.is_empty() {
            return;
        }
        let heading = format!(
            "{:>8}    {:>15}  {:>13}  {:>12}",
            "accuracy", "95 % interval", "multiply-adds", "parameters"
        );
        self.row("baselines", &heading);
        for baseline in &summary.baselines {
            let number = |count: Option<u64>| count.map_or_else(absent, grouped);
            let row = format!(
                "{:>6} %    {:>15}  {:>13}  {:>12}",
                decimals(baseline.trained.accuracy, 2),
                baseline.trained.accuracy_interval.map_or_else(absent, interval),
                number(baseline.trained.multiply_adds),
                number(baseline.trained.parameters)
            );
            self.row(&format!("  {}", baseline.network), &row);
        }
        if let Some(verdict) = Baseline::verdict(summary) {
            self.row("", &verdict);
        }
    }

    /// The measured latency, if it is known.
    fn latency(&mut self, summary: &Summary) {
        if let Some(ms) = summary.measured_latency_ms {
            let machine = summary.measured_latency_machine.clone().unwrap_or_else(absent);
            let latency = Quantity::Milliseconds.text(ms);
            self.row(
                "measured latency",
                &format!("{latency} for an image, on one thread of {machine}"),
            );
        }
    }

    /// One row per class, the worst first if there are many.
    fn classes(&mut self, scores: &[ClassScores]) {
        let f1 = |score: &ClassScores| score.f1.unwrap_or(f64::INFINITY);
        let mut shown: Vec<&ClassScores> = scores.iter().collect();
        if shown.len() > SHOWN_CLASSES {
            shown.sort_by(|a, b| f1(a).total_cmp(&f1(b)));
            shown.truncate(SHOWN_CLASSES);
        }
        if shown.is_empty() {
            return;
        }
        let heading = match scores.len() - shown.len() {
            0 => "  class".to_owned(),
            _ => format!("  the worst of {} classes", scores.len()),
        };
        self.row(&heading, "precision    recall        F1  images");
        let cell = |share: Option<f64>| share.map_or_else(absent, |share| format!("{share:.2} %"));
        for score in shown {
            let ClassScores {
                precision, recall, f1, ..
            } = score;
            let [precision, recall, f1] = [precision, recall, f1].map(|share| cell(*share));
            let name = format!("    {}", shortened(&escaped(&score.class)));
            self.row(
                &name,
                &format!("{precision:>9}{recall:>10}{f1:>10}{:>8}", grouped(score.images)),
            );
        }
    }
}

/// A class name, shortened to the width of its column.
fn shortened(name: &str) -> String {
    const MOST: usize = 20;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use da2s_records::schema::{DeviceCost, Widened};

    use super::*;

    fn summary() -> Summary {
        Summary {
            dataset: Some("digits".to_owned()),
            method: Some("da2s".to_owned()),
            seed: Some(1),
            device: Some("cpu".to_owned()),
            supernet_accuracy: Some(96.8),
            discretized_operations_accuracy: Some(96.8),
            discretized_edges_accuracy: Some(96.5),
            discretized_accuracy: Some(96.5),
            discretized_recalibrated_accuracy: Some(96.25),
            gap: Some(0.3),
            decided: true,
            p_least: Some(0.9994),
            q_least: Some(0.998),
            network_accuracy: Some(98.06),
            widened: Some(Widened {
                from: 16,
                channels: 19,
                limit_on: "latency".to_owned(),
                limit_percent: Some(96.8),
            }),
            parameters: Some(83_210),
            multiply_adds: Some(2_345_678),
            on_device: DeviceCost {
                size_bytes: Some(340_840),
                size_int8_bytes: Some(91_210),
                ram_bytes: Some(163_840),
                ram_int8_bytes: Some(40_960),
                latency_ms: Some(0.4321),
            },
            measured_latency_ms: Some(0.5),
            measured_latency_machine: Some("a processor\u{1b}[2J".to_owned()),
            search_time_s: Some(61.4),
            train_time_s: Some(40.0),
            ..Summary::default()
        }
    }

    #[test]
    fn a_run_that_went_well() {
        insta::assert_snapshot!(of_run(&summary(), &[], Some(Path::new("runs/digits-da2s-s1/report.html")), Some(Duration::from_secs(112))), @r"
        run                       digits, da2s, seed 1, cpu
        super-network              96.80 %   held-out training images
          operations discretized   96.80 %
          edges discretized        96.50 %
        discretized                96.50 %   gap 0.30 points
          statistics recalibrated  96.25 %
        retrained                  98.06 %   test images
        width                     widened from 16 to 19 channels: 97 % of the limit on latency
        parameters                83,210
        multiply-adds             2,345,678
        size                      341 KB, in int8 91.2 KB
        peak memory               164 KB, in int8 41.0 KB
        predicted latency         0.432 ms, from target.latency_table
        measured latency          0.500 ms for an image, on one thread of a processor\u001b[2J
        decided                   every edge; least p 0.999, least q 0.998
        time                      search 61 s, training 40 s, this command 112 s in all
        report                    runs/digits-da2s-s1/report.html
        ");
    }

    #[test]
    fn the_next_steps_can_be_copied() {
        insta::assert_snapshot!(next_steps(Path::new("-a run/of \u{1b}mine")), @r"
        next                      da2s predict './-a run/of \u001bmine' photo.jpg
                                  da2s serve './-a run/of \u001bmine'
                                  da2s export './-a run/of \u001bmine' --format onnx --with-preprocessing
                                  da2s watch './-a run/of \u001bmine' --http 8080
        ");
    }

    #[test]
    fn a_rare_class_is_visible() {
        let scores = |classes: &[&str], confusion: &[Vec<u64>]| {
            let classes: Vec<String> = classes.iter().map(|&name| name.to_owned()).collect();
            da2s_records::schema::class_scores(&classes, confusion)
        };
        let class_scores = scores(&["common", "rare"], &[vec![38, 0], vec![2, 0]]);
        let summary = Summary {
            network_accuracy: Some(95.0),
            network_balanced_accuracy: da2s_records::schema::balanced_accuracy(&class_scores),
            class_scores,
            ..Summary::default()
        };
        insta::assert_snapshot!(of_run(&summary, &[], None, None), @r"
        run                       –, –, seed –, –
        retrained                  95.00 %   test images
          balanced over classes    50.00 %   mean recall
          class                   precision    recall        F1  images
            common                  95.00 %  100.00 %   97.44 %      38
            rare                          –    0.00 %    0.00 %       2
        parameters                –
        multiply-adds             –
        ");
        let names: Vec<String> = (0..12).map(|class| format!("class {class}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let row = |class: usize| (0..12).map(|other| u64::from(other == class || class == 7)).collect();
        let confusion: Vec<Vec<u64>> = (0..12).map(row).collect();
        let summary = Summary {
            class_scores: scores(&names, &confusion),
            ..Summary::default()
        };
        let text = of_run(&summary, &[], None, None);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("  the worst of 12 classes"), "{text}");
        assert!(lines[2].starts_with("    class 7 "), "{text}");
        assert_eq!(lines.len(), 1 + 1 + SHOWN_CLASSES + 2);
    }

    #[test]
    fn a_search_that_ended_undecided() {
        let summary = Summary {
            decided: false,
            p_least: Some(0.12),
            q_least: Some(0.6),
            train_time_s: None,
            ..summary()
        };
        let edge = |from: usize| format!("normal {from}→4: sep_conv_3x3 has p = 0.120");
        let undecided: Vec<String> = (0..6).map(edge).collect();
        insta::assert_snapshot!(of_run(&summary, &undecided, None, None), @r"
        run                       digits, da2s, seed 1, cpu
        super-network              96.80 %   held-out training images
          operations discretized   96.80 %
          edges discretized        96.50 %
        discretized                96.50 %   gap 0.30 points
          statistics recalibrated  96.25 %
        retrained                  98.06 %   test images
        width                     widened from 16 to 19 channels: 97 % of the limit on latency
        parameters                83,210
        multiply-adds             2,345,678
        size                      341 KB, in int8 91.2 KB
        peak memory               164 KB, in int8 41.0 KB
        predicted latency         0.432 ms, from target.latency_table
        measured latency          0.500 ms for an image, on one thread of a processor\u001b[2J
        decided                   not every edge; least p 0.120, least q 0.600
                                  normal 0→4: sep_conv_3x3 has p = 0.120
                                  normal 1→4: sep_conv_3x3 has p = 0.120
                                  normal 2→4: sep_conv_3x3 has p = 0.120
                                  normal 3→4: sep_conv_3x3 has p = 0.120
                                  and 2 more, see genotype.json
        time                      search 61 s
        ");
    }

    #[test]
    fn a_genotype_that_was_given_has_no_gap() {
        let summary = Summary {
            network_accuracy: Some(97.0),
            parameters: Some(999),
            multiply_adds: Some(1000),
            ..Summary::default()
        };
        insta::assert_snapshot!(of_run(&summary, &[], None, None), @r"
        run                       –, –, seed –, –
        retrained                  97.00 %   test images
        parameters                999
        multiply-adds             1,000
        ");
    }
}
