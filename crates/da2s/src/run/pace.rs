//! Keeps the training of a run within the time that the run was given.
//!
//! Contract: if the epochs so far show that the run would end early or late, the training stops
//! after an epoch, gets another number of epochs in `config.toml`, and continues from its
//! checkpoint. Its schedules do not jump, so a run of the final `config.toml` repeats the training.
//! Only for a training whose number of epochs a plan may choose, in the process that planned it.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Context, Error, Job, TrainSummary, train};
use crate::observer::{Event, Observer};
use crate::planner::{Goal, MOST_EPOCHS, StageTime, Whose, median};
use crate::resumable::StageError;
use crate::stage::Stage;

/// If a run would end later than meant by more than the first share of the given time, or earlier
/// by more than the second, its training gets another number of epochs.
const TOLERANCE: [f64; 2] = [0.03, 0.05];
/// The time of an epoch is the median over at least this many of the last epochs, which together
/// took at least this share of the given time; or over fewer, if they took the second share.
const WINDOW: (usize, [f64; 2]) = (3, [0.06, 0.15]);

/// What is planned from the training on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ahead {
    /// An epoch of the run's own training.
    epoch_s: f64,
    /// One epoch of each further network, in total.
    beside_epoch_s: f64,
    /// Everything else.
    rest_s: f64,
}

impl Ahead {
    /// Computed from the planned `times` of the stages; `epochs` is the number of epochs of each
    /// training.
    pub fn of(times: &[StageTime], epochs: usize) -> Self {
        let is_own = |time: &&StageTime| time.stage == Some(Stage::Train) && time.whose == Whose::Run;
        let own_s: f64 = times.iter().filter(is_own).map(|time| time.time_s).sum();
        let after = times
            .iter()
            .skip_while(|time| !is_own(time))
            .filter(|time| !is_own(time));
        let (beside, rest): (Vec<_>, Vec<_>) = after.partition(|time| time.stage == Some(Stage::Train));
        let sum = |times: Vec<&StageTime>| times.iter().map(|time| time.time_s).sum::<f64>();
        Self {
            epoch_s: own_s / epochs as f64,
            beside_epoch_s: sum(beside) / epochs as f64,
            rest_s: sum(rest),
        }
    }

    /// The number of epochs with which the run ends in `left_s`; `None` if the number need not
    /// change. The training has completed `done` of `epochs` epochs, and each further one takes
    /// `epoch_s`. The other stages are assumed to be slower, or faster, by the same factor. At
    /// least half of the remaining epochs stay, because a load on the machine may be over soon, and
    /// nothing extends a training that has ended.
    fn fitting(&self, [done, epochs, most]: [usize; 3], epoch_s: f64, left_s: f64, goal_s: f64) -> Option<usize> {
        let factor = epoch_s / self.epoch_s;
        let (beside_epoch_s, rest_s) = (factor * self.beside_epoch_s, factor * self.rest_s);
        let needed_s = (epochs - done) as f64 * epoch_s + epochs as f64 * beside_epoch_s + rest_s;
        let late_s = needed_s - left_s;
        let [late, early] = TOLERANCE;
        if self.epoch_s <= 0.0 || late_s.is_nan() || (-early * goal_s..=late * goal_s).contains(&late_s) {
            return None;
        }
        let fitting = (left_s - rest_s + done as f64 * epoch_s) / (epoch_s + beside_epoch_s);
        let least = done + (epochs - done).div_ceil(2);
        let chosen = (fitting.max(0.0) as usize).clamp(least, most.max(least));
        (chosen != epochs).then_some(chosen)
    }
}

/// A change of the number of epochs.
#[derive(Clone, Copy, Debug)]
struct Change {
    done: usize,
    before: usize,
    epochs: usize,
    epoch_s: f64,
}

/// Passes events on, measures epochs, and stops the training when their number is to change.
struct Pacing<'a> {
    observer: &'a mut dyn Observer,
    ahead: Ahead,
    goal: Goal,
    /// When the run began.
    run_began: Instant,
    /// The most epochs of the training.
    most: usize,
    /// The number of epochs in which the learning rate rises.
    warmup: usize,
    epochs: usize,
    /// When the current epoch began.
    epoch_began: Instant,
    recent_s: VecDeque<f64>,
    change: Option<Change>,
    /// Whether the next start of the training follows a change of its number of epochs.
    follows_change: bool,
}

