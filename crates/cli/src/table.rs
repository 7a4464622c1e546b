//! The final tables of a run, a comparison or a lookup.
//!
//! Contract: the content of a cell never leaves its row: untrusted names and reasons go through
//! [`escaped`].

mod front;

pub use front::of_front;

use std::fmt::Write;
use std::path::Path;

use da2s::run::{Discretized, Quantised};
use da2s::space::arch_201::Arch201;
use da2s::space::lookup::Standing;
use da2s_records::schema::{Baseline, ClassScores, DeviceCost, Fit, Summary};
use da2s_report::Comparison;
use da2s_report::comparison::RunOutcome;
use da2s_settings::Quantity;

use crate::commands::runs::Row;
use crate::terminal::escaped;

/// Maximum number of undecided edges that are listed; `genotype.json` has the rest.
const NAMED_EDGES: usize = 4;
/// Maximum number of classes that are shown; the report and `summary.json` have all.
const SHOWN_CLASSES: usize = 10;

/// The table of a run; `undecided` describes its undecided edges, the least decided first, if
/// known.
pub fn of_run(summary: &Summary, undecided: &[String], report: Option<&Path>) -> String {
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
    table.count("parameters", summary.parameters);
    table.count("multiply-adds", summary.multiply_adds);
    table.device(&summary.on_device);
    table.latency(summary);
    if let Some((p_least, q_least)) = summary.p_least.zip(summary.q_least) {
        table.decision(summary.decided, p_least, q_least, undecided);
    }
    table.baselines(summary);
    let times = [("search", summary.search_time_s), ("training", summary.train_time_s)];
    let times: Vec<String> = times
        .iter()
        .filter_map(|(stage, time_s)| Some(format!("{stage} {:.0} s", (*time_s)?)))
        .collect();
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
    let run = da2s_report::argument(run);
    let steps = [
        format!("da2s predict {run} photo.jpg"),
        format!("da2s serve {run}"),
        format!("da2s export {run} --format onnx --with-preprocessing"),
        format!("da2s watch {run} --http 8080"),
    ];
    let mut table = Lines::default();
    for (at, step) in steps.iter().enumerate() {
        table.row(if at == 0 { "next" } else { "" }, step);
    }
    table.text
}

/// `97.20–99.29 %`
fn interval([from, to]: [f64; 2]) -> String {
    format!("{from:.2}–{to:.2} %")
}

/// The remark on an accuracy on the test images.
fn on_test_images(confidence: Option<[f64; 2]>) -> String {
    match confidence {
        Some(ends) => format!("test images; 95 % interval {}", interval(ends)),
        None => "test images".to_owned(),
    }
}

/// The table of a quantisation, with the files.
pub fn of_quantisation(quantised: &Quantised) -> String {
    let int8 = &quantised.int8;
    let mut table = Lines::default();
    table.percent("float32", int8.float32_accuracy, "test images");
    let remark = match (gap(int8.gap), int8.accuracy_interval) {
        (gap, Some(ends)) => format!("{gap}; 95 % interval {}", interval(ends)),
        (gap, None) => gap,
    };
    table.percent("int8", int8.accuracy, &remark);
    if let Some((float32, int8)) = int8.only_float32.zip(int8.only_int8) {
        table.row(
            "right in one of them only",
            &format!("{} in float32, {} in int8", grouped(float32), grouped(int8)),
        );
    }
    if let Some(bytes) = int8.size_bytes {
        table.row("size", &Quantity::Bytes.text(bytes as f64));
    }
    if let Some((images, range)) = int8.calibration_images.zip(int8.range.as_ref()) {
        let images = da2s_records::counted(images as usize, "training image");
        table.row("calibrated on", &format!("{images}, range {range}"));
    }
    let files = quantised
        .files
        .iter()
        .map(|file| format!("{}\n", escaped(&file.display().to_string())));
    format!("{}\n{}", table.text, files.collect::<String>())
}

/// The table of a discretization, with the genotype.
pub fn of_discretization(discretized: &Discretized) -> String {
    let mut table = Lines::default();
    if let Some(gap_rows) = &discretized.gap {
        let row = &gap_rows.as_trained;
        table.percent("super-network", row.supernet, "held-out training images");
        table.percent("  operations discretized", row.operations, "");
        table.percent("  edges discretized", row.edges, "");
        table.percent("discretized", row.both, &gap(gap_rows.points()));
        table.percent("  statistics recalibrated", gap_rows.recalibrated.both, "");
        if let Some(tuned) = gap_rows.tuned {
            table.percent("  weights tuned", Some(tuned), "after each decision");
        }
    }
    table.count("parameters", Some(discretized.cost.parameters));
    table.count("multiply-adds", Some(discretized.cost.multiply_adds));
    table.device(&discretized.cost.on_device);
    if discretized.gap.is_some() {
        let decision = &discretized.decision;
        let undecided = &decision.texts();
        table.decision(
            undecided.is_empty(),
            decision.p_least.into(),
            decision.q_least.into(),
            undecided,
        );
    }
    table.text + &format!("\n{}\n", discretized.genotype)
}

