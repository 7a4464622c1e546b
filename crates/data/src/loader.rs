//! Batches. Each is a pure function of (seed, epoch, step): a resumed run gets the same batches as
//! a run that was never stopped, and idle threads can prepare the next one ahead.
//!
//! In training, an epoch's order is a Fisher-Yates shuffle with a generator keyed by (seed, epoch,
//! stream), and a sample's augmentation uses one keyed by (seed, epoch, stream, sample), so that
//! neither depends on threads or on earlier batches. Loaders with different streams are independent
//! even over the same images.

use super::ahead::Ahead;
use super::augment::Augmentation;
use super::dataset::{Dataset, ImageShape, Part, Split};
use super::error::DataError;
use crate::Shard;
use crate::random::{Purpose, generator};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// The purpose of a training loader's batches. The codes are part of the meaning of a seed and
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
    /// The purpose of the batches.
    pub stream: Stream,
    /// The augmentation of each image.
    pub augmentation: Augmentation,
}

/// Normalised images with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The values: samples × height × width × channels, as the cells of a network read them.
    pub images: Vec<f32>,
    /// The class of each sample.
    pub labels: Vec<u32>,
    /// Samples, channels, height, width.
    pub shape: [usize; 4],
    /// The index of each sample in its [`Split`].
    pub indices: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Order {
    Sequential,
    Training(TrainingOrder),
}

/// The order of one pass over the images; the last one is cached.
#[derive(Debug)]
struct Shuffled {
    epoch: u64,
    pass: u64,
    indices: Arc<[usize]>,
}

/// Creates batches of some of the images of a [`Split`]. After each, the next one of the same pass
/// is prepared ahead.
#[derive(Debug)]
pub struct Loader {
    batches: Arc<Batches>,
    /// The next batch of the same epoch, with its epoch and step.
    ahead: Ahead<(u64, u64), Result<Batch, DataError>>,
    /// Steps from one requested batch to the next.
    stride: u64,
}

/// The batches of a loader.
#[derive(Clone, Debug)]
struct Batches {
    split: Arc<Split>,
    indices: Arc<[usize]>,
    /// Number of samples per batch in this process.
    batch_size: usize,
    /// This process's part of the batches.
    shard: Shard,
    shape: ImageShape,
    /// The normalised value of each byte, per channel.
    normalised: Vec<[f32; 256]>,
    order: Order,
    shuffled: Arc<Mutex<Option<Shuffled>>>,
}

impl Batch {
    /// The values of each sample as channels × height × width.
    pub fn planar(&self) -> impl Iterator<Item = Vec<f32>> {
        let [_, channels, height, width] = self.shape;
        self.images.chunks_exact(channels * height * width).map(move |image| {
            let plane = |channel: usize| image[channel..].iter().step_by(channels);
            (0..channels).flat_map(plane).copied().collect()
        })
    }
}

impl Loader {
    /// Shuffled, augmented batches of the training images at `indices`, all of size `batch_size`:
    /// the rest of an epoch is dropped.
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

    /// The unchanged images at `indices` of one part, in that order; the last batch may be smaller.
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
        Self::of(Batches {
            split,
            indices: indices.into(),
            batch_size,
            shard: Shard::WHOLE,
            shape: dataset.shape,
            normalised: dataset.normalisation.table(),
            order,
            shuffled: Arc::default(),
        })
    }

    fn of(batches: Batches) -> Self {
        Self {
            batches: Arc::new(batches),
            ahead: Ahead::default(),
            stride: 1,
        }
    }

    /// The part `shard` of these batches: in training, `batch_size` samples of each batch of `size
    /// · batch_size` in the order of a single process; in evaluation, every `size`-th batch.
    ///
    /// # Errors
    /// [`DataError::Setting`] if there are fewer training images than all processes together use in
    /// a step.
    pub fn sharded(self, shard: Shard) -> Result<Self, DataError> {
        let Batches {
            indices,
            batch_size,
            order,
            ..
        } = &*self.batches;
        let training = matches!(order, Order::Training(_));
        if training && batch_size * shard.size > indices.len() {
            let most = indices.len() / shard.size;
            let expected = format!(
                "at most {most}: {} processes share {} images to train on",
                shard.size,
                indices.len()
            );
            return Err(DataError::setting("batch_size", *batch_size, expected));
        }
        let batches = Arc::unwrap_or_clone(self.batches);
        Ok(Self::of(Batches { shard, ..batches }))
    }

    /// The same batches, of which only every `stride`-th will be requested: others are not prepared
    /// ahead.
    #[must_use]
    pub fn every(self, stride: usize) -> Self {
        let stride = stride.max(1) as u64;
        Self { stride, ..self }
    }

    /// Number of images per pass.
    pub fn samples(&self) -> usize {
        self.batches.indices.len()
    }

    /// Number of batches per pass.
    pub fn steps_per_epoch(&self) -> u64 {
        self.batches.steps_per_epoch()
    }

    /// The batch of a step. If a training epoch is longer than a pass, it continues with further
    /// passes, each in its own order, for instance if there are fewer images for the architecture
    /// than for the weights.
    ///
    /// # Errors
    /// If a file cannot be read or decoded.
    ///
    /// # Panics
    /// If `step` is beyond the last step of an evaluation loader.
    pub fn batch(&self, epoch: u64, step: u64) -> Result<Batch, DataError> {
        let steps = self.steps_per_epoch().max(1);
        let next = step + self.stride;
        let next = (next / steps == step / steps).then_some((epoch, next));
        let batches = Arc::clone(&self.batches);
        self.ahead
            .get((epoch, step), next, move |&(epoch, step)| batches.batch(epoch, step))
    }
}

impl Batches {
    fn steps_per_epoch(&self) -> u64 {
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

    fn batch(&self, epoch: u64, step: u64) -> Result<Batch, DataError> {
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
        // This process's batch, of the step's batches for all processes.
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

    /// Writes the normalised values of planar `pixels`, pixel by pixel.
    fn normalise(&self, pixels: &[u8], out: &mut [f32]) {
        let ImageShape {
            channels,
            height,
            width,
        } = self.shape;
        let planes = pixels.chunks_exact(height * width).zip(&self.normalised);
        for (channel, (plane, normalised)) in planes.enumerate() {
            for (value, &byte) in out[channel..].iter_mut().step_by(channels).zip(plane) {
                *value = normalised[usize::from(byte)];
            }
        }
    }

    /// The order of a pass: cached, or drawn again.
    fn shuffle(&self, order: &TrainingOrder, epoch: u64, pass: u64) -> Arc<[usize]> {
        // The cached value is always complete, so it is valid even if a thread panicked while
        // holding the lock.
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

/// Stream, pass and sample as one number: 8, 24 and 32 bits.
fn counter(stream: Stream, pass: u64, sample: usize) -> u64 {
    (stream as u64) << 56 | (pass & 0x00ff_ffff) << 32 | (sample as u64 & 0xffff_ffff)
}

#[cfg(test)]
#[path = "tests/loader.rs"]
mod tests;
