//! The settings by which the final network trains.

use da2s_settings::{Allowed, BELOW_1, COUNT, COUNT_OR_0, NOT_NEGATIVE, POSITIVE, Problem, settings, whole, words};

use super::mixing::Mixing;
use crate::data::Augmentation;
use crate::network::DropPathRamp;

/// Pairs of numbers of epochs.
const PAIRS: Allowed = Allowed::List {
    item: &Allowed::List {
        item: &COUNT,
        least: 2,
        distinct: false,
    },
    least: 1,
    distinct: false,
};

settings! {
    /// How the final network trains.
    pub struct TrainSettings {
        /// Seed of the training: random initial weights, order of images, augmentation, drop-path.
        /// Unset is `run.seed`, which also determines how the images are divided.
        seed: Option<u64> = None, in whole(0..=i64::MAX);
        /// The weights with which the training starts.
        initial_weights: InitialWeights = InitialWeights::Random;
        /// Weight of the auxiliary head's loss.
        auxiliary_weight: f64 = 0.4, in NOT_NEGATIVE.in_f32();
        /// Maximum probability p of drop-path.
        drop_path: f64 = 0.0, in BELOW_1;
        /// Whether the probability of drop-path rises over the epochs or over the depth.
        drop_path_ramp: DropPathRamp = DropPathRamp::Epochs;
        /// Label smoothing.
        label_smoothing: f64 = 0.0, in BELOW_1;
        /// Epochs of the training of the final network.
        epochs: usize = 25, in COUNT, named "train_epochs";
        /// Earlier values of `network.epochs`: each pair [n, e] means that until the end of epoch n
        /// the learning rate and drop-path followed a training of e epochs.
        ///
        /// A run for a given time writes them when it changes the length of its training while it
        /// trains. From epoch n on, what is left of the schedules is spread over the epochs that
        /// are left.
        earlier_epochs: Option<Vec<Vec<usize>>> = None, in PAIRS;
        /// Images per step and process.
        batch_size: usize = 64, in COUNT;
        /// Learning rate at the start, or after the warm-up if there is one.
        learning_rate: f64 = 0.025, in POSITIVE.in_f32();
        /// How the learning rate falls.
        decay: Decay = Decay::Cosine;
        /// Epochs over which the learning rate rises to `network.learning_rate`. Must be less than
        /// `network.epochs`.
        warmup_epochs: usize = 0, in COUNT_OR_0;
        /// Momentum.
        momentum: f64 = 0.9, in BELOW_1.in_f32();
        /// Weight decay.
        weight_decay: f64 = 3e-4, in NOT_NEGATIVE.in_f32();
        /// Whether weight decay also applies to biases and to the scales and shifts of batch norms.
        decay_norms: bool = true;
        /// Decay of a moving average of the weights over the steps, which is evaluated and stored
        /// instead of the last weights; 0 stores the last weights. After step n the decay is at
        /// most 1 − n^(−2/3).
        weight_average: f64 = 0.0, in BELOW_1.in_f32();
        /// Maximum norm of the gradient; a larger one is scaled down to it.
        gradient_clip: f64 = 5.0, in POSITIVE;
        /// What is done to training images.
        augmentation: Augmentation = Augmentation::default();
        /// How images are mixed with others.
        mixing: Mixing = Mixing::default();
    }
}

impl TrainSettings {
    /// The seed of a training in a run of `run_seed`.
    pub fn seed(&self, run_seed: u64) -> u64 {
        self.seed.unwrap_or(run_seed)
    }

    /// Checks that the settings fit each other.
    ///
    /// # Errors
    /// For the first that does not.
    pub fn check(&self) -> Result<(), Problem> {
        if self.warmup_epochs >= self.epochs {
            let expected = format!("less than network.epochs = {}", self.epochs);
            return Err(Problem::refused("network.warmup_epochs", self.warmup_epochs, expected));
        }
        self.check_earlier_epochs()?;
        self.mixing.check()
    }

    fn check_earlier_epochs(&self) -> Result<(), Problem> {
        let mut last = 0;
        for pair in self.earlier_epochs.iter().flatten() {
            let fits = |until, epochs| until > last && until >= self.warmup_epochs && until < self.epochs.min(epochs);
            match pair[..] {
                [until, epochs] if fits(until, epochs) => last = until,
                _ => {
                    let expected = format!(
                        "pairs [n, e] in which n increases, is not within the warm-up of {} epochs, and is less than \
                         both e and network.epochs = {}",
                        self.warmup_epochs, self.epochs
                    );
                    let given = format!("{pair:?}");
                    return Err(Problem::refused("network.earlier_epochs", given, expected));
                }
            }
        }
        Ok(())
    }

    /// How much of a schedule that begins after epoch `start` is over after epoch `done`, from 0 to
    /// 1. `start` is at most the first epoch at which the length changed.
    pub fn share_done(&self, start: usize, done: usize) -> f64 {
        let earlier = self.earlier_epochs.iter().flatten().map(|pair| (pair[0], pair[1]));
        let (mut at, mut share) = (start, 0.0);
        for (until, epochs) in earlier.chain([(self.epochs, self.epochs)]) {
            let to = done.min(until);
            share += (1.0 - share) * ((to - at) as f64 / (epochs - at) as f64);
            if done <= until {
                break;
            }
            at = until;
        }
        share
    }

    /// Changes the number of epochs after epoch `done`. What is left of the schedules is spread
    /// over the new number.
    pub(crate) fn change_epochs(&mut self, done: usize, epochs: usize) {
        let before = std::mem::replace(&mut self.epochs, epochs);
        self.earlier_epochs.get_or_insert_default().push(vec![done, before]);
    }

    /// Whether no schedule depends on the number of epochs, so that a training can be made longer
    /// without changing its first epochs.
    pub fn has_steps_of_any_length(&self) -> bool {
        let drop_path = self.drop_path == 0.0 || self.drop_path_ramp == DropPathRamp::Depth;
        self.decay == Decay::Exponential && drop_path
    }

    /// How many additional vectors, each as long as the weights, these settings need: the average
    /// and its two copies in a checkpoint, and a mask of the weights that decay.
    pub(crate) fn extra_vectors(&self) -> u64 {
        3 * u64::from(self.weight_average > 0.0) + u64::from(!self.decay_norms)
    }
}

words! {
    /// The weights with which a training starts.
    #[strum(serialize_all = "kebab-case")]
    pub enum InitialWeights {
        /// Random weights, as in the papers.
        Random,
        /// Those that the super-network has when the search ends; only in the space `mobile`, with
        /// one operation per layer and as many channels as in the search. There the discretized
        /// super-network is the final network.
        SuperNetwork,
    }
}

words! {
    /// How a learning rate falls over the epochs.
    #[strum(serialize_all = "lowercase")]
    pub enum Decay {
        /// Half a cosine down to 0.
        Cosine,
        /// Linearly to 0.
        Linear,
        /// By the factor 0.97 per epoch.
        Exponential,
    }
}
