//! The plan of a run for Python, as JSON and in words.
//!
//! Contract: the fields are those of the classes in `da2s.plan`.

use std::path::Path;

use da2s::planner::{self, Lesson, Plan, StageTime, Whose};
use da2s::run::TrainingPlan;
use serde_json::{Map, Value, json};

/// The plan of the run in `path`.
pub fn plan_json(plan: &Plan, path: &Path) -> String {
    // Values are written in TOML syntax, which is also JSON for numbers and quoted words.
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let chosen = plan.chosen.iter().map(|(key, text)| ((*key).to_owned(), value(text)));
    let counts = &plan.found.counts;
    json!({
        "text": planner::lines(plan, path, &[]).join("\n"),
        "classes": plan.found.classes,
        "images": {"train": counts.train, "validation": counts.validation, "test": counts.test},
        "chosen": chosen.collect::<Map<String, Value>>(),
        "reasons": plan.reasons,
        "search": plan.search.as_ref().map(lesson),
        "network": lesson(&plan.network),
        "times": plan.times.iter().map(stage).collect::<Vec<_>>(),
        "limit_s": plan.goal.map(|goal| goal.time_s),
        "at_most": plan.goal.is_some_and(|goal| goal.at_most),
    })
    .to_string()
}

/// The plan of the training, which is made after the search.
pub fn training_json(plan: &TrainingPlan) -> String {
    json!({
        "epochs": plan.epochs,
        "planned": plan.planned,
        "fits": plan.fits,
        "times": plan.times.iter().map(stage).collect::<Vec<_>>(),
    })
    .to_string()
}

fn lesson(lesson: &Lesson) -> Value {
    json!({
        "channels": lesson.channels,
        "cells": lesson.cells,
        "depth": lesson.depth,
        "epochs": lesson.epochs,
        "steps": lesson.steps,
        "batch": lesson.batch,
        "step_s": lesson.step_s,
        "memory_bytes": lesson.needs.total(),
    })
}

fn stage(stage: &StageTime) -> Value {
    let network = match stage.whose {
        Whose::Run => "run",
        Whose::Seed => "seed",
        Whose::Baseline => "baseline",
    };
    json!({
        "stage": stage.stage.map_or("report", |stage| stage.name()),
        "network": network,
        "time_s": stage.time_s,
    })
}
