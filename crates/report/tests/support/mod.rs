//! A synthetic run directory that looks like a real one: p and q sharpen over the epochs, the
//! accuracies rise, the gap closes. Deterministic. The numbers follow the method (S_α, S_β,
//! softmax); the data are invented.

#![allow(dead_code, reason = "each test program uses only a part of it")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// The candidate operations of the DARTS space.
pub const OPERATIONS: [&str; 7] = [
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
];

/// The `genotype.json` of a chain of three layers, the second of which vanished.
pub const CHAIN_WITH_SKIP: &str = r#"{
    "space": "mobile",
    "genotype": "Genotype(stages=[['mbconv_k3_e3', 'skip', 'mbconv_k5_e6']])",
    "cells": { "normal": { "concat": [3], "edges": [
        { "from": 0, "to": 1, "operations": ["mbconv_k3_e3"] },
        { "from": 1, "to": 2, "operations": ["skip"] },
        { "from": 2, "to": 3, "operations": ["mbconv_k5_e6"] }
    ] } },
    "target": { "normal": { "edges": [1, 2], "depth": [3], "operations": 1 } }
}"#;

/// How far a synthetic run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// In the search, after this epoch; the last line of both search files is incomplete.
    SearchCutAfter(usize),
    /// Through discretization, without retraining.
    Discretized,
    /// To the end.
    Finished,
}

/// What to generate.
#[derive(Debug, Clone)]
pub struct Synthetic {
    pub epochs: usize,
    pub train_epochs: usize,
    /// n_j for nodes 0 to 3 of both cell kinds.
    pub edges: [usize; 4],
    /// k
    pub operations: usize,
    pub classes: Vec<String>,
    pub decided: bool,
    pub reached: Reached,
}

/// α, β and the weights they give, of one cell kind at one epoch.
struct Mixture {
    alpha: Vec<Vec<f64>>,
    beta: Vec<Option<f64>>,
    p: Vec<Vec<f64>>,
    q: Vec<f64>,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            epochs: 30,
            train_epochs: 25,
            edges: [2, 2, 2, 2],
            operations: 1,
            classes: (0..10).map(|digit| digit.to_string()).collect(),
            decided: true,
            reached: Reached::Finished,
        }
    }
}

