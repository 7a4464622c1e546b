//! The images of a run whose labels its trained network doubts most, see [`Suspects`].

use da2s_records::schema::{Doubted, JudgedImage, Suspects};

use super::judged::{cells, csv_of, named};
use super::measured::trained_to_measure;
use super::{Context, Error, train};
use crate::data::{Dataset, Loader, Part, thumbnail_png};
use crate::evaluate::judge;
use crate::observer::{Event, Observer};

/// Longest side of the pictures.
const MOST_PIXELS: usize = 96;

/// The columns of the table of suspects.
const COLUMNS: [&str; 9] = [
    "trained_on",
    "part",
    "image",
    "path",
    "label",
    "prediction",
    "probability",
    "label_probability",
    "contradicted",
];

/// Ranks all images of the run's data set by the probability that the trained network gives their
/// labels; returns the most doubted images, with pictures: `most` that it was not trained on, and
/// as many that it was. If its weights were imported, the training images count as trained on.
///
/// # Errors
/// [`EvaluateError::Stopped`](crate::evaluate::EvaluateError::Stopped) if the observer requests a
/// stop; if there is no trained network; any problem with settings, images, device or files.
pub fn suspects(context: &Context<'_>, most: usize, observer: &mut dyn Observer) -> Result<Suspects, Error> {
    let (device, engine) = context.device()?;
    let dataset = context.dataset()?;
    let network = trained_to_measure(context, &dataset, (&device, &engine))?;
    if network.imported {
        let text = "the weights were imported: which of these images they were trained on is unknown";
        observer.on(Event::Warning(text.to_owned().into()));
    }
    let judged = |part: Part, indices: Vec<usize>| -> Result<Vec<(&str, JudgedImage)>, Error> {
        let loader = Loader::evaluation(&dataset, part, indices, context.config.network.training.batch_size)?;
        let images = judge(&network.backbone, network.pass(), &loader, &device, &|| observer.stop())?;
        let images = named(context, dataset.part(part), images);
        Ok(images.into_iter().map(|image| (part.name(), image)).collect())
    };
    let whole = |part: Part| judged(part, (0..dataset.part(part).len()).collect());
    let (trained_on, kept_out) = train::divided(context, &dataset)?;
    let held_out = [
        judged(Part::Train, kept_out)?,
        whole(Part::Validation)?,
        whole(Part::Test)?,
    ]
    .concat();
    let trained = judged(Part::Train, trained_on)?;
    super::tell_damaged(&dataset, observer);
    let doubted = |images| with_pictures(Doubted::of(images, dataset.classes(), most), &dataset);
    Ok(Suspects {
        classes: dataset.class_names.clone(),
        held_out: doubted(held_out)?,
        trained: doubted(trained)?,
    })
}

fn with_pictures(mut doubted: Doubted, dataset: &Dataset) -> Result<Doubted, Error> {
    for suspect in &mut doubted.suspects {
        let part = Part::from_name(&suspect.part).unwrap_or(Part::Train);
        let image = dataset.part(part).image(suspect.image.index as usize)?;
        suspect.image.picture = Some(thumbnail_png(&image, MOST_PIXELS));
    }
    Ok(doubted)
}

/// `suspects` as CSV (RFC 4180), those that the network was not trained on first.
///
/// # Errors
/// If it cannot be written to memory.
pub fn suspects_csv(suspects: &Suspects) -> Result<Vec<u8>, csv::Error> {
    let yes = |so: bool| if so { "yes" } else { "no" }.to_owned();
    let rows = [(false, &suspects.held_out), (true, &suspects.trained)];
    let rows = rows.into_iter().flat_map(|(trained_on, doubted)| {
        doubted.suspects.iter().map(move |suspect| {
            let mut row = vec![yes(trained_on), suspect.part.clone()];
            row.extend(cells(&suspect.image, &suspects.classes));
            row.push(yes(suspect.contradicted));
            row
        })
    });
    let columns = COLUMNS.map(str::to_owned).to_vec();
    csv_of(std::iter::once(columns).chain(rows))
}
