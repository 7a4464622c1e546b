//! Batches. Each is a pure function of (seed, epoch, step): a resumed run sees what the run that
//! never stopped saw.
//!
//! For training, an epoch's order is a Fisher-Yates shuffle from a generator keyed by (seed, epoch,
//! stream), and a sample's augmentation from one keyed by (seed, epoch, stream, sample), so that
//! neither depends on threads or on what was loaded before. Loaders of different streams are
//! independent even over the same images.

use super::augment::Augmentation;
use super::dataset::{Dataset, ImageShape, Part, Split};
use super::error::DataError;
use crate::Shard;
use crate::random::{Purpose, generator};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Whom the batches of a training loader are for. The codes are part of the meaning of a seed and
/// never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stream {
    /// The weights of the super-network.
    Weights = 1,
    /// The architecture parameters.
    ArchParams = 2,
    /// The discretized network.
    Network = 3,
}

/// How a training loader orders and changes its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingOrder {
    /// The run's seed.
    pub seed: u64,
    /// Whom the batches are for.
    pub stream: Stream,
    /// What is done to each picture.
    pub augmentation: Augmentation,
}

/// Normalised pictures with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The values: samples × channels × height × width.
    pub images: Vec<f32>,
    /// The class of each sample.
    pub labels: Vec<u32>,
    /// Samples, channels, height, width.
    pub shape: [usize; 4],
    /// The place of each sample in its [`Split`].
    pub indices: Vec<usize>,
}

#[derive(Debug)]
enum Order {
    Sequential,
    Training(TrainingOrder),
}

/// The order of one pass over the images; the last one drawn is kept.
#[derive(Debug)]
struct Shuffled {
    epoch: u64,
    pass: u64,
    indices: Arc<[usize]>,
}

/// Makes batches of some of the pictures of a [`Split`].
#[derive(Debug)]
pub struct Loader {
    split: Arc<Split>,
    indices: Arc<[usize]>,
    /// Samples of a batch that are this process's.
    batch_size: usize,
    /// Which part of the batches they are.
    shard: Shard,
    shape: ImageShape,
    /// What each byte becomes, per channel.
    normalised: Vec<[f32; 256]>,
    order: Order,
    shuffled: Mutex<Option<Shuffled>>,
}

impl Loader {
    /// Shuffled, augmented batches of the training images at `indices`, all of `batch_size`: what
    /// is left of an epoch is dropped.
    ///
    /// # Errors
    /// [`DataError::Setting`] if `batch_size` is 0 or more than there are images, or an
    /// augmentation is out of range.
    ///
    /// # Panics
    /// If an index is not below the number of training images.
    pub fn training(
        dataset: &Dataset,
        indices: Vec<usize>,
        batch_size: usize,
        order: TrainingOrder,
    ) -> Result<Self, DataError> {
        order.augmentation.validate(dataset.shape)?;
        if !(1..=indices.len()).contains(&batch_size) {
            let expected = format!("1 to {}, the number of images to train on", indices.len());
            return Err(DataError::setting("batch_size", batch_size, expected));
        }
        Ok(Self::new(
            dataset,
            Part::Train,
            indices,
            batch_size,
            Order::Training(order),
        ))
    }

    /// The images at `indices` of one part as they are, in that order; the last batch may be
    /// smaller.
    ///
    /// # Errors
    /// [`DataError::Setting`] if `batch_size` is 0.
    ///
    /// # Panics
    /// If an index is not below the number of images of the part.
    pub fn evaluation(
        dataset: &Dataset,
        part: Part,
        indices: Vec<usize>,
        batch_size: usize,
    ) -> Result<Self, DataError> {
        if batch_size == 0 {
            return Err(DataError::setting("batch_size", 0, "at least 1"));
        }
        Ok(Self::new(dataset, part, indices, batch_size, Order::Sequential))
    }

    fn new(dataset: &Dataset, part: Part, indices: Vec<usize>, batch_size: usize, order: Order) -> Self {
        let split = Arc::clone(dataset.part(part));
        assert!(
            indices.iter().all(|&index| index < split.len()),
            "indices of {} images",
            split.len()
        );
        Self {
            split,
            indices: indices.into(),
            batch_size,
            shard: Shard::WHOLE,
            shape: dataset.shape,
            normalised: dataset.normalisation.table(),
            order,
            shuffled: Mutex::new(None),
        }
    }

    /// The part `shard` of the same: for training, batches of `batch_size` samples out of batches
    /// of `size · batch_size` in the order of one process; for evaluation, every `size`-th batch.
    ///
    /// # Errors
    /// [`DataError::Setting`] if there are fewer images to train on than all processes take in a
    /// step.
    pub fn sharded(self, shard: Shard) -> Result<Self, DataError> {
        let training = matches!(self.order, Order::Training(_));
        if training && self.batch_size * shard.size > self.indices.len() {
            let most = self.indices.len() / shard.size;
            let expected = format!(
                "at most {most}: {} processes share {} images to train on",
                shard.size,
                self.indices.len()
            );
            return Err(DataError::setting("batch_size", self.batch_size, expected));
        }
        Ok(Self { shard, ..self })
    }

