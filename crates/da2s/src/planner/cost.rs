//! The model of a run's time: computes the times of the stages from the times of a step and of an
//! image, and from the numbers of images.
//!
//! Contract: seconds; pure functions. Every step takes the same time, except that steps of the
//! warm-up may leave α and β unchanged, which is faster. Not considered: choices that
//! `search.drop_below` removes, which make a search faster, and epochs that an undecided search may
//! add.

use crate::stage::Stage;

/// Time at the end of each epoch for the checkpoint and the files with one line per epoch.
/// Measurements on a disk gave a tenth of a second at most.
pub(super) const EPOCH_S: f64 = 0.05;

/// The minimum and the maximum number of runs with which the latency of a network is measured,
/// including the warm-up; and the maximum time for them, unless the minimum number takes longer.
const LATENCY_RUNS: [f64; 2] = [6.0, 300.0];
const LATENCY_S: f64 = 1.0;

/// Numbers of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageCounts {
    /// Those that train the weights of the super-network.
    pub weights: usize,
    /// Those that train the architecture.
    pub arch: usize,
    /// Those that train the final network.
    pub train: usize,
    /// Those that choose its epoch.
    pub validation: usize,
    /// Those that test it.
    pub test: usize,
}

/// The network that a stage is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The run's own.
    Run,
    /// The same, trained from another seed.
    Seed,
    /// A baseline.
    Baseline,
}

/// The time of a stage of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageTime {
    /// The stage; `None` is the report.
    pub stage: Option<Stage>,
    /// Whose stage it is.
    pub whose: Whose,
    /// Its time, in seconds.
    pub time_s: f64,
}

/// Measured times of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SearchRates {
    /// A step during the warm-up.
    pub warmup_step_s: f64,
    /// A step after it.
    pub step_s: f64,
    /// The evaluation of an image by the super-network: mixed, with operations, edges and both
    /// discretized.
    pub image_s: [f64; 4],
}

/// Measured times of the training of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TrainRates {
    /// A step.
    pub step_s: f64,
    /// The evaluation of an image.
    pub image_s: f64,
}

/// What a search has to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct SearchWork {
    /// Time to open the images.
    pub read_s: f64,
    /// Steps per epoch.
    pub steps: usize,
    /// Held-out images that are evaluated after every epoch.
    pub monitored: usize,
    /// Images on which the gap is measured, and on which statistics are recalibrated.
    pub gap: [usize; 2],
    /// Evaluations for the gaps of single edges.
    pub by_edge: EdgeWork,
    /// Evaluations of single images for the rule.
    pub by_rule: usize,
    /// Total number of epochs in which weights are tuned after decisions of the rule, and number of
    /// images that are evaluated after each of these epochs.
    pub tuned: [usize; 2],
}

/// What the gaps of single edges have to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EdgeWork {
    /// Networks that are evaluated.
    pub networks: usize,
    /// Images on which each network is evaluated.
    pub images: usize,
    /// Evaluations of single images for choices that the search has not decided.
    pub undecided: usize,
}

impl EdgeWork {
    /// Evaluations of single images.
    pub fn evaluations(&self) -> usize {
        self.networks * self.images + self.undecided
    }

    /// The same with fewer images: their number is halved until the work takes at most `most_s`,
    /// but never below `fewest`. `image_s` is the time of an evaluation of one image.
    pub fn within(self, most_s: f64, image_s: f64, fewest: usize) -> Self {
        let mut work = self;
        while work.evaluations() as f64 * image_s > most_s && work.images / 2 >= fewest {
            work.images /= 2;
        }
        work
    }
}

impl SearchWork {
    /// Time of the search; the first `still` of its `epochs` are the warm-up.
    pub fn search_s(&self, rates: &SearchRates, epochs: usize, still: usize) -> f64 {
        let still = still.min(epochs);
        let steps_s = still as f64 * rates.warmup_step_s + (epochs - still) as f64 * rates.step_s;
        let look_s = self.monitored as f64 * (rates.image_s[0] + rates.image_s[3]);
        self.read_s + self.steps as f64 * steps_s + epochs as f64 * (look_s + EPOCH_S)
    }

    /// Time of the discretization: the gap with statistics as trained and recalibrated, and the
    /// cost of single choices; and the tuning of the weights, whose steps cost as much as those of
    /// the warm-up.
    pub fn discretize_s(&self, rates: &SearchRates) -> f64 {
        let [held_out, calibration] = self.gap;
        let gap: f64 = rates.image_s.iter().sum();
        let [epochs, by_rule] = self.tuned;
        let epoch_s = self.steps as f64 * rates.warmup_step_s + by_rule as f64 * rates.image_s[0] + EPOCH_S;
        let tuned_s = epochs as f64 * epoch_s;
        let examined = self.by_edge.evaluations() + self.by_rule;
        self.read_s + (2 * held_out + calibration) as f64 * gap + examined as f64 * rates.image_s[0] + tuned_s
    }
}

/// What a training has to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrainWork {
    /// Time to open the images.
    pub read_s: f64,
    /// Steps per epoch.
    pub steps: usize,
    /// Images that are evaluated after every epoch.
    pub validation: usize,
    /// Images that are evaluated at the end.
    pub evaluated: usize,
    /// Threads of the evaluation; 0 if the latency is not measured.
    pub latency_threads: usize,
}

impl TrainWork {
    /// Time of the training.
    pub fn train_s(&self, rates: &TrainRates, epochs: usize) -> f64 {
        let epoch_s = self.steps as f64 * rates.step_s + self.validation as f64 * rates.image_s + EPOCH_S;
        self.read_s + epochs as f64 * epoch_s
    }

