//! `da2s data check`: reads every image in a folder and prints a summary.

use std::fmt::Write as _;
use std::path::Path;

use da2s::Error;
use da2s::data::{Check, CheckedPart, DataError, Format, ImageError, MOST_MIRROR_CLASSES, check, images_problem};
use da2s::run::mirror_warning;
use da2s_records::{counted, one_line};
use serde_json::json;

use crate::args::DataCheckArguments;
use crate::exit::Code;
use crate::failure::Failure;
use crate::hints::with_hints;
use crate::terminal::{self, escaped};

/// Reads all images and prints the summary.
///
/// # Errors
/// If there is no data set, or more than one; if it cannot be read; and, after the table, if single
/// images cannot be read.
pub fn execute(arguments: &DataCheckArguments) -> Result<(), Failure> {
    let dir = &arguments.dir;
    let (format, dir) = match (arguments.dataset, named(dir)) {
        (Some(format), _) => (format, Some(dir.as_path())),
        (None, Some(format)) if format.needs_folder() => {
            let folder = format.facts().folder;
            return Err(Failure::usage(format!(
                "{format} is not built in: name its folder, which contains {folder}"
            )));
        }
        (None, Some(built_in)) => (built_in, None),
        (None, None) => (detected(dir)?, Some(dir.as_path())),
    };
    let checked = check(format, dir).map_err(Error::Data)?;
    if arguments.json {
        terminal::print(&format!("{:#}\n", document(format, &checked)))?;
    } else {
        terminal::print(&table(format, &checked))?;
    }
    match checked.damaged.len() {
        0 => Ok(()),
        count => Err(Failure::new(
            Code::Data,
            format!(
                "{} cannot be decoded; replace {}, or set data.bad_images = \"skip\"",
                counted(count, "image"),
                if count == 1 { "it" } else { "them" }
            ),
        )),
    }
}

/// The summary as JSON.
fn document(format: Format, check: &Check) -> serde_json::Value {
    let part = |part: &CheckedPart| {
        let counts = check.class_names.iter().zip(&part.images);
        let sizes = part.sizes.iter();
        let size = |(&(height, width), &images): (&(usize, usize), &usize)| json!({ "height": height, "width": width, "images": images });
        json!({
            "part": part.part.name(),
            "images": part.images.iter().sum::<usize>(),
            "classes": counts.map(|(name, &images)| (name.clone(), json!(images))).collect::<serde_json::Map<_, _>>(),
            "sizes": sizes.map(size).collect::<Vec<_>>(),
        })
    };
    let damaged =
        |error: &ImageError| json!({ "image": error.path.display().to_string(), "reason": error.problem.to_string() });
    json!({
        "dataset": format.name(),
        "classes": check.class_names,
        "parts": check.parts.iter().map(part).collect::<Vec<_>>(),
        "mirrored": check.mirrored.as_ref().map(|pairs| {
            let names = pairs.iter().map(|pair| pair.classes.map(|class| check.class_names[class].clone()));
            names.collect::<Vec<_>>()
        }),
        "passed_over": check.passed_over,
        "notes": check.notes,
        "damaged": check.damaged.iter().map(damaged).collect::<Vec<_>>(),
    })
}

/// The data set called `dir`, if there is no such file or folder.
fn named(dir: &Path) -> Option<Format> {
    let format = dir.to_str().and_then(Format::from_name).filter(|_| !dir.exists())?;
    let is_published = !matches!(format, Format::Images | Format::Arrays);
    is_published.then_some(format)
}

/// The only data set in `dir`.
fn detected(dir: &Path) -> Result<Format, Failure> {
    match Format::in_folder(dir)[..] {
        [format] => Ok(format),
        [] => {
            if let Some(problem) = images_problem(dir) {
                return Err(Error::Data(problem).into());
            }
            let needed: Vec<String> = Format::ALL
                .into_iter()
                .filter(|format| format.needs_folder())
                .map(|format| format!("{format} ({})", format.facts().folder))
                .collect();
            let error = DataError::Layout {
                path: dir.into(),
                expected: format!("the files of a data set: {}", needed.join("; ")),
            };
            Err(Error::Data(error).into())
        }
        ref several => {
            let names: Vec<&str> = several.iter().map(|format| format.name()).collect();
            Err(Failure::usage(format!(
                "{} may contain any of {}: select one with --dataset",
                dir.display(),
                names.join(", ")
            )))
        }
    }
}

/// The summary as a table: one row per class, then the totals, the sizes, and the damaged images.
/// Names of folders are escaped for the terminal.
fn table(format: Format, check: &Check) -> String {
    let class_names: Vec<String> = check.class_names.iter().map(|name| escaped(name)).collect();
    let width = class_names.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or(0).max("data set".len()) + 2;
    // Writing to a String cannot fail.
    let mut text = format!("{:<width$}{}\n", "data set", format.facts().title);
    let mut row = |name: &str, cells: Vec<String>| {
        let _ = write!(text, "{name:<width$}");
        for cell in cells {
            let _ = write!(text, "{cell:>12}");
        }
        text.push('\n');
    };
    row(
        "class",
        check.parts.iter().map(|part| part.part.name().to_owned()).collect(),
    );
    for (class, name) in class_names.iter().enumerate() {
        row(
            name,
            check.parts.iter().map(|part| part.images[class].to_string()).collect(),
        );
    }
    let all = |images: &[usize]| images.iter().sum::<usize>().to_string();
    row("all", check.parts.iter().map(|part| all(&part.images)).collect());
    for part in &check.parts {
        let name = part.part.name();
        let _ = writeln!(text, "{:<width$}{name}: {}", "sizes", sizes(&part.sizes));
    }
    for note in &check.notes {
        let _ = writeln!(text, "{:<width$}{}", "note", one_line(note));
    }
    if check.mirrored.is_none() {
        let reason = format!("not examined: there are more than {MOST_MIRROR_CLASSES} classes");
        let _ = writeln!(text, "{:<width$}{reason}", "mirrored");
    }
    for pair in check.mirrored.iter().flatten() {
        let warning = mirror_warning(pair, &check.class_names);
        let remark = with_hints(&warning.text, &warning.hints);
        let _ = writeln!(text, "{:<width$}{}", "mirrored", one_line(&remark));
    }
    if !check.passed_over.is_empty() {
        let _ = writeln!(text, "{:<width$}{}", "not read", check.passed_over);
    }
    for error in &check.damaged {
        let _ = writeln!(text, "{:<width$}{}", "damaged", one_line(&error.to_string()));
    }
    if check.damaged.is_empty() {
        let _ = writeln!(text, "{:<width$}none", "damaged");
    }
    text
}

/// The common size, or the range of sizes.
fn sizes(sizes: &std::collections::BTreeMap<(usize, usize), usize>) -> String {
    let range = |side: fn(&(usize, usize)) -> usize| {
        let sides = || sizes.keys().map(side);
        match (sides().min().unwrap_or(0), sides().max().unwrap_or(0)) {
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        }
    };
    let (high, wide) = (range(|size| size.0), range(|size| size.1));
    match sizes.len() {
        0 => "no image was read".to_owned(),
        1 => format!("{wide} pixels wide, {high} high"),
        several => format!("{wide} pixels wide, {high} high; {several} different sizes"),
    }
}
