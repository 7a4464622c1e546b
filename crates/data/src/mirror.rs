//! Which classes are mirror images of each other, so that flips teach wrong labels.
//!
//! Method: some training images of each class are shrunk to 16×16 grey pixels, with a mean of 0 and
//! a norm of 1. Each image's nearest neighbour among the others shows whether this test
//! can recognise its class at all. The nearest neighbour of its mirror image shows which class the
//! image looks like after a flip. Two classes are mirror images if most images of both are
//! recognised, and most mirror images of each look like the other one. "Most" means that the lower
//! end of Wilson's 95 % interval is above one half.
//!
//! Limits: it sees pixels, not meaning. Classes whose images differ in position or background, as
//! in most photographs, are not recognised and never reported, even if they are mirror images
//! ("left hand", "right hand"). A class whose mirror images belong to no class is not reported
//! either (a mirrored "3" is no digit). It is for symbols, letters, and aligned photographs.
//! Contract: the same images give the same answer; time and memory are bounded, whatever the number
//! of classes, and more than [`MOST_CLASSES`] are not examined.

use std::collections::BTreeMap;

use da2s_images::Image;
use da2s_records::statistics::wilson;
use rayon::prelude::*;

/// Side of the compared images.
const SIDE: usize = 16;
/// Maximum number of images of a class, and of all classes together.
const MOST_OF_CLASS: usize = 60;
const MOST: usize = 1200;
/// Minimum number of images of a class; classes with fewer are never reported.
const FEWEST: usize = 8;
/// Maximum number of classes that are examined: with more, each would have fewer than `FEWEST`
/// images.
pub const MOST_CLASSES: usize = MOST / FEWEST;

/// Two classes that are mirror images of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirrored {
    /// The classes, in ascending order.
    pub classes: [usize; 2],
    /// The share of the mirrored images of each, in percent, that look most like the other.
    pub percent: [f64; 2],
}

impl Mirrored {
    /// A remark for the user in one sentence; `names` are those of all classes.
    pub fn remark(&self, names: &[String]) -> String {
        let [a, b] = self.classes.map(|class| &names[class]);
        format!(
            "{a} and {b} look like mirror images of each other (mirrored, {:.0} % of {a} look most like {b}, and \
             {:.0} % of {b} like {a}): flips would teach wrong labels",
            self.percent[0], self.percent[1]
        )
    }
}

/// The pairs of `classes` classes that are mirror images of each other; `None` if there are more
/// than [`MOST_CLASSES`]. `labels` are those of the training images, and `image` reads one; those
/// that it cannot read are left out.
pub fn mirrored(
    labels: &[u32],
    classes: usize,
    image: &(dyn Fn(usize) -> Option<Image> + Sync),
) -> Option<Vec<Mirrored>> {
    if classes > MOST_CLASSES {
        return None;
    }
    let chosen = chosen(labels, classes);
    let read = |&index: &usize| Some((labels[index] as usize, Compared::new(&image(index)?)));
    let images: Vec<(usize, Compared)> = chosen.par_iter().filter_map(read).collect();
    // For each image, the classes of two nearest neighbours: its own and that of its mirror image.
    let neighbours: Vec<[usize; 2]> = (0..images.len())
        .into_par_iter()
        .map(|at| [false, true].map(|flipped| nearest(&images, at, flipped)))
        .collect();
    let mut counts = vec![0u64; classes];
    let mut recognised = vec![0u64; classes];
    let mut becomes = BTreeMap::<[usize; 2], u64>::new();
    for ((class, _), [own, mirror]) in images.iter().zip(&neighbours) {
        counts[*class] += 1;
        recognised[*class] += u64::from(own == class);
        *becomes.entry([*class, *mirror]).or_default() += 1;
    }
    let most = |part: u64, class: usize| wilson(part, counts[class]).is_some_and(|[from, _]| from > 50.0);
    let known = |class: usize| counts[class] >= FEWEST as u64 && most(recognised[class], class);
    let pair = |(&[a, b], &forth): (&[usize; 2], &u64)| {
        let back = becomes.get(&[b, a]).copied().filter(|_| a < b)?;
        let percent = |count: u64, class: usize| 100.0 * count as f64 / counts[class] as f64;
        (known(a) && known(b) && most(forth, a) && most(back, b)).then(|| Mirrored {
            classes: [a, b],
            percent: [percent(forth, a), percent(back, b)],
        })
    };
    Some(becomes.iter().filter_map(pair).collect())
}

/// Some images of each class, evenly spaced.
fn chosen(labels: &[u32], classes: usize) -> Vec<usize> {
    let most = MOST_OF_CLASS.min(MOST / classes.max(1));
    let mut of_class = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        of_class[label as usize].push(index);
    }
    let spaced = |all: &Vec<usize>| -> Vec<usize> {
        let count = all.len().min(most);
        (0..count).map(|at| all[at * all.len() / count]).collect()
    };
    of_class.iter().flat_map(spaced).collect()
}

/// The class of the image that is nearest to the image `at`, or to its mirror image. The image `at`
/// itself does not count.
fn nearest(images: &[(usize, Compared)], at: usize, flipped: bool) -> usize {
    let (own, compared) = &images[at];
    let values = if flipped { &compared.flipped } else { &compared.values };
    let others = images.iter().enumerate().filter(|(other, _)| *other != at);
    let likeness = |other: &Compared| -> f32 { values.iter().zip(&other.values).map(|(a, b)| a * b).sum() };
    let best = others
        .map(|(_, (class, other))| (likeness(other), *class))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(*own, |(_, class)| class)
}

