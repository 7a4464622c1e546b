//! The images of a data set at a glance: how many of each class in each part, and their sizes.
//! Part of `environment.json`.

use serde::{Deserialize, Serialize};

/// Counts and sizes of the images that a run works on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetImages {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Training images of each class.
    pub train: Vec<u64>,
    /// Validation images of each class, the data set's own or set aside from its training images;
    /// empty if there are none.
    pub validation: Vec<u64>,
    /// Test images of each class.
    pub test: Vec<u64>,
    /// Sizes of the training images in their files; `None` if there are no files, or none of them
    /// can be read.
    pub files: Option<Sides>,
    /// Rows and columns of the network's input.
    pub input: Option<[u64; 2]>,
}

/// Sizes in pixels, from the smallest to the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sides {
    /// Number of rows.
    pub rows: [u64; 2],
    /// Number of columns.
    pub columns: [u64; 2],
    /// The number of images whose sizes these are; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<u64>,
}

impl Sides {
    /// The sizes of images with these rows and columns; `None` if there are no images.
    pub fn of(sizes: impl IntoIterator<Item = (usize, usize)>) -> Option<Self> {
        let wider = |[least, most]: [u64; 2], side: usize| [least.min(side as u64), most.max(side as u64)];
        sizes.into_iter().fold(None, |sides: Option<Self>, (rows, columns)| {
            let Self {
                rows: known_rows,
                columns: known_columns,
                ..
            } = sides.unwrap_or(Self {
                rows: [rows as u64; 2],
                columns: [columns as u64; 2],
                sampled: None,
            });
            Some(Self {
                rows: wider(known_rows, rows),
                columns: wider(known_columns, columns),
                sampled: None,
            })
        })
    }
}

impl DatasetImages {
    /// Checks that every part has a count for each class.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self) -> Result<(), String> {
        let classes = self.classes.len();
        let validation = Some(&self.validation).filter(|counts| !counts.is_empty());
        match [Some(&self.train), validation, Some(&self.test)]
            .into_iter()
            .flatten()
            .find(|counts| counts.len() != classes)
        {
            Some(counts) => Err(format!("{classes} classes, but counts of {}", counts.len())),
            None => Ok(()),
        }
    }

    /// The images of a part, in all classes.
    pub fn total(counts: &[u64]) -> u64 {
        // Counts may come from files, so any value is possible.
        counts.iter().copied().fold(0, u64::saturating_add)
    }

    /// How many times more training images the largest class has than the smallest; `None` if a
    /// class has none.
    pub fn imbalance(&self) -> Option<f64> {
        let least = *self.train.iter().min()?;
        let most = *self.train.iter().max()?;
        (least > 0).then(|| most as f64 / least as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_imbalance_are_those_of_the_images() {
        assert_eq!(Sides::of([]), None);
        let sides = Sides::of([(5, 9), (7, 8)]).unwrap();
        assert_eq!((sides.rows, sides.columns), ([5, 7], [8, 9]));
        let images = |train: &[u64]| DatasetImages {
            classes: vec!["a".to_owned(), "b".to_owned()],
            train: train.to_vec(),
            test: vec![1, 0],
            ..DatasetImages::default()
        };
        assert_eq!(images(&[4, 10]).imbalance(), Some(2.5));
        assert_eq!(images(&[4, 0]).imbalance(), None);
        assert_eq!(DatasetImages::default().imbalance(), None);
        assert_eq!(images(&[4, 10]).check(), Ok(()));
        assert!(images(&[4]).check().unwrap_err().contains("2 classes"));
    }
}