impl Synthetic {
    /// Writes the run into `dir`, which is created.
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir.join("search")).expect("search directory");
        fs::create_dir_all(dir.join("network")).expect("network directory");
        let put = |file: &str, text: String| fs::write(dir.join(file), text).expect(file);
        put("config.toml", CONFIG.to_owned());
        put("environment.json", self.environment().to_string());

        let (epochs, cut) = match self.reached {
            Reached::SearchCutAfter(epoch) => (epoch, true),
            Reached::Discretized | Reached::Finished => (self.epochs, false),
        };
        put(
            "search/metrics.jsonl",
            lines((1..=epochs).map(|epoch| self.search_epoch(epoch)), cut),
        );
        put(
            "search/arch.jsonl",
            lines((0..=epochs).map(|epoch| self.arch_epoch(epoch)), cut),
        );
        if cut {
            return;
        }
        put("genotype.json", self.genotype().to_string());
        put("cost.json", self.cost().to_string());
        put("gap.json", self.gap().to_string());
        put("edge_gaps.json", self.edge_gaps().to_string());
        if self.reached == Reached::Discretized {
            return;
        }
        put(
            "network/metrics.jsonl",
            lines((1..=self.train_epochs).map(|epoch| self.train_epoch(epoch)), false),
        );
        let evaluation = self.evaluation();
        put("network/evaluation.json", evaluation.to_string());
        fs::create_dir_all(dir.join("network/mistakes")).expect("folder of mistakes");
        for mistake in evaluation["mistakes"].as_array().expect("mistakes") {
            let index = mistake["index"].as_u64().expect("index");
            let file = dir.join(format!("network/mistakes/{index}.png"));
            fs::write(file, picture(index)).expect("picture");
        }
        put("summary.json", self.summary().to_string());
    }

    /// How decided the mixture is at an epoch: from 0 to 1, and above 1 at the end.
    fn progress(&self, epoch: usize) -> f64 {
        let share = epoch as f64 / self.epochs.max(1) as f64;
        if self.decided {
            (share * 1.6 - 0.25).max(0.0)
        } else {
            (share * 0.8 - 0.1).max(0.0)
        }
    }

    fn mixture(&self, kind: &str, epoch: usize) -> Mixture {
        let seed = if kind == "normal" { 1.0 } else { 2.0 };
        let progress = self.progress(epoch);
        let (mut alpha, mut p) = (Vec::new(), Vec::new());
        for edge in 0..14 {
            let favour = |operation: usize| noise(seed * 100.0 + (edge * 7 + operation) as f64);
            let ranked = top(&(0..7).map(favour).collect::<Vec<_>>(), self.operations);
            let pace = 0.75 + 0.5 * noise(seed * 31.0 + edge as f64);
            let row: Vec<f64> = (0..7)
                .map(|operation| {
                    let wander = 0.35 * favour(operation) * (progress * 3.0).min(1.0);
                    let pull = if ranked.contains(&operation) { 0.9 } else { -0.8 };
                    wander + pull * pace * progress
                })
                .collect();
            p.push(softmax(
                &row.iter().map(|value| strengthened(*value)).collect::<Vec<_>>(),
            ));
            alpha.push(row);
        }
        let (mut beta, mut q) = (Vec::new(), Vec::new());
        for (node, kept) in self.edges.iter().enumerate() {
            let degree = node + 2;
            if *kept == degree {
                beta.extend(vec![None; degree]);
                q.extend(vec![1.0 / degree as f64; degree]);
                continue;
            }
            let row: Vec<f64> = (0..degree)
                .map(|source| {
                    let start = *kept as f64 / degree as f64 + 0.02 * noise(seed + source as f64);
                    let stays = self.kept_sources(seed, node).contains(&source);
                    let goal = if stays { 1.0 } else { -6.0 };
                    start
                        + (goal - start)
                            * progress.min(1.0)
                            * (0.8 + 0.4 * noise(seed * 7.0 + (node * 5 + source) as f64)).min(1.0)
                })
                .collect();
            q.extend(softmax(&row.iter().map(|value| value.min(1.0)).collect::<Vec<_>>()));
            beta.extend(row.into_iter().map(Some));
        }
        Mixture { alpha, beta, p, q }
    }

    fn kept_sources(&self, seed: f64, node: usize) -> Vec<usize> {
        let scores: Vec<f64> = (0..node + 2)
            .map(|source| noise(seed * 13.0 + (node * 11 + source) as f64))
            .collect();
        top(&scores, self.edges[node])
    }

    fn arch_epoch(&self, epoch: usize) -> Value {
        let cell = |kind: &str| {
            let Mixture { alpha, beta, p, q } = self.mixture(kind, epoch);
            json!({ "edges": edges(), "operations": OPERATIONS, "alpha": alpha, "beta": beta, "p": p, "q": q })
        };
        json!({ "epoch": epoch, "cells": { "normal": cell("normal"), "reduction": cell("reduction") } })
    }

    fn search_epoch(&self, epoch: usize) -> Value {
        let share = epoch as f64 / self.epochs as f64;
        let wobble = noise(epoch as f64 * 3.7) - 0.5;
        let (supernet, sharp) = (97.0 - 85.0 * (-share * 7.0).exp() + wobble, self.sharpness(epoch));
        let discretized = 10.0 + (supernet - 10.5) * sharp[1].powi(2);
        let entropy = |weights: &[Vec<f64>]| -> f64 {
            weights
                .iter()
                .flatten()
                .filter(|w| **w > 0.0)
                .map(|w| -w * w.ln())
                .sum::<f64>()
                / weights.len() as f64
        };
        let Mixture { p, .. } = self.mixture("normal", epoch);
        let cross_entropy = 0.1 + 2.2 * (-share * 6.0).exp() + 0.02 * wobble;
        let lambda_alpha = if share < 0.17 {
            0.0
        } else {
            (1.0 + share * 24.0).ln() / 25f64.ln()
        };
        let regulariser = entropy(&p) * 28.0 * lambda_alpha + 4.0 * (1.0 - sharp[2]) * 6.0;
        json!({
            "epoch": epoch, "epochs": self.epochs, "steps": 11,
            "learning_rate": 0.001 + 0.012 * (1.0 + (std::f64::consts::PI * share).cos()),
            "weight_loss": cross_entropy + 0.5 * share * regulariser * 0.1,
            "arch_loss": cross_entropy * 1.1 + 0.05 * share * regulariser,
            "cross_entropy": cross_entropy, "train_accuracy": (supernet + 1.5).min(100.0),
            "supernet_accuracy": supernet,
            "discretized_accuracy": discretized, "gap": supernet - discretized,
            "lambda": 0.5, "lambda_c": (epoch - 1) as f64 / (self.epochs.max(2) - 1) as f64,
            "lambda_alpha": lambda_alpha,
            "regulariser": regulariser, "entropy_operations": entropy(&p),
            "entropy_edges": 1.2 * (1.0 - sharp[2]) + 0.69,
            "cardinality": 0.4 * (1.0 - share), "p_mean": sharp[0], "p_least": sharp[1], "q_mean": sharp[2],
            "q_least": sharp[3],
            "gradient_norm": 1.2 + 3.0 * (-share * 4.0).exp() + wobble, "time_s": 1.21,
            "time_left_s": 1.2 * (self.epochs - epoch) as f64
        })
    }

    /// Mean and minimum of p, then of q, at an epoch.
    fn sharpness(&self, epoch: usize) -> [f64; 4] {
        let (mut ps, mut qs) = (Vec::new(), Vec::new());
        for kind in ["normal", "reduction"] {
            let Mixture { p, q, .. } = self.mixture(kind, epoch);
            ps.extend(
                p.iter()
                    .map(|row| top(row, self.operations).iter().map(|o| row[*o]).sum::<f64>()),
            );
            let mut start = 0;
            for (node, kept) in self.edges.iter().enumerate() {
                let row = &q[start..start + node + 2];
                start += node + 2;
                qs.push(row[top(row, *kept)[*kept - 1]] * *kept as f64);
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let least = |values: &[f64]| values.iter().copied().fold(1.0, f64::min);
        [mean(&ps), least(&ps), mean(&qs), least(&qs)]
    }

    fn genotype(&self) -> Value {
        let cell = |kind: &str| {
            let Mixture { p, q, .. } = self.mixture(kind, self.epochs);
            let mut kept = Vec::new();
            let mut start = 0;
            for (node, count) in self.edges.iter().enumerate() {
                let mut sources = top(&q[start..start + node + 2], *count);
                sources.sort_unstable();
                for source in sources {
                    let names: Vec<&str> = top(&p[start + source], self.operations)
                        .iter()
                        .map(|o| OPERATIONS[*o])
                        .collect();
                    kept.push(json!({ "from": source, "to": node + 2, "operations": names }));
                }
                start += node + 2;
            }
            json!({ "edges": kept, "concat": [2, 3, 4, 5] })
        };
        let (normal, reduction) = (cell("normal"), cell("reduction"));
        let list = |cell: &Value| -> String {
            let edges = cell["edges"].as_array().expect("edges").iter();
            edges
                .map(|edge| {
                    format!(
                        "('{}', {})",
                        edge["operations"][0].as_str().expect("name"),
                        edge["from"]
                    )
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        let text = format!(
            "Genotype(normal=[{}], normal_concat=[2, 3, 4, 5], reduce=[{}], reduce_concat=[2, 3, 4, 5])",
            list(&normal),
            list(&reduction)
        );
        let sharp = self.sharpness(self.epochs);
        let target = json!({ "edges": self.edges, "operations": self.operations });
        let undecided = if self.decided {
            json!([])
        } else {
            json!(["normal 0 → 3: sep_conv_3x3, p = 0.62", "reduction cₖ₋₁ → 2: q = 0.71"])
        };
        json!({
            "space": "darts", "genotype": text, "cells": { "normal": normal, "reduction": reduction },
            "target": { "normal": target, "reduction": target }, "decided": self.decided, "p_least": sharp[1],
            "q_least": sharp[3],
            "undecided": undecided, "parameters": 123_456, "multiply_adds": 4_834_567
        })
    }

    /// A network of five cells; the second and the fourth are reduction cells. The parts add up to
    /// the sizes of the genotype.
    fn cost(&self) -> Value {
        let genotype = self.genotype();
        let mut parts = vec![
            json!({ "part": "stem", "kind": "stem", "operation": null, "parameters": 1_056,
        "multiply_adds": 55_296 }),
        ];
        for index in 0..5 {
            let kind = if index % 2 == 1 { "reduction" } else { "normal" };
            let part = format!("cells.{index}");
            let inputs = 1_800 + 300 * index;
            parts.push(
                json!({ "part": part, "kind": kind, "operation": null, "parameters": inputs,
            "multiply_adds": 64 * inputs }),
            );
            let edges = genotype["cells"][kind]["edges"].as_array().expect("edges");
            let kept = edges
                .iter()
                .flat_map(|edge| edge["operations"].as_array().expect("operations"));
            for name in OPERATIONS.iter().filter(|name| kept.clone().any(|kept| kept == **name)) {
                let weights = if name.contains("conv") { 900 * (index + 1) } else { 0 };
                parts.push(
                    json!({ "part": part, "kind": kind, "operation": name, "parameters": weights,
                "multiply_adds": 40 * weights }),
                );
            }
        }
        let sum = |key: &str| {
            parts
                .iter()
                .map(|part| part[key].as_u64().expect("number"))
                .sum::<u64>()
        };
        let rest = json!({ "part": "classifier", "kind": "head", "operation": null,
        "parameters": 123_456 - sum("parameters"), "multiply_adds": 4_834_567 - sum("multiply_adds") });
        parts.push(rest);
        json!({ "image_size": 8, "parts": parts })
    }

    fn gap(&self) -> Value {
        let loss = if self.decided { 1.0 } else { 180.0 };
        let column = |top: f64| {
            json!({ "supernet": top, "operations": top - 0.14 * loss,
        "edges": top - 0.0014 * loss, "both": top - 0.28 * loss })
        };
        json!({ "images": 719, "as_trained": column(96.52), "recalibrated": column(96.66) })
    }

    fn edge_gaps(&self) -> Value {
        let genotype = self.genotype();
        let measured = |points: f64| json!({ "accuracy": 96.5 - points, "loss": 0.2 + points / 20.0 });
        let edge = |kind: &str, [from, to]: [usize; 2]| {
            let kept = genotype["cells"][kind]["edges"].as_array().expect("edges").iter();
            let kept = kept.into_iter().any(|edge| edge["from"] == from && edge["to"] == to);
            let points = |salt: f64| 3.0 * noise((from * 7 + to) as f64 + salt).powi(3) - 0.1;
            json!({ "kind": kind, "from": from, "to": to, "kept": kept,
            "operations": measured(points(0.3)), "edge": measured(points(if kind == "normal" { 0.6 } else { 0.9 })) })
        };
        let all: Vec<Value> = ["normal", "reduction"]
            .iter()
            .flat_map(|kind| edges().into_iter().map(|ends| edge(kind, ends)))
            .collect();
        json!({ "images": 256, "supernet": measured(0.0), "edges": all })
    }

    fn mistakes(&self) -> Vec<Value> {
        let classes = self.classes.len();
        let mistake = |place: usize| {
            let sure = 0.99 - 0.02 * place as f64;
            json!({ "index": 17 * place + 3, "path": format!("test/{}/{:04}.jpg", place % classes, 17 * place + 3),
            "class": place % classes, "predicted": (place + 1) % classes,
            "class_probability": (1.0 - sure) / 2.0, "predicted_probability": sure, "loss": -((1.0 - sure) / 2.0).ln() })
        };
        (0..if classes > 1 { 24 } else { 0 }).map(mistake).collect()
    }

    fn train_epoch(&self, epoch: usize) -> Value {
        let share = epoch as f64 / self.train_epochs as f64;
        let validated = epoch.is_multiple_of(2) || epoch == self.train_epochs;
        json!({
            "epoch": epoch, "epochs": self.train_epochs, "steps": 22,
            "learning_rate": 0.0125 * (1.0 + (std::f64::consts::PI * share).cos()),
            "train_loss": 0.05 + 2.2 * (-share * 8.0).exp(),
            "train_accuracy": 99.6 - 70.0 * (-share * 8.0).exp(),
            "validation_accuracy": validated.then(|| 98.4 - 60.0 * (-share * 9.0).exp()),
            "drop_path": 0.2 * share, "gradient_norm": 1.1, "time_s": 0.9, "time_left_s": 20
        })
    }

    fn evaluation(&self) -> Value {
        let count = self.classes.len();
        let confusion: Vec<Vec<u64>> = (0..count)
            .map(|class| {
                let wrong = |other: usize| {
                    (noise((class * count + other) as f64 * 1.3) * 1.12).powi(8) as u64
                        + u64::from((class + 3) % count == other && class % 4 == 1)
                };
                (0..count)
                    .map(|other| {
                        if other == class {
                            34 + (class as u64 % 3)
                        } else {
                            wrong(other)
                        }
                    })
                    .collect()
            })
            .collect();
        let all: u64 = confusion.iter().flatten().sum();
        let right: u64 = (0..count).map(|class| confusion[class][class]).sum();
        let bin = |bin: usize| {
            let confidence = 100.0 * (bin as f64 + 0.5) / 15.0;
            json!({ "images": bin.pow(2), "confidence": confidence, "accuracy": (confidence - 6.0).max(0.0) })
        };
        let calibration = json!({ "error": 4.31, "bins": (0..15).map(bin).collect::<Vec<_>>() });
        let wrong: Vec<u64> = (0..all - right).map(|place| 17 * place + 3).collect();
        json!({ "images": all, "loss": 0.0812, "accuracy": 100.0 * right as f64 / all as f64,
        "train_accuracy": 99.4, "train_images": all, "wrong": wrong, "calibration": calibration,
        "classes": self.classes, "confusion": confusion, "mistakes": self.mistakes() })
    }

    fn environment(&self) -> Value {
        let count = self.classes.len();
        let train: Vec<usize> = (0..count).map(|class| 300 - 200 * class / count.max(1)).collect();
        let images = json!({ "classes": self.classes, "train": train, "validation": [], "test": vec![36; count],
        "files": { "rows": [480, 480], "columns": [480, 1024] }, "input": [32, 32] });
        json!({
            "version": "0.1.0", "git_hash": "4f1c2d9", "device": "cpu", "engine": "fused", "cpu_level": "avx512",
            "threads": 2, "seed": 1,
            "dataset": "digits", "dataset_checksum": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
            "dataset_images": images, "command": "da2s run --out runs/digits", "started": "2026-11-25T01:02:03Z"
        })
    }

    fn summary(&self) -> Value {
        json!({
            "dataset": "digits", "method": "da2s", "seed": 1, "device": "cpu", "supernet_accuracy": 96.52,
            "discretized_operations_accuracy": 96.38, "discretized_edges_accuracy": 96.52, "discretized_accuracy": 96.24,
            "discretized_recalibrated_accuracy": 96.38, "gap": 0.28, "genotype": self.genotype()["genotype"],
            "network_accuracy": self.evaluation()["accuracy"], "network_train_accuracy": 99.4, "parameters": 123_456, "multiply_adds": 4_834_567,
            "measured_latency_ms": 0.4321, "measured_latency_machine": "Processor <b>X</b>", "search_time_s": 36.4, "train_time_s": 22.9
        })
    }
}

/// One object per line; a `cut` file ends in the middle of a further object.
fn lines(records: impl Iterator<Item = Value>, cut: bool) -> String {
    let mut text: String = records.map(|record| format!("{record}\n")).collect();
    if cut {
        text.push_str("{\"epoch\":8,\"epo");
    }
    text
}

fn edges() -> Vec<[usize; 2]> {
    (2..6).flat_map(|to| (0..to).map(move |from| [from, to])).collect()
}

/// A small picture as a PNG file.
fn picture(seed: u64) -> Vec<u8> {
    let mut picture = resvg::tiny_skia::Pixmap::new(8, 8).expect("8×8 pixels");
    for (place, byte) in picture.data_mut().iter_mut().enumerate() {
        let grey = (noise((seed * 64 + place as u64 / 4) as f64) * 255.0) as u8;
        *byte = if place % 4 == 3 { 255 } else { grey };
    }
    picture.encode_png().expect("PNG")
}

fn strengthened(alpha: f64) -> f64 {
    let y = 2.0 * alpha;
    if y < -1.0 { y.powi(3) } else { y * 2.2 }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

fn top(values: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(count);
    order
}

/// A number between 0 and 1 that looks random but is a function of its argument.
fn noise(at: f64) -> f64 {
    ((at * 12.9898 + 78.233).sin() * 43_758.545_3).rem_euclid(1.0)
}

const CONFIG: &str = r#"seed = 1
device = "cpu"

[data]
dataset = "digits"

[space]
name = "darts"
channels = 8
cells = 3

[target]
edges = 2
operations = 1

[search]
method = "da2s"
epochs = 30
warm_up = 5
batch = 64
lambda = 0.5
lambda_c = "linear"
lambda_alpha = "delayed_log"

[train]
epochs = 25
channels = 16
cells = 5
"#;

pub fn replace_in(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("file");
    assert!(text.contains(from), "{from} is in {}", path.display());
    fs::write(path, text.replace(from, to)).expect("file");
}
