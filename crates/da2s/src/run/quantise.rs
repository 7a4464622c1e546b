//! Quantises the trained network to int8, measures it on the test images and writes it for
//! `da2s-infer` and for ONNX.

use std::path::PathBuf;

use da2s_infer::Network;
use da2s_infer::int8::{self, QuantiseError, RangeSetting};
use da2s_records::files::{EVALUATION, EXPORT, INT8, PREPROCESSING_NAME, SUMMARY};
use da2s_records::schema::{Evaluation, Int8, Summary};
use rand::seq::SliceRandom;

use super::trained::trained;
use super::{Context, Error};
use crate::data::{Dataset, Loader, Part};
use crate::export::{ExportError, preprocessing_json, quantised_onnx};
use crate::network::Trained;
use crate::observer::Observer;
use crate::random::{Purpose, generator};
use crate::stage::Stage;

/// Images that are in memory at a time.
const BATCH: usize = 64;
/// Names of the network's files, in the run's folder of exports.
const SAFETENSORS: &str = "network-int8.safetensors";
const ONNX: &str = "network-int8.onnx";

/// How a network is calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int8Options {
    /// Number of training images; all, if there are fewer.
    pub images: usize,
    /// How ranges follow from them.
    pub range: RangeSetting,
}

/// A quantised network.
#[derive(Clone, Debug)]
pub struct Quantised {
    /// Its results.
    pub int8: Int8,
    /// Its files.
    pub files: [PathBuf; 2],
}

/// Quantises the trained network of a run, as [`int8::quantise`] describes, with training images
/// drawn from the run's seed, and evaluates it on the test images. Writes the network to
/// `export/network-int8.safetensors` and `export/network-int8.onnx`, and its results to
/// `network/int8.json`; if the run has a summary, also to the summary.
///
/// # Errors
/// If the network was not trained and evaluated, an image cannot be read, the network cannot be
/// quantised, or the observer requests a stop.
pub fn quantise(context: &Context<'_>, options: Int8Options, observer: &mut dyn Observer) -> Result<Quantised, Error> {
    let directory = context.directory;
    let trained = trained(context)?;
    let evaluation: Evaluation = directory.read_json(EVALUATION, Stage::Evaluate)?;
    let dataset = context.dataset()?;
    let images = calibration_images(context, &dataset, options.images, observer)?;
    let description = &trained.description;
    let (plan, preprocessing) = (&description.plan, &description.preprocessing);
    let stop = || observer.stop();
    let network = int8::quantise(plan, preprocessing, &trained.tensors(), &images, options.range, &stop)
        .map_err(Error::Quantise)?;
    let bytes = int8::to_bytes(&network).map_err(ExportError::from)?;
    // What is measured is what is written.
    let wrong = wrong(&Network::from_bytes(&bytes)?, &dataset, observer)?;
    super::tell_damaged(&dataset, observer);

    let int8 = Int8 {
        calibration_images: Some(images.len() as u64),
        range: Some(options.range.to_string()),
        size_bytes: Some(network.size_bytes()),
        ..Int8::beside(&evaluation, dataset.test.len() as u64, &wrong)
    };
    let files = write(context, &trained, &network, &bytes)?;
    directory.write_json(INT8, &int8)?;
    if let Some(mut summary) = directory.find_json::<Summary>(SUMMARY)? {
        summary.set_int8(&int8);
        directory.write_json(SUMMARY, &summary)?;
    }
    Ok(Quantised { int8, files })
}

/// Training images as the evaluation prepares images, without augmentation.
fn calibration_images(
    context: &Context<'_>,
    dataset: &Dataset,
    count: usize,
    observer: &mut dyn Observer,
) -> Result<Vec<Vec<f32>>, Error> {
    let mut indices: Vec<usize> = (0..dataset.train.len()).collect();
    let mut random = generator(context.config.run.seed, Purpose::Calibration, 0, 0);
    indices.shuffle(&mut random);
    indices.truncate(count);
    let mut images = Vec::with_capacity(indices.len());
    let loader = Loader::evaluation(dataset, Part::Train, indices, BATCH)?;
    for step in 0..loader.steps_per_epoch() {
        unless_stopped(observer)?;
        images.extend(loader.batch(0, step)?.planar());
    }
    Ok(images)
}

/// The test images that the network misclassifies, in ascending order.
fn wrong(network: &Network, dataset: &Dataset, observer: &mut dyn Observer) -> Result<Vec<u64>, Error> {
    let all = (0..dataset.test.len()).collect();
    let loader = Loader::evaluation(dataset, Part::Test, all, BATCH)?;
    let mut wrong = Vec::new();
    for step in 0..loader.steps_per_epoch() {
        unless_stopped(observer)?;
        let batch = loader.batch(0, step)?;
        let logits = network.logits(&batch.planar().collect::<Vec<_>>());
        for ((&index, &label), logits) in batch.indices.iter().zip(&batch.labels).zip(logits) {
            if most(&logits) != label as usize {
                wrong.push(index as u64);
            }
        }
    }
    Ok(wrong)
}

/// The class with the largest logit, the first of several.
fn most(logits: &[f32]) -> usize {
    let first = |best: usize, class: usize| if logits[class] > logits[best] { class } else { best };
    (0..logits.len()).fold(0, first)
}

fn unless_stopped(observer: &mut dyn Observer) -> Result<(), Error> {
    if observer.stop() {
        Err(Error::Quantise(QuantiseError::Stopped))
    } else {
        Ok(())
    }
}

/// Writes the network's files, and returns their paths.
fn write(
    context: &Context<'_>,
    trained: &Trained,
    network: &int8::Int8Network,
    bytes: &[u8],
) -> Result<[PathBuf; 2], Error> {
    let directory = context.directory;
    let preprocessing = preprocessing_json(&network.preprocessing)?;
    let onnx = quantised_onnx(trained, network)?;
    let names = [PREPROCESSING_NAME, SAFETENSORS, ONNX].map(|name| format!("{EXPORT}/{name}"));
    for (name, bytes) in names.iter().zip([&preprocessing, bytes, &onnx]) {
        directory.publish(name, bytes)?;
    }
    let [_, safetensors, onnx] = names.map(|name| directory.file(&name));
    Ok([safetensors, onnx])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_classes_counts() {
        assert_eq!(most(&[1.0, 3.0, 3.0, -1.0]), 1);
        assert_eq!(most(&[-2.0]), 0);
    }
}