    /// Number of images in a pass.
    pub fn samples(&self) -> usize {
        self.indices.len()
    }

    /// Batches in a pass over the images.
    pub fn steps_per_epoch(&self) -> u64 {
        let Shard { rank, size } = self.shard;
        let steps = match self.order {
            Order::Sequential => {
                let batches = self.indices.len().div_ceil(self.batch_size);
                (batches + size - 1 - rank) / size
            }
            Order::Training(_) => self.indices.len() / (self.batch_size * size),
        };
        steps as u64
    }

    /// The batch of a step. A training loader whose epoch is longer than a pass goes on with
    /// further passes, each in an order of its own, for instance when there are fewer images for
    /// the architecture than for the weights.
    ///
    /// # Errors
    /// If a file cannot be read or decoded.
    ///
    /// # Panics
    /// If an evaluation loader is asked for a step past its last.
    pub fn batch(&self, epoch: u64, step: u64) -> Result<Batch, DataError> {
        let steps = self.steps_per_epoch();
        let Shard { rank, size } = self.shard;
        let (pass, order) = match &self.order {
            Order::Sequential => {
                assert!(step < steps, "step {step} of {steps}");
                (0, Arc::clone(&self.indices))
            }
            Order::Training(order) => {
                let pass = step / steps;
                (pass, self.shuffle(order, epoch, pass))
            }
        };
        // Of each step's batches, one a process, that of this one.
        let start = ((step % steps) as usize * size + rank) * self.batch_size;
        let end = (start + self.batch_size).min(order.len());
        let indices = order[start..end].to_vec();

        let sample_len = self.shape.values();
        let mut images = vec![0.0; indices.len() * sample_len];
        images
            .par_chunks_exact_mut(sample_len)
            .zip(&indices)
            .try_for_each(|(out, &index)| self.load(out, index, epoch, pass))?;
        Ok(Batch {
            images,
            labels: indices.iter().map(|&index| self.split.labels()[index]).collect(),
            shape: [indices.len(), self.shape.channels, self.shape.height, self.shape.width],
            indices,
        })
    }

    /// Writes one normalised sample to `out`.
    fn load(&self, out: &mut [f32], index: usize, epoch: u64, pass: u64) -> Result<(), DataError> {
        match &self.order {
            Order::Sequential => self.normalise(self.split.image(index)?.pixels(), out),
            Order::Training(order) => {
                let augmentation = &order.augmentation;
                let image = match augmentation.random_resized_crop {
                    Some(_) => self.split.image_to_crop(index)?,
                    None => self.split.image(index)?,
                };
                let counter = counter(order.stream, pass, index);
                let mut rng = generator(order.seed, Purpose::Augment, epoch, counter);
                let image = augmentation.apply(image, self.shape, &mut rng);
                self.normalise(image.pixels(), out);
                augmentation.apply_normalised(out, self.shape, &mut rng);
            }
        }
        Ok(())
    }

    fn normalise(&self, pixels: &[u8], out: &mut [f32]) {
        let plane = self.shape.height * self.shape.width;
        for ((pixels, out), normalised) in pixels
            .chunks_exact(plane)
            .zip(out.chunks_exact_mut(plane))
            .zip(&self.normalised)
        {
            for (value, &byte) in out.iter_mut().zip(pixels) {
                *value = normalised[usize::from(byte)];
            }
        }
    }

    /// The order of a pass: the one kept, or drawn anew.
    fn shuffle(&self, order: &TrainingOrder, epoch: u64, pass: u64) -> Arc<[usize]> {
        // What is kept is whole at every moment, so a thread that panicked while holding the lock
        // left nothing broken.
        let mut kept = self.shuffled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shuffled) = &*kept
            && (shuffled.epoch, shuffled.pass) == (epoch, pass)
        {
            return Arc::clone(&shuffled.indices);
        }
        let mut indices = self.indices.to_vec();
        let counter = counter(order.stream, pass, 0);
        indices.shuffle(&mut generator(order.seed, Purpose::Shuffle, epoch, counter));
        let indices: Arc<[usize]> = indices.into();
        *kept = Some(Shuffled {
            epoch,
            pass,
            indices: Arc::clone(&indices),
        });
        indices
    }
}

/// Stream, pass and sample in one number: 8, 24 and 32 bits.
fn counter(stream: Stream, pass: u64, sample: usize) -> u64 {
    (stream as u64) << 56 | (pass & 0x00ff_ffff) << 32 | (sample as u64 & 0xffff_ffff)
}

#[cfg(test)]
#[path = "tests/loader.rs"]
mod tests;
