//! Chooses sizes and numbers of epochs, so that the stages of a run together take a given time.
//!
//! The search gets a third of the time: it only has to rank the candidates, with weights that they
//! share, while the accuracy comes from the training; DARTS itself searches for 50 epochs on half
//! of the images and trains for 600 on all of them. Among the sizes of a stage, the largest one is
//! chosen that leaves time for a good number of epochs; the remaining time then goes into more
//! epochs. Contract: of the sizes that do not fit, hardly more than the next one is measured, so
//! measuring takes little of the time; a stage never gets fewer epochs than its minimum, even if
//! that takes too long. The caller refuses such a run.

use super::PlanError;
use super::epochs::Epochs;

/// Share of the time for the search and its discretization.
pub(super) const SEARCH_SHARE: f64 = 1.0 / 3.0;

/// A stage whose size and length are to be chosen.
pub(super) trait Choice {
    /// Measured times.
    type Rates: Clone;

    /// Multiply-adds of each size for one image, the largest first; at least one.
    fn work(&self) -> &[f64];

    /// The numbers of epochs.
    fn epochs(&self) -> Epochs;

    /// Time of `epochs` epochs and of everything that follows from the stage.
    fn time_s(&self, rates: &Self::Rates, epochs: usize) -> f64;

    /// The times of a size with `factor` times the work.
    fn scaled(rates: &Self::Rates, factor: f64) -> Self::Rates;

    /// Measures a size.
    ///
    /// # Errors
    /// [`PlanError::Memory`] if it does not fit into the memory; any other reason not to measure.
    fn measure(&mut self, size: usize) -> Result<Self::Rates, PlanError>;
}

/// What was chosen for a stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chosen<R> {
    /// The size, an index into [`Choice::work`].
    pub size: usize,
    /// Its measured times.
    pub rates: R,
    /// Number of epochs.
    pub epochs: usize,
    /// The time that it takes.
    pub time_s: f64,
}

/// What was chosen for a run.
#[derive(Clone, Debug)]
pub(super) struct Solved<S, T> {
    /// The search, if there is one.
    pub search: Option<Chosen<S>>,
    /// The training.
    pub network: Chosen<T>,
}

impl<S, T> Solved<S, T> {
    /// The time of all stages.
    pub fn total_s(&self) -> f64 {
        self.search.as_ref().map_or(0.0, |search| search.time_s) + self.network.time_s
    }
}

/// Chooses for a run that may take `budget_s()` seconds from now on; this includes the time of
/// measuring. If the time is not `strict`, a stage whose requested settings take longer than its
/// share does not shorten the other stage.
///
/// # Errors
/// Those of [`Choice::measure`].
pub(super) fn solve<S: Choice, T: Choice>(
    budget_s: &dyn Fn() -> f64,
    strict: bool,
    search: Option<&mut S>,
    training: &mut T,
) -> Result<Solved<S::Rates, T::Rates>, PlanError> {
    let Some(search) = search else {
        let (size, rates) = largest(training, budget_s)?;
        return Ok(Solved {
            search: None,
            network: longest(training, size, rates, budget_s()),
        });
    };
    let first = smallest(search)?;
    // If nothing about the training can be chosen, its time is fixed.
    let settled = if is_settled(training) {
        Some(largest(training, budget_s)?)
    } else {
        None
    };
    let trained_s = settled
        .as_ref()
        .map(|(_, rates)| training.time_s(rates, training.epochs().most));
    let share_s = || match trained_s {
        Some(trained_s) => left(budget_s(), trained_s, SEARCH_SHARE, strict),
        None => SEARCH_SHARE * budget_s(),
    };
    let (search_size, search_rates) = larger(search, first, &share_s)?;
    let rest_s = |search: &S, rates: &S::Rates| {
        let searched = longest(search, search_size, rates.clone(), share_s());
        rest(search, &searched, budget_s(), strict)
    };
    let (size, rates) = match settled {
        Some(settled) => settled,
        None => largest(training, &|| rest_s(search, &search_rates))?,
    };
    // Everything is measured. From here on, all is computed from this one value of the time.
    let all_s = budget_s();
    let share_s = trained_s.map_or(SEARCH_SHARE * all_s, |trained_s| {
        left(all_s, trained_s, SEARCH_SHARE, strict)
    });
    let mut searched = longest(search, search_size, search_rates.clone(), share_s);
    let network = longest(training, size, rates, rest(search, &searched, all_s, strict));
    let fits = searched.time_s + network.time_s <= all_s;
    if (strict && !fits) || is_longest(training, &network) {
        // Too little was left for the training, or more than it can use.
        searched = longest(
            search,
            search_size,
            search_rates,
            left(all_s, network.time_s, SEARCH_SHARE, strict),
        );
    }
    Ok(Solved {
        search: Some(searched),
        network,
    })
}

