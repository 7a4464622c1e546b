//! `da2s predict`: classifies images with the trained network of a run, each preprocessed as in the
//! evaluation.

use std::path::PathBuf;

use da2s::data::{Class, Image, most_probable, pictures_below};
use da2s::device;
use da2s_records::{counted, sentence};
use rayon::prelude::*;
use serde::Serialize;

use super::session::Session;
use crate::args::PredictArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::terminal::{self, escaped};

/// Number of images in memory at a time.
const BATCH: usize = 32;

/// An image and its most probable classes, or the reason why there are none.
#[derive(Serialize)]
struct Prediction {
    image: String,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Classes(Vec<Class>),
    Error(String),
}

/// Predicts, and prints one line per image: its path, then classes and their probabilities. Images
/// that cannot be read are reported after the others.
///
/// # Errors
/// If there is no trained network; or, after all others are processed, if an image cannot be read.
pub fn execute(arguments: &PredictArguments) -> Result<(), Failure> {
    let mut session = Session::read(&arguments.stage, &arguments.stage.request()?)?;
    let trained = session.trained()?;
    let device = device::open(session.device()).map_err(da2s::Error::from)?;
    let preprocessing = &trained.description.preprocessing;
    let mut predictions = Vec::new();
    for paths in images(&arguments.images)?.chunks(BATCH) {
        let read: Vec<Result<Vec<f32>, String>> = paths
            .par_iter()
            .map(|path| Image::read_preprocessed(path, preprocessing).map_err(|error| sentence(&error)))
            .collect();
        let values: Vec<f32> = read.iter().flatten().flatten().copied().collect();
        let count = read.iter().flatten().count();
        let logits = match count {
            0 => Vec::new(),
            count => trained
                .finite_logits(values, count, &device)
                .map_err(da2s::Error::from)?,
        };
        let mut logits = logits.chunks(preprocessing.classes.len());
        for (path, read) in paths.iter().zip(read) {
            let classes = |logits| most_probable(&preprocessing.classes, logits, arguments.top.into());
            predictions.push(Prediction {
                image: path.display().to_string(),
                answer: match read {
                    Ok(_) => Answer::Classes(logits.next().map(classes).unwrap_or_default()),
                    Err(reason) => Answer::Error(reason),
                },
            });
        }
        session.unless_stopped()?;
    }
    if arguments.json {
        let document = serde_json::json!(predictions);
        terminal::print(&format!("{document:#}\n"))?;
    } else {
        terminal::print(&lines(&predictions))?;
    }
    let errors = predictions.iter().filter_map(|one| match &one.answer {
        Answer::Classes(_) => None,
        Answer::Error(reason) => Some(reason),
    });
    match errors.collect::<Vec<_>>()[..] {
        [] => Ok(()),
        [reason] => Err(Failure::new(Code::Data, reason)),
        ref reasons => {
            for reason in reasons {
                terminal::tell(&format!("da2s: {reason}"));
            }
            let all = counted(predictions.len(), "image");
            let reason = format!("{} of {all} cannot be read", reasons.len());
            Err(Failure::new(Code::Data, reason))
        }
    }
}

/// The requested files: the given ones, and those in and below the given folders. Reports what is
/// skipped there.
fn images(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut images = Vec::new();
    for path in given {
        if path.is_dir() {
            let (found, passed_over) = pictures_below(path).map_err(da2s::Error::from)?;
            if found.is_empty() {
                let endings = da2s::data::IMAGE_ENDINGS.join(", .");
                let reason = format!("{} contains no files ending in .{endings}", path.display());
                return Err(Failure::new(Code::Data, reason));
            }
            if !passed_over.is_empty() {
                terminal::tell(&format!("da2s: skipped in {}: {passed_over}", path.display()));
            }
            images.extend(found);
        } else {
            images.push(path.clone());
        }
    }
    Ok(images)
}

/// Columns for people: paths and classes are aligned and escaped for a terminal.
fn lines(predictions: &[Prediction]) -> String {
    let width = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let shown: Vec<(String, Vec<(String, f32)>)> = predictions
        .iter()
        .filter_map(|one| {
            let Answer::Classes(classes) = &one.answer else {
                return None;
            };
            let classes = classes.iter();
            let classes = classes.map(|class| (escaped(&class.name), 100.0 * class.probability));
            Some((escaped(&one.image), classes.collect()))
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