/// The tables of a comparison: means, tests, and unfinished runs.
pub fn of_comparison(comparison: &Comparison, page: &Path) -> String {
    let mut text = columns(&comparison.means(), 1);
    let tests = comparison.differences();
    if tests.len() > 1 {
        text += &format!("\n{}", columns(&tests, 3));
    }
    let rest = comparison.runs.iter().filter_map(|run| match &run.outcome {
        RunOutcome::Finished { .. } => None,
        RunOutcome::Failed(reason) => Some(format!("{} failed: {}\n", run.directory, escaped(reason))),
        RunOutcome::Unfinished(progress) => Some(format!("{} is not finished: {}\n", run.directory, escaped(progress))),
    });
    let rest: String = rest.collect();
    if !rest.is_empty() {
        text += &format!("\n{rest}");
    }
    text + &format!("\n{}\n", page.display())
}

/// The table of the runs in `folder`.
pub fn of_runs(runs: &[Row], folder: &Path) -> String {
    if runs.is_empty() {
        return format!("no runs in {}\n", escaped(&folder.to_string_lossy()));
    }
    let heading = [
        "run",
        "data set",
        "method",
        "seed",
        "state",
        "gap, points",
        "accuracy, %",
        "parameters",
    ];
    let rows = runs.iter().map(|run| {
        let word = |key| run.text(key).unwrap_or_else(absent);
        let percent = |key| decimals(run.value(key), 2);
        vec![
            run.name.clone(),
            word("dataset"),
            word("method"),
            word("seed"),
            run.state(),
            percent("gap"),
            percent("network_accuracy"),
            // Counts are printed without a sign.
            run.value("parameters")
                .map_or_else(absent, |value| grouped(value as u64)),
        ]
    });
    let rows: Vec<Vec<String>> = [heading.map(str::to_owned).to_vec()].into_iter().chain(rows).collect();
    columns_with(&rows, |column| [0, 1, 2, 4].contains(&column))
}