/// Whether nothing about `choice` is open.
fn is_settled(choice: &impl Choice) -> bool {
    let Epochs { least, most, .. } = choice.epochs();
    choice.work().len() == 1 && least == most
}

/// Whether more time would change nothing about what was chosen.
fn is_longest<C: Choice>(choice: &C, chosen: &Chosen<C::Rates>) -> bool {
    chosen.size == 0 && chosen.epochs == choice.epochs().most
}

/// What is left of `all_s` after `taken_s`; if the time is not strict, at least `share` of `all_s`.
fn left(all_s: f64, taken_s: f64, share: f64, strict: bool) -> f64 {
    let left_s = all_s - taken_s;
    if strict { left_s } else { left_s.max(share * all_s) }
}

/// The time for the training of a run that may take `all_s`: the share of the training; or, if the
/// search takes more than its share or cannot use all of it, the time that the search leaves.
fn rest<S: Choice>(search: &S, searched: &Chosen<S::Rates>, all_s: f64, strict: bool) -> f64 {
    let share_s = (1.0 - SEARCH_SHARE) * all_s;
    let left_s = left(all_s, searched.time_s, 1.0 - SEARCH_SHARE, strict);
    if left_s < share_s || is_longest(search, searched) {
        left_s
    } else {
        share_s
    }
}

/// The smallest size, and its times.
fn smallest<C: Choice>(choice: &mut C) -> Result<(usize, C::Rates), PlanError> {
    let size = choice.work().len() - 1;
    Ok((size, choice.measure(size)?))
}

/// The largest size with a good number of epochs within `budget_s()`, or the smallest one; and its
/// times.
fn largest<C: Choice>(choice: &mut C, budget_s: &dyn Fn() -> f64) -> Result<(usize, C::Rates), PlanError> {
    let first = smallest(choice)?;
    larger(choice, first, budget_s)
}

/// Like [`largest`], from a size that is measured. The times of larger sizes are estimated from
/// those of this one, in proportion to the work, and the largest size that seems to fit is measured
/// next. Large networks use a machine better, so this is an overestimate: if no size seems to fit,
/// the next larger one is measured nevertheless.
fn larger<C: Choice>(
    choice: &mut C,
    (mut at, mut rates): (usize, C::Rates),
    budget_s: &dyn Fn() -> f64,
) -> Result<(usize, C::Rates), PlanError> {
    let is_good = |choice: &C, rates: &C::Rates| choice.time_s(rates, choice.epochs().good) <= budget_s();
    let mut from = 0;
    let likely = |choice: &C, at: usize, rates: &C::Rates, size: usize| {
        let factor = choice.work()[size] / choice.work()[at];
        is_good(choice, &C::scaled(rates, factor))
    };
    loop {
        let next = (from..at).find(|&size| likely(choice, at, &rates, size));
        let one_more = || (from < at && is_good(choice, &rates)).then(|| at - 1);
        let Some(next) = next.or_else(one_more) else {
            return Ok((at, rates));
        };
        match choice.measure(next) {
            Ok(measured) if is_good(choice, &measured) => (at, rates) = (next, measured),
            Ok(_) | Err(PlanError::Memory(_)) => from = next + 1,
            Err(error) => return Err(error),
        }
    }
}

