//! Judged images under the names of their files, and as a table.
//!
//! Contract: a name is relative to the folder of the images, or to the folder that contains the
//! table of labels. The table of judged images is CSV (RFC 4180), whatever the names contain;
//! probabilities have six decimals.

use std::path::Path;

use da2s_records::files::MISTAKES_TABLE;
use da2s_records::schema::JudgedImage;

use super::{Context, Error};
use crate::data::Split;

/// The columns of the table of mistakes.
const COLUMNS: [&str; 6] = [
    "image",
    "path",
    "truth",
    "prediction",
    "probability",
    "truth_probability",
];

/// `images` of `split` with the names of their files, if they have some.
pub(super) fn named(context: &Context<'_>, split: &Split, images: Vec<JudgedImage>) -> Vec<JudgedImage> {
    let dir = context.config.data.dir.as_deref();
    let name = |image: JudgedImage| JudgedImage {
        path: split.path(image.index as usize).map(|path| relative(&path, dir)),
        ..image
    };
    images.into_iter().map(name).collect()
}

fn relative(path: &Path, dir: Option<&Path>) -> String {
    let within = |dir: &Path| path.strip_prefix(dir).ok().filter(|rest| !rest.as_os_str().is_empty());
    let found = dir.and_then(|dir| within(dir).or_else(|| within(dir.parent()?)));
    found.unwrap_or(path).to_string_lossy().into_owned()
}

/// The table of `mistakes`.
///
/// # Errors
/// If it cannot be written to memory.
pub(super) fn table(context: &Context<'_>, mistakes: &[JudgedImage], classes: &[String]) -> Result<Vec<u8>, Error> {
    let rows = mistakes.iter().map(|image| cells(image, classes));
    let columns = COLUMNS.map(str::to_owned);
    csv_of(std::iter::once(columns).chain(rows))
        .map_err(|error| Error::io("write", context.directory.file(MISTAKES_TABLE), error.into()))
}

/// The cells of an image, in the order of [`COLUMNS`].
pub(super) fn cells(image: &JudgedImage, classes: &[String]) -> [String; 6] {
    let class = |class: usize| classes.get(class).cloned().unwrap_or_default();
    let probability = |share: Option<f64>| share.map_or_else(String::new, |share| format!("{share:.6}"));
    [
        image.index.to_string(),
        image.path.clone().unwrap_or_default(),
        class(image.class),
        class(image.predicted),
        probability(image.predicted_probability),
        probability(image.class_probability),
    ]
}

/// `rows` as CSV.
pub(super) fn csv_of<R, C>(rows: impl Iterator<Item = R>) -> Result<Vec<u8>, csv::Error>
where
    R: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_relative_to_the_folder_or_to_the_table() {
        let path = Path::new("/photos/test/a/1.png");
        let of = |dir: Option<&str>| relative(path, dir.map(Path::new));
        assert_eq!(of(Some("/photos")), "test/a/1.png");
        assert_eq!(of(Some("/photos/labels.csv")), "test/a/1.png");
        assert_eq!(of(Some("/elsewhere/x")), "/photos/test/a/1.png");
        assert_eq!(of(None), "/photos/test/a/1.png");
    }

    #[test]
    fn any_name_is_one_cell() {
        let image = JudgedImage {
            index: 7,
            path: Some("a, \"b\"\nc.png".to_owned()),
            class: 1,
            predicted: 9,
            predicted_probability: Some(0.75),
            ..JudgedImage::default()
        };
        let classes = ["<x>".to_owned(), "=1+1".to_owned()];
        let text = csv_of(std::iter::once(cells(&image, &classes))).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "7,\"a, \"\"b\"\"\nc.png\",=1+1,,0.750000,\n"
        );
    }
}
