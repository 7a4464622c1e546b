//! `da2s data suspects`: the images of a run whose labels its trained network doubts most, as a
//! table, as CSV, and as a page with pictures.

use da2s::run::suspects_csv;
use da2s_records::schema::{Doubted, Suspect, Suspects};
use da2s_records::{counted, write_output};

use crate::args::DataSuspectsArguments;
use crate::commands::session::Session;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table::{absent, columns_with, grouped};
use crate::terminal;

/// Examines all images, writes the page, and prints the table and the path of the page.
///
/// # Errors
/// If there is no trained network, the images are not those of the run, or a file cannot be
/// written.
pub fn execute(arguments: &DataSuspectsArguments) -> Result<(), Failure> {
    let mut session = Session::read(&arguments.stage.stage, &arguments.stage.request()?)?;
    let suspects = session.suspects(arguments.top.into())?;
    if let Some(out) = &arguments.out {
        let table = suspects_csv(&suspects).map_err(|error| Failure::new(Code::Files, error.to_string()))?;
        write_output(out, &table)?;
    }
    let sheet = da2s_report::write_suspects(session.path(), &suspects, arguments.sheet.as_deref())?;
    terminal::print(&format!("{}\n", table(&suspects)))?;
    terminal::print_path(&sheet)
}

/// The table, in two parts.
fn table(suspects: &Suspects) -> String {
    let parts = [
        ("not trained on", &suspects.held_out),
        (
            "trained on; a network memorises wrong labels, so some of them may be missing here",
            &suspects.trained,
        ),
    ];
    let texts = parts
        .iter()
        .filter(|(_, doubted)| doubted.images > 0)
        .map(|(name, doubted)| part(name, doubted, &suspects.classes));
    texts.collect::<Vec<_>>().join("\n")
}

fn part(name: &str, doubted: &Doubted, classes: &[String]) -> String {
    let heading = [
        "label",
        "probability",
        "prediction",
        "probability",
        "contradicted",
        "image",
    ];
    let class = |class: usize| classes.get(class).map_or_else(absent, String::clone);
    let percent = |share: Option<f64>| share.map_or_else(absent, |share| format!("{:.1} %", 100.0 * share));
    let row = |suspect: &Suspect| {
        let image = &suspect.image;
        vec![
            class(image.class),
            percent(image.class_probability),
            class(image.predicted),
            percent(image.predicted_probability),
            if suspect.contradicted { "yes" } else { "" }.to_owned(),
            suspect.name(),
        ]
    };
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(doubted.suspects.iter().map(row));
    format!(
        "{} {name}\n{} contradicted: the network predicts another class, and the probability of that class is at least its mean over the images labelled with that class\n{}",
        match doubted.images {
            1 => "1 image".to_owned(),
            images => format!("{} images", grouped(images)),
        },
        counted(doubted.contradicted as usize, "label"),
        columns_with(&rows, |column| [0, 2, 4, 5].contains(&column))
    )
}