/// The maximum number of epochs of a size within `budget_s`, but at least the minimum number of the
/// stage.
fn longest<C: Choice>(choice: &C, size: usize, rates: C::Rates, budget_s: f64) -> Chosen<C::Rates> {
    let Epochs { least, most, .. } = choice.epochs();
    let (mut epochs, mut beyond) = (least, most + 1);
    while epochs + 1 < beyond {
        let middle = epochs.midpoint(beyond);
        if choice.time_s(&rates, middle) <= budget_s {
            epochs = middle;
        } else {
            beyond = middle;
        }
    }
    Chosen {
        size,
        time_s: choice.time_s(&rates, epochs),
        rates,
        epochs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stage whose times are known: the time of an epoch of each size, and a constant.
    #[derive(Clone, Debug)]
    struct Known {
        work: Vec<f64>,
        epochs: Epochs,
        /// Seconds for a unit of work.
        pace_s: f64,
        once_s: f64,
        /// How much faster each size is than its work says.
        better: f64,
        measured: Vec<usize>,
    }

    impl Choice for Known {
        type Rates = f64;

        fn work(&self) -> &[f64] {
            &self.work
        }

        fn epochs(&self) -> Epochs {
            self.epochs
        }

        fn time_s(&self, epoch_s: &f64, epochs: usize) -> f64 {
            self.once_s + epochs as f64 * epoch_s
        }

        fn scaled(epoch_s: &f64, factor: f64) -> f64 {
            epoch_s * factor
        }

        fn measure(&mut self, size: usize) -> Result<f64, PlanError> {
            self.measured.push(size);
            Ok(self.pace_s * self.work[size].powf(self.better))
        }
    }

    fn known(sizes: usize, pace_s: f64, once_s: f64, better: f64, epochs: Epochs) -> Known {
        Known {
            work: (0..sizes).map(|size| 3f64.powi((sizes - size) as i32)).collect(),
            epochs,
            pace_s,
            once_s,
            better,
            measured: Vec::new(),
        }
    }

    fn any_stage(most: usize) -> impl Strategy<Value = Known> {
        (1usize..7, 1e-3f64..1.0, 0f64..5.0, 0.2f64..1.0, 1usize..5, 1usize..20).prop_map(
            move |(sizes, pace_s, once_s, better, least, more)| {
                let (good, most) = ((least + more).min(most), most);
                known(sizes, pace_s, once_s, better, Epochs { least, good, most })
            },
        )
    }

    /// Size and epochs of both stages, and the time of all.
    fn chosen(all_s: f64, search: &Known, training: &Known) -> ([usize; 4], f64) {
        let (mut search, mut training) = (search.clone(), training.clone());
        let solved = solve(&|| all_s, true, Some(&mut search), &mut training).unwrap();
        let total_s = solved.total_s();
        let (searched, network) = (solved.search.unwrap(), solved.network);
        ([searched.size, searched.epochs, network.size, network.epochs], total_s)
    }

    /// The shortest time of both stages.
    fn least_s(stages: [&Known; 2]) -> f64 {
        let of_one = |stage: &Known| {
            let smallest = stage.work[stage.work.len() - 1];
            stage.time_s(&(stage.pace_s * smallest.powf(stage.better)), stage.epochs.least)
        };
        stages.into_iter().map(of_one).sum()
    }

    proptest! {
        #[test]
        fn the_planned_time_is_within_the_given_one(
            search in any_stage(100),
            training in any_stage(600),
            more_s in 0f64..5000.0,
        ) {
            // With less time, only the shortest run is possible.
            let all_s = 1.5 * least_s([&search, &training]) + more_s;
            let ([search_size, search_epochs, size, epochs], total_s) = chosen(all_s, &search, &training);
            prop_assert!(total_s <= all_s + 1e-6, "{total_s} of {all_s}");
            prop_assert!(search_epochs >= search.epochs.least && search_epochs <= search.epochs.most);
            prop_assert!(epochs >= training.epochs.least && epochs <= training.epochs.most);
            // What is left is less than an epoch of each stage, unless no more epochs are allowed.
            let epoch_s = |stage: &Known, size: usize| stage.pace_s * stage.work[size].powf(stage.better);
            let one_more = epoch_s(&search, search_size) + epoch_s(&training, size);
            let full = search_epochs == search.epochs.most || epochs == training.epochs.most;
            prop_assert!(full || all_s - total_s < one_more + 1e-6, "{total_s} of {all_s}");
        }

        #[test]
        fn more_time_never_gives_less(
            search in any_stage(100),
            training in any_stage(600),
            more_s in 0f64..2000.0,
            longer in 1.0f64..3.0,
        ) {
            let all_s = 3.0 * least_s([&search, &training]) + more_s;
            let (short, _) = chosen(all_s, &search, &training);
            let (long, _) = chosen(longer * all_s, &search, &training);
            for [size, epochs] in [[0, 1], [2, 3]] {
                prop_assert!(long[size] <= short[size], "{short:?} {long:?}");
                prop_assert!(long[size] < short[size] || long[epochs] >= short[epochs], "{short:?} {long:?}");
            }
        }

        #[test]
        fn what_was_requested_stays(
            search in any_stage(100),
            training in any_stage(600),
            epochs in 1usize..50,
            all_s in 1f64..1000.0,
        ) {
            let settled = Known { work: vec![3.0], epochs: Epochs::fixed(epochs), ..training };
            let ([.., size, trained], total_s) = chosen(all_s, &search, &settled);
            prop_assert_eq!((size, trained), (0, epochs));
            // The search gets the rest, and not a third.
            if least_s([&search, &settled]) <= all_s {
                prop_assert!(total_s <= all_s + 1e-6);
            }
            let ([size, searched, ..], _) = chosen(all_s, &settled, &search);
            prop_assert_eq!((size, searched), (0, epochs));
        }

        #[test]
        fn the_largest_size_with_a_good_number_of_epochs_is_found(stage in any_stage(600), all_s in 1f64..5000.0) {
            let mut stage = stage;
            let good = |size: usize| {
                stage.time_s(&(stage.pace_s * stage.work[size].powf(stage.better)), stage.epochs.good) <= all_s
            };
            let smallest = stage.work.len() - 1;
            let expected = (0..smallest).find(|&size| good(size)).unwrap_or(smallest);
            let solved = solve(&|| all_s, true, None::<&mut Known>, &mut stage).unwrap();
            prop_assert_eq!(solved.network.size, expected);
        }

        #[test]
        fn few_sizes_are_measured_and_none_twice(stage in any_stage(600), all_s in 1f64..5000.0) {
            let mut stage = stage;
            let solved = solve(&|| all_s, true, None::<&mut Known>, &mut stage).unwrap();
            let mut measured = stage.measured.clone();
            prop_assert_eq!(measured[0], stage.work.len() - 1);
            prop_assert!(measured.contains(&solved.network.size));
            measured.sort_unstable();
            measured.dedup();
            prop_assert_eq!(measured.len(), stage.measured.len());
        }
    }

    #[test]
    fn under_a_limit_a_long_requested_stage_does_not_shorten_the_other() {
        let epochs = Epochs {
            least: 2,
            good: 10,
            most: 100,
        };
        let stage = known(3, 1.0, 0.0, 1.0, epochs);
        let long = Known {
            epochs: Epochs::fixed(50),
            ..known(1, 10.0, 0.0, 1.0, epochs)
        };
        let network = |strict| {
            let (mut search, mut training) = (long.clone(), stage.clone());
            let solved = solve(&|| 300.0, strict, Some(&mut search), &mut training).unwrap();
            (solved.network.size, solved.network.epochs)
        };
        // The search alone takes longer than the given 300 seconds.
        assert_eq!((network(true), network(false)), ((2, 2), (1, 22)));
    }
}