/// An image as it is compared: [`SIDE`] × [`SIDE`] grey values of mean 0 and length 1.
struct Compared {
    values: Vec<f32>,
    flipped: Vec<f32>,
}

impl Compared {
    fn new(image: &Image) -> Self {
        let fitted = image.fit(SIDE, 1.0);
        let plane = SIDE * SIDE;
        let mut values = vec![0.0f32; plane];
        for channel in fitted.pixels().chunks_exact(plane) {
            for (sum, &pixel) in values.iter_mut().zip(channel) {
                *sum += f32::from(pixel);
            }
        }
        let mean = values.iter().sum::<f32>() / plane as f32;
        values.iter_mut().for_each(|value| *value -= mean);
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            values.iter_mut().for_each(|value| *value /= length);
        }
        let flipped = values
            .chunks_exact(SIDE)
            .flat_map(|row| row.iter().rev().copied())
            .collect();
        Self { values, flipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataOptions, Format, ImageShape, open};

    /// Small drawings by rows, each `count` times with noise.
    fn pairs(drawings: &[[&str; 5]], count: usize) -> Vec<[usize; 2]> {
        let labels: Vec<u32> = (0..drawings.len() * count).map(|at| (at / count) as u32).collect();
        let image = |index: usize| {
            let pixel = |at: usize| {
                let (row, column) = (at / 10 / 2, at % 10 / 2);
                let ink = drawings[index / count][row].as_bytes()[column] == b'#';
                let noise = (index * 7919 + at * 104_729) % 61;
                (if ink { 180 } else { 10 } + noise) as u8
            };
            let shape = ImageShape {
                channels: 1,
                height: 10,
                width: 10,
            };
            Some(Image::new(shape, (0..100).map(pixel).collect()))
        };
        mirrored(&labels, drawings.len(), &image)
            .unwrap()
            .iter()
            .map(|pair| pair.classes)
            .collect()
    }

    const LEFT: [&str; 5] = ["..#..", ".#...", "#####", ".#...", "..#.."];
    const RIGHT: [&str; 5] = ["..#..", "...#.", "#####", "...#.", "..#.."];
    const UP: [&str; 5] = ["..#..", ".###.", "#.#.#", "..#..", "..#.."];
    const B: [&str; 5] = ["#....", "#....", "####.", "#..#.", "####."];
    const D: [&str; 5] = ["....#", "....#", ".####", ".#..#", ".####"];
    const F: [&str; 5] = ["#####", "#....", "###..", "#....", "#...."];

    #[test]
    fn arrows_and_letters_are_mirror_images() {
        assert_eq!(pairs(&[LEFT, UP, RIGHT], 10), [[0, 2]]);
        assert_eq!(pairs(&[B, F, LEFT, D, RIGHT], 20), [[0, 3], [2, 4]]);
    }

    #[test]
    fn other_classes_are_not() {
        // A symmetric class, one whose mirror image is no class, and too few images.
        assert_eq!(pairs(&[LEFT, UP, F], 10), [[0usize; 2]; 0]);
        assert_eq!(pairs(&[B, UP], 20), [[0usize; 2]; 0]);
        assert_eq!(pairs(&[LEFT, RIGHT], FEWEST - 1), [[0usize; 2]; 0]);
        // Two names for one class: what is not recognised is not reported.
        assert_eq!(pairs(&[UP, UP], 20), [[0usize; 2]; 0]);
        assert_eq!(mirrored(&[], 0, &|_| None), Some(vec![]));
        let digits = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let found = mirrored(digits.train.labels(), 10, &|index| digits.train.image(index).ok());
        assert_eq!(found, Some(vec![]));
    }

    /// `classes` of 60 images each: a symmetric pattern of colours for each class, except that the
    /// last one is the mirror image of the first; of each class only the first `readable` images
    /// can be read.
    fn of_many(classes: usize, readable: usize) -> Option<Vec<[usize; 2]>> {
        let labels: Vec<u32> = (0..60 * classes).map(|at| (at / 60) as u32).collect();
        let image = |index: usize| {
            let (class, number) = (index / 60, index % 60);
            let pixel = |at: usize| {
                let (row, column) = (at / 8, at % 8);
                let (drawn, column) = match class {
                    0 => (0, column),
                    _ if class + 1 == classes => (0, 7 - column),
                    _ => (class, column.min(7 - column)),
                };
                let mut value = (drawn * 192 + row * 8 + column) as u64 + 1;
                for _ in 0..3 {
                    value = (value ^ (value >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                }
                (value >> 58) as u8 * 3 + (number % 4) as u8
            };
            let shape = ImageShape {
                channels: 3,
                height: 8,
                width: 8,
            };
            (number < readable).then(|| Image::new(shape, (0..192).map(pixel).collect()))
        };
        let found = mirrored(&labels, classes, &image)?;
        Some(found.iter().map(|pair| pair.classes).collect())
    }

    #[test]
    fn up_to_150_classes_are_examined() {
        // With 21 classes 57 images of each are used; with 150 classes 8, the minimum.
        for classes in [21, MOST_CLASSES] {
            assert_eq!(of_many(classes, 60), Some(vec![[0, classes - 1]]), "{classes}");
        }
        assert_eq!(of_many(MOST_CLASSES, 50), Some(vec![]), "seven of eight are read");
        assert_eq!(of_many(3, FEWEST - 1), Some(vec![]));
        assert_eq!(of_many(MOST_CLASSES + 1, 60), None);
        // The table of all pairs would have 80 GB.
        let labels: Vec<u32> = (0..100_000).collect();
        assert_eq!(mirrored(&labels, 100_000, &|_| None), None);
    }
}
