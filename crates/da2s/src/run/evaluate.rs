//! The stage `evaluate`: evaluates the final network on the test images and writes the summary of
//! the run.

use burn::tensor::Device;
use da2s_records::files::{
    EVALUATION, GAP, GENOTYPE, INT8, MISTAKES, MISTAKES_TABLE, MOST_LINES_BYTES, NETWORK_TIMES, PREPROCESSING,
    SEARCH_TIMES, SUMMARY, mistake as mistake_file,
};
use da2s_records::schema::{
    ClassScores, EpochTime, Evaluation, Gap, GenotypeFile, Int8, Summary, balanced_accuracy, class_scores,
};

use super::discretize::given_genotype;
use super::measured::{Measured, trained_to_measure};
use super::trained::preprocessing;
use super::{Context, Error, baseline, deployed, judged, seeds, train};
use crate::data::{Dataset, Loader, Part, stratified_sample, thumbnail_png};
use crate::hint::Hint;
use crate::observer::{Event, Observer, Warning};
use crate::parallel::Group;
use crate::space::NamedNetwork;
use crate::stage::Stage;

/// Longest side of the images of mistakes.
const MOST_PIXELS: usize = 48;
/// Number of mistakes that have an image.
const MOST_MISTAKES: usize = 24;

/// Evaluates the trained network on the test images and, to compare, on some that it was trained
/// on; measures how long it takes for an image here; writes `network/evaluation.json`, all of its
/// mistakes as a table, the images of the worst, `network/latency.json` and `summary.json`.
///
/// # Errors
/// [`EvaluateError::Stopped`](crate::evaluate::EvaluateError::Stopped) if the observer requests a
/// stop; if there is no trained network; any problem with settings, images, device or files.
pub fn evaluate(context: &Context<'_>, observer: &mut dyn Observer) -> Result<Summary, Error> {
    let (device, engine) = context.device()?;
    let dataset = context.dataset()?;
    let network = trained_to_measure(context, &dataset, (&device, &engine))?;
    let directory = context.directory;
    observer.on(Event::Started {
        stage: Stage::Evaluate,
        epochs: 0,
        resumed_at: 0,
    });
    let mut evaluation = measure(context, &dataset, &network, &device, observer)?;
    let mistakes = judged::named(context, &dataset.test, std::mem::take(&mut evaluation.mistakes));
    directory.write(
        MISTAKES_TABLE,
        &judged::table(context, &mistakes, &dataset.class_names)?,
    )?;
    evaluation.mistakes = mistakes.into_iter().take(MOST_MISTAKES).collect();
    directory.remove(MISTAKES)?;
    for mistake in &evaluation.mistakes {
        let picture = thumbnail_png(&dataset.test.image(mistake.index as usize)?, MOST_PIXELS);
        directory.write(&mistake_file(mistake.index), &picture)?;
    }
    directory.write_json(EVALUATION, &evaluation)?;
    directory.write_json(PREPROCESSING, &preprocessing(context, &dataset))?;
    super::tell_damaged(&dataset, observer);
    let scores = class_scores(&evaluation.classes, &evaluation.confusion);
    tell_never_predicted(&scores, observer);

    let genotype: GenotypeFile = directory.read_json(GENOTYPE, Stage::Discretize)?;
    // A given genotype has no gap.
    let gap: Gap = directory.find_json(GAP)?.unwrap_or_default();
    let config = context.config;
    let mut summary = Summary {
        dataset: Some(dataset.name.clone()),
        method: Some(config.search.method.name().to_owned()),
        network: named(context)?,
        drive: Some(config.search.drive().name().to_owned()),
        seed: Some(config.run.seed),
        device: Some(config.run.device.clone()),
        supernet_accuracy: gap.as_trained.supernet,
        discretized_operations_accuracy: gap.as_trained.operations,
        discretized_edges_accuracy: gap.as_trained.edges,
        discretized_accuracy: gap.as_trained.both,
        discretized_recalibrated_accuracy: gap.recalibrated.both,
        gap: gap.points(),
        removed_operations: gap.removed.map(|removed| removed.operations),
        removed_edges: gap.removed.map(|removed| removed.edges),
        removal_gap: gap.removed.and_then(|removed| removed.points),
        genotype: genotype.genotype,
        decided: genotype.decided == Some(true),
        p_least: genotype.p_least,
        q_least: genotype.q_least,
        network_accuracy: evaluation.accuracy,
        network_accuracy_interval: evaluation.interval(),
        network_train_accuracy: evaluation.train_accuracy,
        network_calibration_error: evaluation
            .calibration
            .as_ref()
            .and_then(|calibration| calibration.error),
        seeds: None,
        baselines: baseline::trained(context, &evaluation, observer)?,
        int8_accuracy: None,
        int8_accuracy_interval: None,
        int8_gap: None,
        network_balanced_accuracy: balanced_accuracy(&scores),
        class_scores: scores,
        widened: genotype.widened,
        parameters: genotype.parameters,
        multiply_adds: genotype.multiply_adds,
        on_device: genotype.on_device,
        measured_latency_ms: None,
        measured_latency_machine: None,
        search_time_s: total_time_s(context, SEARCH_TIMES)?,
        train_time_s: total_time_s(context, NETWORK_TIMES)?,
    };
    summary.seeds = seeds::trained(context, &summary, observer)?;
    match deployed::latency(context) {
        Ok(latency) => summary.set_latency(&latency.unwrap_or_default()),
        // It informs only: the results do not depend on it.
        Err(error) => {
            let text = format!("the time for an image was not measured: {error}");
            observer.on(Event::Warning(text.into()));
        }
    }
    // The results in int8, if this network was quantised before.
    if let Some(int8) = directory.find_json::<Int8>(INT8)? {
        summary.set_int8(&int8);
    }
    directory.write_json(SUMMARY, &summary)?;
    Ok(summary)
}

