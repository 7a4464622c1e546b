//! The stage `search`: trains the super-network and leaves its checkpoint, metrics and α, β behind.

use std::time::Instant;

use da2s_records::files::{
    ARCH, SEARCH, SEARCH_CHECKPOINT as CHECKPOINT, SEARCH_METRICS as METRICS, SEARCH_TIMES as TIMES,
};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::environment::Environment;
use super::rollback::{Place, with_rollbacks};
use super::state_file::{SearchMeta, search_checkpoint, search_state};
use super::{Context, RunDirectory};
use crate::config::Rate;
use crate::error::Error;
use crate::observer::{Event, Observer, Stage};
use crate::search::{EpochMetrics, EpochRecord, Search, SearchState};

/// What a search came to.
#[derive(Clone, Debug)]
pub struct SearchSummary {
    /// The last epoch's numbers; none if there was nothing left to do.
    pub last: Option<EpochMetrics>,
}

/// The time of an epoch, kept apart from the metrics, which are the same bits for the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EpochTime {
    pub(super) epoch: usize,
    pub(super) time_s: f64,
}

/// Searches, anew or from the checkpoint.
///
/// # Errors
/// [`Error::Stopped`] if the observer asked to; whatever is wrong with settings, images, device or files.
pub fn search(context: &Context<'_>, observer: &mut dyn Observer) -> Result<SearchSummary, Error> {
    let (device, engine) = context.device()?;
    let dataset = context.shared_dataset()?;
    let group = &context.group;
    let search = Search::in_group(context.config, &dataset, &device, &engine, group.clone())?;
    // What would only fail behind the search fails before it.
    super::train::loaders(context, &dataset)?;
    let directory = context.directory;
    if group.leads() {
        Environment::now(context, &dataset, &engine).write(context, observer)?;
    }
    let path = directory.file(CHECKPOINT);
    let stored = |observer: &mut dyn Observer| Checkpoint::shared(group, &path, || newest(context, observer));
    let read = if context.resume { stored(observer)? } else { None };
    let mut state = match &read {
        Some(checkpoint) => restore(directory, &search, checkpoint, &device)?,
        None => search.start(),
    };
    // Of a search that came from elsewhere there is nothing but its end.
    if !search.is_unfinished(&state) {
        return Ok(SearchSummary { last: None });
    }
    if group.leads() {
        match &read {
            Some(checkpoint) => checkpoint.meta.expect(group.size(), &path)?,
            None => {
                if context.resume {
                    directory.expect_no_epochs(METRICS, &path, Stage::Search)?;
                }
                write_rates(context, &search)?;
                directory.remove(SEARCH)?;
                let record = search.arch_record(&state, &search.outcome(&state), 0);
                directory.append_line(ARCH, &record)?;
            }
        }
        keep_lines(directory, state.progress.epochs_done)?;
    }

    let write = |state: &SearchState| {
        search_checkpoint(state, &search.backbone, group.size()).write_newest(directory, CHECKPOINT)
    };
    let (mut last, mut began) = (None, Instant::now());
    let mut save = |state: &SearchState, record: Option<EpochRecord<'_>>| {
        if !group.leads() {
            return Ok(());
        }
        if let Some(record) = record {
            let epoch = record.metrics.epoch;
            directory.append_line(METRICS, record.metrics)?;
            directory.append_line(ARCH, record.arch)?;
            directory.append_line(
                TIMES,
                &EpochTime {
                    epoch,
                    time_s: began.elapsed().as_secs_f64(),
                },
            )?;
            began = Instant::now();
            last = Some(record.metrics.clone());
        }
        write(state)
    };
    let back = |rollbacks: u32, observer: &mut dyn Observer| {
        let mut state = match stored(observer)? {
            Some(checkpoint) => restore(directory, &search, &checkpoint, &device)?,
            None => search.start(),
        };
        state.progress.rollbacks = rollbacks;
        if group.leads() {
            keep_lines(directory, state.progress.epochs_done)?;
            // Whoever goes on from here goes on with these rates.
            write(&state)?;
        }
        Ok(state)
    };
    let place = |state: &SearchState| Place {
        rollbacks: state.progress.rollbacks,
        epochs_done: state.progress.epochs_done,
        steps_done: state.progress.steps_done,
    };
    let run = |state: &mut SearchState, observer: &mut dyn Observer| search.run(state, observer, &mut save);
    with_rollbacks(context, &mut state, observer, place, run, back)?;
    super::tell_damaged(&dataset, observer);
    Ok(SearchSummary { last })
}

/// The newest checkpoint that is whole.
fn newest(context: &Context<'_>, observer: &mut dyn Observer) -> Result<Option<Checkpoint<SearchMeta>>, Error> {
    Checkpoint::read_newest(context.directory, CHECKPOINT, &mut |text| {
        observer.on(Event::Warning(text.into()));
    })
}

/// Cuts the files of lines to `epochs` epochs; that of α and β begins with those before the first.
fn keep_lines(directory: &RunDirectory, epochs: usize) -> Result<(), Error> {
    directory.keep_lines(METRICS, epochs)?;
    directory.keep_lines(ARCH, epochs + 1)?;
    directory.keep_lines(TIMES, epochs)
}

/// A rate that was left to da2s stands in the run's configuration as the number that it came to.
fn write_rates(context: &Context<'_>, search: &Search) -> Result<(), Error> {
    let (alpha, beta) = search.arch_rates();
    let mut resolved = context.config.clone();
    (resolved.search.alpha_rate, resolved.search.beta_rate) = (Rate::Fixed(alpha), Rate::Fixed(beta));
    if resolved != *context.config {
        context.directory.write_config(&resolved)?;
    }
    Ok(())
}

/// The finished search of a run, for the stages behind it.
pub(super) fn finished(
    context: &Context<'_>,
    search: &Search,
    device: &burn::tensor::Device,
    observer: &mut dyn Observer,
) -> Result<SearchState, Error> {
    let checkpoint = newest(context, observer)?.ok_or_else(|| Error::Incomplete {
        path: context.directory.file(CHECKPOINT),
        stage: Stage::Search,
    })?;
    let state = restore(context.directory, search, &checkpoint, device)?;
    if search.is_unfinished(&state) {
        return Err(Error::Unfinished {
            path: context.directory.path().to_owned(),
        });
    }
    Ok(state)
}

fn restore(
    directory: &RunDirectory,
    search: &Search,
    checkpoint: &Checkpoint<SearchMeta>,
    device: &burn::tensor::Device,
) -> Result<SearchState, Error> {
    search_state(search.start(), checkpoint, &search.backbone, device)
        .map_err(|error| Error::load(directory.file(CHECKPOINT), &error))
}
