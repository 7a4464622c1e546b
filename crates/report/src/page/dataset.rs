//! The images at a glance: how many of each class, how uneven that is, and their sizes.

use maud::{Markup, html};

use crate::Run;
use crate::data_link::CsvTable;
use crate::number::{count, significant};
use crate::run::DatasetImages;
use crate::svg::bars::{Bar, Segment, bars};
use crate::svg::short;

/// Number of classes that are drawn; if there are more, only the largest and the smallest are.
const MOST_DRAWN: usize = 30;
const LONGEST_NAME: usize = 16;
/// Number of classes without training images that are named.
const MOST_NAMED: usize = 5;
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
        p { ([totals(images), unevenness(images), sizes(images)].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")) }
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

/// `4 000 training, 1 000 test images of 10 classes.`
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
    let names = |class: &usize| images.classes[*class].as_str();
    let empty: Vec<usize> = (0..images.classes.len())
        .filter(|&class| images.train[class] == 0)
        .collect();
    if let [first, rest @ ..] = &empty[..] {
        let named: Vec<&str> = rest.iter().take(MOST_NAMED - 1).map(names).collect();
        let more = match empty.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named: Vec<&str> = std::iter::once(names(first)).chain(named).collect();
        return format!("There are no training images of {}{more}.", named.join(", "));
    }
    let Some(ratio) = images.imbalance() else {
        return String::new();
    };
    let order = largest_first(images);
    let (Some(&largest), Some(&smallest)) = (order.first(), order.last()) else {
        return String::new();
    };
    let class = |class: usize| format!("{} ({})", count(images.train[class]), images.classes[class]);
    match ratio {
        1.0 => "All classes have the same number of training images.".to_owned(),
        UNEVEN.. => {
            let advice = if ratio < RARE {
                ""
            } else {
                ": look at its recall, and see data.class_weights"
            };
            format!(
                "Training images per class: {} at most, {} times as many as in the smallest class, {}{advice}.",
                class(largest),
                significant(ratio, 2),
                class(smallest)
            )
        }
        _ => format!(
            "The classes are about equally large: from {} to {} training images.",
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
        None => format!("Each image has {input}."),
        Some(files) => {
            let range = |[least, most]: [u64; 2]| match least == most {
                true => least.to_string(),
                false => format!("{least} to {most}"),
            };
            let whose = match files.sampled {
                None => "The files of the training images have".to_owned(),
                Some(sampled) => format!(
                    "The files of {} of the training images, evenly spaced, have",
                    count(sampled)
                ),
            };
            format!(
                "{whose} {} rows and {} columns; the network sees {input}.",
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
    fn the_sentences_describe_the_data_set() {
        assert_eq!(totals(&images(&[5, 5])), "10 training, 2 test images of 2 classes.");
        assert!(unevenness(&images(&[5, 5])).starts_with("All classes"));
        assert!(unevenness(&images(&[5, 4])).contains("from 4 (class 1) to 5 (class 0) training images"));
        assert!(unevenness(&images(&[4, 20])).contains("20 (class 1) at most, 5 times as many"));
        assert!(unevenness(&images(&[4, 8])).ends_with("4 (class 0)."));
        assert_eq!(unevenness(&images(&[4, 0])), "There are no training images of class 1.");
        assert_eq!(
            sizes(&images(&[1])),
            "The files of the training images have 480 rows and 640 to 1024 columns; the network sees 32×32 pixels."
        );
        assert_eq!(drawn(&images(&[7; 100])).len(), MOST_DRAWN);
        let descending: Vec<u64> = (0..100).rev().collect();
        assert_eq!(drawn(&images(&descending))[14..16], [14, 85]);
    }
}