/// The table of a lookup.
pub fn of_standings(arch: Arch201, standings: &[Standing], passed_over: &[String]) -> String {
    let heading = ["column", "accuracy", "rank", "of", "percentile", "best", "distance"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(standings.iter().map(|standing| {
        vec![
            standing.column.clone(),
            format!("{:.2} %", standing.accuracy),
            grouped(standing.rank as u64),
            grouped(standing.of as u64),
            format!("{:.2} %", standing.percentile),
            format!("{:.2} %", standing.best_accuracy),
            format!("{:.2} points", standing.distance),
        ]
    }));
    let best: Vec<Vec<String>> = standings
        .iter()
        .map(|standing| vec![format!("best, {}", standing.column), standing.best_architecture.clone()])
        .collect();
    let passed_over = match passed_over
        .iter()
        .map(|name| escaped(name))
        .collect::<Vec<_>>()
        .join(", ")
    {
        none if none.is_empty() => none,
        names => format!("\nskipped columns, which are not accuracies: {names}\n"),
    };
    format!("{arch}\n\n{}\n{}{passed_over}", columns(&rows, 1), columns(&best, 2))
}

/// What stands for a value that is missing.
pub fn absent() -> String {
    "–".to_owned()
}

/// A number with this many decimals, if present.
pub fn decimals(number: Option<f64>, decimals: usize) -> String {
    number.map_or_else(absent, |number| format!("{number:.decimals$}"))
}

/// Aligns rows in columns; the first `words` columns are left-aligned words, the others
/// right-aligned numbers.
fn columns(rows: &[Vec<String>], words: usize) -> String {
    columns_with(rows, |column| column < words)
}

/// The same, where `is_word` says which columns are words.
pub fn columns_with(rows: &[Vec<String>], is_word: impl Fn(usize) -> bool) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| escaped(cell)).collect())
        .collect();
    let length = |text: &String| text.chars().count();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(length)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cell = |(column, cell): (usize, &String)| {
            let width = widths[column];
            if is_word(column) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        };
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn row(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{name:<26}{}", escaped(value));
    }

    /// An accuracy in percent, if it was measured.
    fn percent(&mut self, name: &str, percent: Option<f64>, remark: &str) {
        if let Some(percent) = percent {
            let row = format!("{percent:>6.2} %   {remark}");
            self.row(name, row.trim_end());
        }
    }

    /// Mean and deviation over several seeds.
    fn seeds(&mut self, summary: &Summary) {
        let Some(seeds) = &summary.seeds else { return };
        if let (Some(mean), Some(deviation), Some(ends)) = (seeds.mean, seeds.deviation, seeds.interval) {
            let name = format!("  over {} seeds", seeds.trainings.len());
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

    fn count(&mut self, name: &str, count: Option<u64>) {
        self.row(name, &count.map_or_else(absent, grouped));
    }

    /// Size and memory, if they are known.
    fn device(&mut self, cost: &DeviceCost) {
        let text = |bytes: u64| Quantity::Bytes.text(bytes as f64);
        for (name, float, int8) in [
            ("size", cost.size_bytes, cost.size_int8_bytes),
            ("peak memory", cost.ram_bytes, cost.ram_int8_bytes),
        ] {
            if let Some((float, int8)) = float.zip(int8) {
                self.row(name, &format!("{}, in int8 {}", text(float), text(int8)));
            }
        }
        if let Some(ms) = cost.latency_ms {
            let latency = Quantity::Milliseconds.text(ms);
            self.row("latency", &format!("{latency}, predicted from target.latency_table"));
        }
    }

    /// The measured latency, if it is known.
    fn latency(&mut self, summary: &Summary) {
        if let Some(ms) = summary.measured_latency_ms {
            let machine = summary.measured_latency_machine.clone().unwrap_or_else(absent);
            let latency = Quantity::Milliseconds.text(ms);
            self.row(
                "latency",
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

    fn decision(&mut self, decided: bool, p_least: f64, q_least: f64, undecided: &[String]) {
        let least = format!("least p {p_least:.3}, least q {q_least:.3}");
        if decided {
            self.row("decided", &format!("every edge; {least}"));
            return;
        }
        self.row("decided", &format!("not every edge; {least}"));
        for edge in undecided.iter().take(NAMED_EDGES) {
            self.row("", edge);
        }
        if undecided.len() > NAMED_EDGES {
            self.row(
                "",
                &format!("and {} more, see genotype.json", undecided.len() - NAMED_EDGES),
            );
        }
    }
}

fn gap(points: Option<f64>) -> String {
    points
        .map(|points| format!("gap {points:.2} points"))
        .unwrap_or_default()
}

/// A class name, shortened to the width of its column.
fn shortened(name: &str) -> String {
    const MOST: usize = 20;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
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
        insta::assert_snapshot!(of_run(&summary(), &[], Some(Path::new("runs/digits-da2s-s1/report.html"))), @r"
        run                       digits, da2s, seed 1, cpu
        super-network              96.80 %   held-out training images
          operations discretized   96.80 %
          edges discretized        96.50 %
        discretized                96.50 %   gap 0.30 points
          statistics recalibrated  96.25 %
        retrained                  98.06 %   test images
        parameters                83,210
        multiply-adds             2,345,678
        size                      341 KB, in int8 91.2 KB
        peak memory               164 KB, in int8 41.0 KB
        latency                   0.432 ms, predicted from target.latency_table
        latency                   0.500 ms for an image, on one thread of a processor\u001b[2J
        decided                   every edge; least p 0.999, least q 0.998
        time                      search 61 s, training 40 s
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
    fn a_class_that_is_rare_shows() {
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
        insta::assert_snapshot!(of_run(&summary, &[], None), @r"
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
        let text = of_run(&summary, &[], None);
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
        insta::assert_snapshot!(of_run(&summary, &undecided, None), @r"
        run                       digits, da2s, seed 1, cpu
        super-network              96.80 %   held-out training images
          operations discretized   96.80 %
          edges discretized        96.50 %
        discretized                96.50 %   gap 0.30 points
          statistics recalibrated  96.25 %
        retrained                  98.06 %   test images
        parameters                83,210
        multiply-adds             2,345,678
        size                      341 KB, in int8 91.2 KB
        peak memory               164 KB, in int8 41.0 KB
        latency                   0.432 ms, predicted from target.latency_table
        latency                   0.500 ms for an image, on one thread of a processor\u001b[2J
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
    fn numbers_end_together_and_words_begin_together() {
        let rows = [["method", "gap"], ["da2s", "0.00 ± 0.00"], ["entropy, x=1", "–"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        insta::assert_snapshot!(columns(&rows, 1), @r"
        method                gap
        da2s          0.00 ± 0.00
        entropy, x=1            –
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
        insta::assert_snapshot!(of_run(&summary, &[], None), @r"
        run                       –, –, seed –, –
        retrained                  97.00 %   test images
        parameters                999
        multiply-adds             1,000
        ");
    }
}
