//! The images at a glance: how many of each class, how uneven that is, and their sizes.

use maud::{Markup, html};

use crate::Run;
use crate::data_link::CsvTable;
use crate::number::{count, significant};
use crate::run::DatasetImages;
use crate::svg::bars::{Bar, Segment, bars};
use crate::svg::short;

/// Number of classes that are drawn; of more, the largest and the smallest are.
const MOST_DRAWN: usize = 30;
const LONGEST_NAME: usize = 16;
/// From this ratio of the largest class to the smallest on, classes are not equally large.
const UNEVEN: f64 = 1.5;
/// From this ratio on, rare classes are worth some advice.
const RARE: f64 = 3.0;

/// The parts, with the colours of their bars.
const PARTS: [(&str, &str); 3] = [("training", "op3"), ("validation", "op1"), ("test", "op5")];

/// The sentences and the bars; `None` in a run of an earlier version.
pub(super) fn section(run: &Run) -> Option<Markup> {
    let images = run.environment.as_ref()?.dataset_images.as_ref()?;
    let drawn = drawn(images);
    let left_out = images.classes.len() - drawn.len();
    let spoken = format!("Bars: images of each class; {}", totals(images));
    Some(html! {
        p { (totals(images)) " " (unevenness(images)) " " (sizes(images)) }
        figure.dataset {
            ul.legend.operations {
                @for ((name, class), _) in PARTS.iter().zip(parts(images)).filter(|(_, counts)| !counts.is_empty()) {
                    li {
                        svg.swatch viewBox="0 0 26 8" aria-hidden="true" {
                            rect class=(class) x="1" y="0" width="24" height="8" {}
                        }
                        (name)
                    }
                }
            }
            (bars(&spoken, &drawn.iter().map(|&class| bar(images, class)).collect::<Vec<_>>()))
            figcaption {
                "Images of each class, the class with the most training images first. "
                @if left_out > 0 { (count(left_out as u64)) " classes between the largest and the smallest are left out. " }
                (table(images).link("images", "Images of each class"))
            }
        }
    })
}

fn parts(images: &DatasetImages) -> [&Vec<u64>; 3] {
    [&images.train, &images.validation, &images.test]
}

/// `4 000 training and 1 000 test images of 10 classes.`
fn totals(images: &DatasetImages) -> String {
    let counts: Vec<String> = PARTS
        .iter()
        .zip(parts(images))
        .filter(|(_, counts)| !counts.is_empty())
        .map(|((name, _), counts)| format!("{} {name}", count(DatasetImages::total(counts))))
        .collect();
    format!("{} images of {} classes.", counts.join(", "), images.classes.len())
}

/// How much the classes differ.
fn unevenness(images: &DatasetImages) -> String {
    let Some(ratio) = images.imbalance() else {
        return String::new();
    };
    let order = largest_first(images);
    let (Some(&largest), Some(&smallest)) = (order.first(), order.last()) else {
        return String::new();
    };
    let class = |class: usize| format!("{} ({} to train on)", images.classes[class], count(images.train[class]));
    match ratio {
        1.0 => "All classes have equally many training images.".to_owned(),
        UNEVEN.. => {
            let advice = if ratio < RARE {
                ""
            } else {
                ": look at its recall, and see data.class_weights"
            };
            format!(
                "The largest class, {}, has {} times as many as the smallest, {}{advice}.",
                class(largest),
                significant(ratio, 2),
                class(smallest)
            )
        }
        _ => format!(
            "The classes are about equally large: from {} to {}.",
            class(smallest),
            class(largest)
        ),
    }
}

/// Sizes in the files, and of the input.
fn sizes(images: &DatasetImages) -> String {
    let input = images
        .input
        .map_or_else(String::new, |[rows, columns]| format!("{rows}×{columns} pixels"));
    match images.files {
        None if input.is_empty() => String::new(),
        None => format!("Each has {input}."),
        Some(files) => {
            let range = |[least, most]: [u64; 2]| match least == most {
                true => least.to_string(),
                false => format!("{least} to {most}"),
            };
            format!(
                "Their files have {} rows and {} columns; the network sees {input}.",
                range(files.rows),
                range(files.columns)
            )
        }
    }
}

fn largest_first(images: &DatasetImages) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images.classes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(images.train[class]));
    order
}

/// The classes that are drawn.
fn drawn(images: &DatasetImages) -> Vec<usize> {
    let mut order = largest_first(images);
    if order.len() > MOST_DRAWN {
        let rest = order.len() - MOST_DRAWN;
        order.drain(MOST_DRAWN / 2..MOST_DRAWN / 2 + rest);
    }
    order
}

fn bar(images: &DatasetImages, class: usize) -> Bar {
    let counts = PARTS
        .iter()
        .zip(parts(images))
        .filter_map(|(part, counts)| Some((part, *counts.get(class)?)));
    let segment = |((part, colour), length): (&(&str, &str), u64)| Segment {
        length,
        class: (*colour).to_owned(),
        title: format!("{}: {} {part} images", images.classes[class], count(length)),
    };
    let texts: Vec<String> = counts.clone().map(|(_, length)| count(length)).collect();
    Bar {
        name: short(&images.classes[class], LONGEST_NAME),
        text: texts.join(" + "),
        segments: counts.map(segment).collect(),
    }
}

fn table(images: &DatasetImages) -> CsvTable {
    let mut table = CsvTable::new(["class", "training", "validation", "test"]);
    for (class, name) in images.classes.iter().enumerate() {
        let number = |counts: &Vec<u64>| counts.get(class).map_or_else(String::new, u64::to_string);
        let [train, validation, test] = parts(images).map(number);
        table.row([name, &train, &validation, &test]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s_records::schema::Sides;

    fn images(train: &[u64]) -> DatasetImages {
        DatasetImages {
            classes: (0..train.len()).map(|class| format!("class {class}")).collect(),
            train: train.to_vec(),
            test: vec![1; train.len()],
            files: Sides::of([(480, 640), (480, 1024)]),
            input: Some([32, 32]),
            ..DatasetImages::default()
        }
    }

    #[test]
    fn the_sentences_say_what_there_is() {
        assert_eq!(totals(&images(&[5, 5])), "10 training, 2 test images of 2 classes.");
        assert!(unevenness(&images(&[5, 5])).starts_with("All classes"));
        assert!(unevenness(&images(&[5, 4])).contains("from class 1 (4 to train on) to class 0 (5"));
        assert!(unevenness(&images(&[4, 20])).contains("class 1 (20 to train on), has 5 times as many"));
        assert!(unevenness(&images(&[4, 8])).ends_with("class 0 (4 to train on)."));
        assert_eq!(unevenness(&images(&[4, 0])), "");
        assert_eq!(
            sizes(&images(&[1])),
            "Their files have 480 rows and 640 to 1024 columns; the network sees 32×32 pixels."
        );
        assert_eq!(drawn(&images(&[7; 100])).len(), MOST_DRAWN);
        let descending: Vec<u64> = (0..100).rev().collect();
        assert_eq!(drawn(&images(&descending))[14..16], [14, 85]);
    }
}