impl Pacing<'_> {
    /// After epoch `done`: whether the number of epochs is to change.
    fn judge(&mut self, done: usize) {
        self.recent_s.push_back(self.epoch_began.elapsed().as_secs_f64());
        self.epoch_began = Instant::now();
        let (fewest, shares) = WINDOW;
        let [window_s, long_s] = shares.map(|share| share * self.goal.time_s);
        let mut sum_s: f64 = self.recent_s.iter().sum();
        while self.recent_s.len() > fewest
            && let Some(oldest_s) = self.recent_s.pop_front_if(|&mut oldest_s| sum_s - oldest_s >= window_s)
        {
            sum_s -= oldest_s;
        }
        let is_known = self.recent_s.len() >= fewest && sum_s >= window_s || sum_s >= long_s;
        if !is_known || done < self.warmup || done >= self.epochs {
            return;
        }
        let epoch_s = median(self.recent_s.iter().copied().collect());
        let (numbers, left_s) = ([done, self.epochs, self.most], self.goal.left_s(self.run_began));
        let fitting = self.ahead.fitting(numbers, epoch_s, left_s, self.goal.time_s);
        self.change = fitting.map(|epochs| Change {
            done,
            before: self.epochs,
            epochs,
            epoch_s,
        });
    }
}

impl Observer for Pacing<'_> {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Started { .. } = event {
            self.epoch_began = Instant::now();
            if std::mem::take(&mut self.follows_change) {
                return;
            }
        }
        let done = match &event {
            Event::TrainEpoch(metrics) => Some(metrics.epoch),
            _ => None,
        };
        self.observer.on(event);
        if let Some(done) = done {
            self.judge(done);
        }
    }

    fn stop(&self) -> bool {
        self.change.is_some() || self.observer.stop()
    }

    fn checkpoint(&self) -> bool {
        self.observer.checkpoint()
    }
}

impl Job {
    /// Trains the final network such that the run ends in the time of `goal`, which began at
    /// `began`; `most` is the number of epochs before a plan chose any.
    ///
    /// # Errors
    /// Those of [`train`]; or if `config.toml` cannot be read or written.
    pub(super) fn train_in_time(
        &mut self,
        (goal, began, most): (Goal, Instant, usize),
        ahead: Ahead,
        observer: &mut dyn Observer,
    ) -> Result<TrainSummary, Error> {
        let training = &self.config.network.training;
        let mut pacing = Pacing {
            observer,
            ahead,
            goal,
            run_began: began,
            most: if goal.at_most { most } else { MOST_EPOCHS },
            warmup: training.warmup_epochs,
            epochs: training.epochs,
            epoch_began: Instant::now(),
            recent_s: VecDeque::new(),
            change: None,
            follows_change: false,
        };
        let mut resume = self.is_resumed();
        loop {
            let context = Context {
                resume,
                ..self.context()
            };
            let trained = train(&context, &mut pacing);
            let Some(change) = pacing.change.take() else {
                return trained;
            };
            match trained {
                Err(Error::Stage(StageError::Stopped { .. })) if !pacing.observer.stop() => {}
                other => return other,
            }
            self.change_epochs(change, ahead)?;
            let Change {
                done, before, epochs, ..
            } = change;
            pacing.observer.on(Event::NewLength { done, epochs, before });
            (pacing.epochs, pacing.follows_change, resume) = (epochs, true, true);
            pacing.recent_s.clear();
        }
    }