    /// Time of the evaluation of a network of `whose`, with the measurement of its latency. The
    /// trainings from other seeds have the latency of the run.
    pub fn evaluate_s(&self, rates: &TrainRates, whose: Whose) -> f64 {
        let [fewest, most] = LATENCY_RUNS;
        // The time of an image on one thread: `image_s` is that on all threads.
        let alone_s = self.latency_threads as f64 * rates.image_s;
        let latency_s = match whose {
            Whose::Run | Whose::Baseline => (most * alone_s).min(LATENCY_S).max(fewest * alone_s),
            Whose::Seed => 0.0,
        };
        self.read_s + self.evaluated as f64 * rates.image_s + latency_s
    }
}

/// The times of all stages in their order: search, discretization, training and evaluation of each
/// network (the run's own first), report. If there is no search, `discretizes` says whether the
/// discretization of the run's own network is still to come.
pub(super) fn times(
    search: Option<[f64; 2]>,
    discretizes: bool,
    trainings: Vec<(Whose, [f64; 3])>,
    report_s: f64,
) -> Vec<StageTime> {
    let time = |stage, whose, time_s| StageTime { stage, whose, time_s };
    let mut times = Vec::new();
    if let Some([search_s, discretize_s]) = search {
        times.push(time(Some(Stage::Search), Whose::Run, search_s));
        times.push(time(Some(Stage::Discretize), Whose::Run, discretize_s));
    }
    for (whose, [discretize_s, train_s, evaluate_s]) in trainings {
        if whose != Whose::Run || discretizes {
            times.push(time(Some(Stage::Discretize), whose, discretize_s));
        }
        times.push(time(Some(Stage::Train), whose, train_s));
        times.push(time(Some(Stage::Evaluate), whose, evaluate_s));
    }
    times.push(time(None, Whose::Run, report_s));
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_its_steps_and_its_evaluations() {
        let rates = SearchRates {
            warmup_step_s: 1.0,
            step_s: 2.0,
            image_s: [0.4, 0.3, 0.2, 0.1],
        };
        let work = SearchWork {
            read_s: 3.0,
            steps: 10,
            monitored: 4,
            gap: [20, 30],
            by_edge: EdgeWork {
                networks: 5,
                images: 10,
                undecided: 20,
            },
            by_rule: 30,
            tuned: [0, 5],
        };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} != {b}");
        near(
            work.search_s(&rates, 5, 2),
            3.0 + 20.0 + 60.0 + 5.0 * (4.0 * 0.5 + EPOCH_S),
        );
        near(work.discretize_s(&rates), 3.0 + 70.0 + 40.0);
        let tuned = SearchWork { tuned: [6, 5], ..work };
        near(
            tuned.discretize_s(&rates),
            3.0 + 70.0 + 40.0 + 6.0 * (10.0 + 2.0 + EPOCH_S),
        );
    }

    #[test]
    fn single_edges_are_measured_on_as_many_images_as_there_is_time_for() {
        let work = EdgeWork {
            networks: 10,
            images: 250,
            undecided: 100,
        };
        let images = |most_s| work.within(most_s, 0.01, 16).images;
        assert_eq!([26.0, 25.9, 8.0, 0.0].map(images), [250, 125, 62, 31]);
        assert_eq!(EdgeWork { images: 8, ..work }.within(0.0, 0.01, 16).images, 8);
        assert_eq!(EdgeWork::default().within(0.0, 0.01, 16), EdgeWork::default());
    }

    #[test]
    fn stages_come_in_their_order() {
        let names = |times: Vec<StageTime>| -> Vec<(Option<Stage>, Whose)> {
            times.into_iter().map(|time| (time.stage, time.whose)).collect()
        };
        let (search, discretize) = (Some(Stage::Search), Some(Stage::Discretize));
        let (train, evaluate) = (Some(Stage::Train), Some(Stage::Evaluate));
        let trainings = [Whose::Run, Whose::Seed, Whose::Baseline].map(|whose| (whose, [0.0; 3]));
        assert_eq!(
            names(times(Some([1.0, 2.0]), false, trainings.to_vec(), 0.0)),
            [
                (search, Whose::Run),
                (discretize, Whose::Run),
                (train, Whose::Run),
                (evaluate, Whose::Run),
                (discretize, Whose::Seed),
                (train, Whose::Seed),
                (evaluate, Whose::Seed),
                (discretize, Whose::Baseline),
                (train, Whose::Baseline),
                (evaluate, Whose::Baseline),
                (None, Whose::Run)
            ]
        );
        assert_eq!(
            names(times(None, true, trainings[..1].to_vec(), 0.0)),
            [
                (discretize, Whose::Run),
                (train, Whose::Run),
                (evaluate, Whose::Run),
                (None, Whose::Run)
            ]
        );
    }

    #[test]
    fn a_latency_takes_a_second_or_its_fewest_runs() {
        let work = |latency_threads| TrainWork {
            read_s: 0.0,
            steps: 1,
            validation: 0,
            evaluated: 0,
            latency_threads,
        };
        let rates = |image_s| TrainRates { step_s: 0.0, image_s };
        let time_s = |threads, image_s| work(threads).evaluate_s(&rates(image_s), Whose::Run);
        assert_eq!([time_s(4, 0.5), time_s(4, 0.01), time_s(0, 0.5)], [12.0, 1.0, 0.0]);
        assert!((time_s(4, 1e-4) - 0.12).abs() < 1e-9);
        assert_eq!(work(4).evaluate_s(&rates(0.5), Whose::Seed), 0.0);
    }
}