/// The network on the test images, and on as many of those that it was trained on.
fn measure(
    context: &Context<'_>,
    dataset: &Dataset,
    network: &Measured,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Evaluation, Error> {
    let (config, stop) = (context.config, || observer.stop());
    let batch_size = config.network.training.batch_size;
    let all = (0..dataset.test.len()).collect();
    let loader = Loader::evaluation(dataset, Part::Test, all, batch_size)?;
    let (backbone, classes) = (&network.backbone, &dataset.class_names);
    let evaluation = crate::evaluate::evaluate(backbone, network.pass(), &loader, classes, device, &stop)?;
    if network.imported {
        return Ok(evaluation);
    }
    let (trained_on, _) = train::divided(context, dataset)?;
    let labels = dataset.train.labels();
    let sample = stratified_sample(&trained_on, labels, dataset.test.len(), config.run.seed);
    let train_images = sample.len() as u64;
    let loader = Loader::evaluation(dataset, Part::Train, sample, batch_size)?;
    let accuracy = crate::evaluate::accuracy(backbone, network.pass(), &loader, &Group::alone(), device, &stop)?;
    Ok(Evaluation {
        train_accuracy: Some(accuracy),
        train_images: Some(train_images),
        ..evaluation
    })
}

/// The name of the run's network, if its genotype was given and is that of a named network.
fn named(context: &Context<'_>) -> Result<Option<String>, Error> {
    let given = given_genotype(context.directory, None)?;
    let network = given.and_then(|genotype| NamedNetwork::of(&genotype));
    Ok(network.map(|network| network.name().to_owned()))
}

/// Reports the classes that the network never predicts, which the overall accuracy hides. A class
/// is rare if it has less than half of the mean number of images.
fn tell_never_predicted(scores: &[ClassScores], observer: &mut dyn Observer) {
    const MOST: usize = 5;
    let never: Vec<&ClassScores> = scores.iter().filter(|score| score.is_never_predicted()).collect();
    if never.is_empty() {
        return;
    }
    let named = never
        .iter()
        .take(MOST)
        .map(|score| format!("{} ({} test images)", score.class, score.images));
    let named: Vec<String> = named.collect();
    let more = match never.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let said = format!("the network never predicts {}{more}", named.join(", "));
    let all: u64 = scores.iter().map(|score| score.images).sum();
    let is_rare = |score: &&ClassScores| 2 * score.images * (scores.len() as u64) < all;
    observer.on(Event::Warning(if never.iter().any(is_rare) {
        Warning {
            text: format!("{said}; if a class is rare, give it more weight in a new run"),
            hints: vec![Hint::Set("data.class_weights", "balanced")],
        }
    } else {
        format!("{said}; none of them is rare, so the network may not have learned enough: train for more epochs")
            .into()
    }));
}

/// Sum of the times of a stage's epochs; `None` if it did not run.
fn total_time_s(context: &Context<'_>, name: &str) -> Result<Option<f64>, Error> {
    let path = context.directory.file(name);
    let Some(text) = context.directory.text(name, MOST_LINES_BYTES)? else {
        return Ok(None);
    };
    let mut total = 0.0;
    for (index, line) in text.lines().enumerate() {
        let time: EpochTime = serde_json::from_str(line).map_err(|error| Error::Damaged {
            path: path.clone(),
            problem: format!("line {}: {error}", index + 1),
        })?;
        total += time.time_s;
    }
    Ok(Some(total))
}
