//! `da2s predict`: what the trained network of a run sees on images, each preprocessed as in the evaluation.

use std::path::PathBuf;

use da2s::data::{Class, DataError, most_probable, pictures_below};
use da2s::device;
use da2s::device::host;
use rayon::prelude::*;
use serde::Serialize;

use super::session::Session;
use crate::args::PredictArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::terminal::{self, escaped};

/// Images that are in memory at a time.
const BATCH: usize = 32;

/// An image and its most probable classes.
#[derive(Serialize)]
struct Prediction {
    image: String,
    classes: Vec<Class>,
}

/// Predicts, and prints a line an image: its path, then classes and their probabilities.
///
/// # Errors
/// If there is no trained network, or an image cannot be read.
pub fn execute(arguments: &PredictArguments) -> Result<(), Failure> {
    let mut session = Session::read(&arguments.stage)?;
    let trained = session.trained()?;
    let device = device::open(session.device()).map_err(da2s::Error::from)?;
    let preprocessing = &trained.description.preprocessing;
    let mut predictions = Vec::new();
    for paths in images(&arguments.images)?.chunks(BATCH) {
        let values: Result<Vec<Vec<f32>>, DataError> =
            paths.par_iter().map(|path| Ok(preprocessing.read(path)?)).collect();
        let values = values.map_err(da2s::Error::from)?.concat();
        let logits = host(&trained.logits(values, paths.len(), &device));
        for (path, logits) in paths.iter().zip(logits.chunks(preprocessing.classes.len())) {
            predictions.push(Prediction {
                image: path.display().to_string(),
                classes: most_probable(&preprocessing.classes, logits, arguments.top.into()),
            });
        }
        session.unless_stopped()?;
    }
    if arguments.json {
        let document = serde_json::json!(predictions);
        return terminal::print(&format!("{document:#}\n"));
    }
    terminal::print(&lines(&predictions))
}

/// The files that are asked for: those given, and those in and below the folders given.
fn images(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut images = Vec::new();
    for path in given {
        if path.is_dir() {
            let found = pictures_below(path).map_err(da2s::Error::from)?;
            if found.is_empty() {
                let endings = da2s::data::IMAGE_ENDINGS.join(", .");
                let reason = format!("{} holds no files ending in .{endings}", path.display());
                return Err(Failure::new(Code::Data, reason));
            }
            images.extend(found);
        } else {
            images.push(path.clone());
        }
    }
    Ok(images)
}

/// Columns for people: paths and classes of one width, without what could move the terminal.
fn lines(predictions: &[Prediction]) -> String {
    let width = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let shown: Vec<(String, Vec<(String, f32)>)> = predictions
        .iter()
        .map(|one| {
            let classes = one.classes.iter();
            let classes = classes.map(|class| (escaped(&class.name), 100.0 * class.probability));
            (escaped(&one.image), classes.collect())
        })
        .collect();
    let paths = width(&mut shown.iter().map(|(path, _)| path));
    let names = width(&mut shown.iter().flat_map(|(_, classes)| classes).map(|(name, _)| name));
    let line = |(path, classes): &(String, Vec<(String, f32)>)| {
        let classes = classes.iter();
        let classes = classes.map(|(name, percent)| format!("  {name:names$} {percent:6.2} %"));
        format!("{path:paths$}{}\n", classes.collect::<String>())
    };
    shown.iter().map(line).collect()
}