    /// Writes another number of epochs into the run's configuration.
    fn change_epochs(&mut self, change: Change, ahead: Ahead) -> Result<(), Error> {
        let Change {
            done,
            before,
            epochs,
            epoch_s,
        } = change;
        let mut stored = self.directory().config()?;
        for training in [&mut stored.network.training, &mut self.config.network.training] {
            training.change_epochs(done, epochs);
        }
        let remark = format!(
            "After epoch {done} of the training, an epoch took {epoch_s:.3} s, and {:.3} s were planned: network.epochs \
             = {epochs} instead of {before}.",
            ahead.epoch_s
        );
        self.directory().write_config_with(&[remark], &stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Request};
    use crate::planner::{Freedom, Regularisation};
    use crate::run::plan::Planning;
    use crate::space::Genotype;
    use da2s_records::files::BEST;

    const AHEAD: Ahead = Ahead {
        epoch_s: 1.0,
        beside_epoch_s: 0.0,
        rest_s: 5.0,
    };

    #[test]
    fn the_stages_after_a_training_are_those_of_the_plan() {
        let time = |stage, whose, time_s| StageTime { stage, whose, time_s };
        let times = [
            time(Some(Stage::Discretize), Whose::Run, 7.0),
            time(Some(Stage::Train), Whose::Run, 20.0),
            time(Some(Stage::Evaluate), Whose::Run, 2.0),
            time(Some(Stage::Discretize), Whose::Baseline, 1.0),
            time(Some(Stage::Train), Whose::Baseline, 30.0),
            time(None, Whose::Run, 1.0),
        ];
        let ahead = Ahead {
            epoch_s: 2.0,
            beside_epoch_s: 3.0,
            rest_s: 4.0,
        };
        assert_eq!(Ahead::of(&times, 10), ahead);
    }

    #[test]
    fn a_number_of_epochs_fits_into_the_remaining_time() {
        let fitting = |epoch_s, left_s| AHEAD.fitting([10, 50, 60], epoch_s, left_s, 60.0);
        assert_eq!(fitting(1.0, 45.0), None);
        assert_eq!(fitting(1.0, 43.5), None, "slightly late");
        assert_eq!(fitting(1.0, 47.5), None, "slightly early");
        assert_eq!(fitting(1.0, 50.0), Some(55));
        assert_eq!(fitting(1.0, 40.0), Some(45));
        // The later stages are slower by the same factor: they take 10 s, and an epoch 2 s.
        assert_eq!(fitting(2.0, 65.0), Some(37));
        assert_eq!(fitting(0.5, 45.0), Some(60), "at most");
        assert_eq!(fitting(1.0, -3.0), Some(30), "at least half of the rest");
        assert_eq!(AHEAD.fitting([49, 50, 60], 1.0, -3.0, 60.0), None, "at least one more");
        assert_eq!(fitting(f64::NAN, 45.0), None);
        // All epochs of further networks count, since their trainings have not begun.
        let beside = Ahead {
            beside_epoch_s: 3.0,
            ..AHEAD
        };
        assert_eq!(beside.fitting([10, 50, 60], 1.0, 115.0, 60.0), Some(30));
    }

    /// Keeps the changes of the length.
    #[derive(Default)]
    struct Lengths(Vec<[usize; 3]>);

    impl Observer for Lengths {
        fn on(&mut self, event: Event<'_>) {
            if let Event::NewLength { done, epochs, before } = event {
                self.0.push([done, epochs, before]);
            }
        }
    }

    /// A training that ends late is shortened, one that ends early is extended, and a run with the
    /// settings that result from it has the same weights.
    #[test]
    fn a_training_that_changes_its_length_can_be_repeated() {
        let temporary = tempfile::tempdir().unwrap();
        let job = |name: &str, layers: Vec<Layer>| {
            let request = Request {
                layers,
                ..Request::default()
            };
            let job = Job::create(&request, Some(&temporary.path().join(name)), false, "test".to_owned()).unwrap();
            let genotype = Genotype::parse(
                "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1)], normal_concat=[2], reduce=[('max_pool_3x3', \
                 0), ('skip_connect', 1)], reduce_concat=[2])",
            );
            job.discretize(Some(&genotype.unwrap()), &mut Lengths::default())
                .unwrap();
            job
        };
        let settings = [
            "data.limit=64",
            "data.test_limit=16",
            "space.nodes=1",
            "network.channels=4",
            "network.cells=3",
            "network.batch_size=16",
            "network.epochs=6",
            "network.warmup_epochs=1",
            "network.drop_path=0.2",
        ];
        let small = || {
            settings
                .iter()
                .map(|text| Layer::assignment("--set", text).unwrap())
                .collect()
        };
        for (name, is_requested, rest_s, at_most, expected) in [
            ("late", false, 5.0, false, &[[1, 4, 6], [2, 3, 4]][..]),
            ("early", false, -1e6, true, &[[1, 8, 6]]),
            ("requested", true, 5.0, false, &[]),
        ] {
            let mut paced = job(name, small());
            let free = Freedom::of(&Request::default(), paced.config());
            let goal = Goal {
                time_s: 1e-3,
                at_most,
                freedom: if is_requested { Freedom::default() } else { free },
            };
            paced.planning = Some(Planning {
                goal,
                epochs: 8,
                regularisation: Regularisation::of(&paced.config.network.training),
                begun: Some((Instant::now(), Ahead { rest_s, ..AHEAD })),
            });
            let mut lengths = Lengths::default();
            paced.train(&mut lengths).unwrap();
            assert_eq!(lengths.0, expected, "{name}");
            let epochs = expected.last().map_or(6, |&[_, epochs, _]| epochs);
            let earlier: Vec<_> = expected.iter().map(|&[done, _, before]| vec![done, before]).collect();
            let earlier = Some(earlier).filter(|earlier| !earlier.is_empty());
            let config = paced.directory().config().unwrap();
            assert_eq!(config.network.training.epochs, epochs);
            assert_eq!(config.network.training.earlier_epochs, earlier);
            assert_eq!(&config, paced.config());
            let stored = vec![Layer::of(&config).unwrap()];
            let mut again = job(&format!("{name} again"), stored);
            again.train(&mut Lengths::default()).unwrap();
            let bits = |job: &Job| std::fs::read(job.directory().file(BEST)).unwrap();
            assert_eq!(bits(&paced), bits(&again), "{name}");
        }
    }
}
