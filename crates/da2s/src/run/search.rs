//! The stage `search`: trains the super-network and writes its checkpoint, its metrics, α and β.

use da2s_records::files::{ARCH, GAP, SEARCH, SEARCH_CHECKPOINT, SEARCH_METRICS, SEARCH_TIMES, TUNING};

use super::checkpoint::Checkpoint;
use super::mirrored::tell_mirrored;
use super::resume::{StageFiles, drive, newest, restored};
use super::state_file::{SearchMeta, search_checkpoint, search_state};
use super::{Context, Error};
use crate::backbone::LoadError;
use crate::observer::Observer;
use crate::resumable::Resumable;
use crate::search::{EpochRecord, Rate, Search, SearchState, needs};
use crate::stage::Stage;
use da2s_records::schema::SearchEpoch;

/// The result of a search.
#[derive(Clone, Debug)]
pub struct SearchSummary {
    /// The metrics of the last epoch; `None` if there was nothing left to do.
    pub last: Option<SearchEpoch>,
}

/// A search and its files.
struct SearchFiles<'a> {
    context: &'a Context<'a>,
    search: &'a Search,
    device: &'a burn::tensor::Device,
}

/// Searches, from the start or from the checkpoint.
///
/// # Errors
/// [`StageError::Stopped`](crate::resumable::StageError::Stopped) if the observer requests a stop;
/// any problem with settings, images, device or files.
pub fn search(context: &Context<'_>, observer: &mut dyn Observer) -> Result<SearchSummary, Error> {
    let (device, engine) = context.device()?;
    let dataset = context.shared_dataset()?;
    let setup = context.config.search_setup()?;
    let search = Search::in_group(&setup, &dataset, &device, &engine, context.group.clone())?;
    let images = (dataset.shape, dataset.classes());
    needs(&setup.search, &setup.space, images, rayon::current_num_threads())
        .beside(&dataset)
        .check("a step of this search", Search::LOWER, &engine)?;
    // Problems that would make the training fail are reported before the search begins.
    super::train::loaders(context, &dataset)?;
    if context.group.leads() {
        context.write_environment(&dataset, &engine, observer)?;
        if !context.resume {
            super::tell_absent(context, &dataset, observer)?;
            tell_mirrored(context, &dataset, true, observer);
        }
    }
    let files = SearchFiles {
        context,
        search: &search,
        device: &device,
    };
    let last = drive(context, &files, observer)?;
    if last.is_some() {
        super::tell_damaged(&dataset, observer);
    }
    Ok(SearchSummary {
        last: last.map(|record| record.metrics),
    })
}

impl StageFiles for SearchFiles<'_> {
    type Stage = Search;
    type Meta = SearchMeta;

    const CHECKPOINT: &'static str = SEARCH_CHECKPOINT;
    const METRICS: &'static str = SEARCH_METRICS;
    const TIMES: &'static str = SEARCH_TIMES;

    fn stage(&self) -> &Search {
        self.search
    }

    fn checkpoint(&self, state: &SearchState) -> Checkpoint<SearchMeta> {
        search_checkpoint(state, self.search.backbone_of(state), self.context.group.size())
    }

    fn restore(&self, checkpoint: &Checkpoint<SearchMeta>) -> Result<SearchState, LoadError> {
        search_state(self.search, checkpoint, self.device)
    }

    fn start_from_scratch(&self, state: &SearchState) -> Result<(), Error> {
        write_rates(self.context, self.search)?;
        self.context.directory.remove(SEARCH)?;
        // It belongs to the earlier search.
        self.context.directory.remove(TUNING)?;
        let record = self.search.arch_record(state, &self.search.outcome(state), 0);
        self.context.directory.append_line(ARCH, &record)
    }

    /// α and β before the first step have a line too.
    fn prepare(&self, epochs: usize) -> Result<(), Error> {
        // Only a finished search has a gap.
        self.context.directory.remove(GAP)?;
        self.context.directory.keep_lines(ARCH, epochs + 1)
    }

    fn record(&self, _: &SearchState, record: &EpochRecord) -> Result<(), Error> {
        self.context.directory.append_line(SEARCH_METRICS, &record.metrics)?;
        self.context.directory.append_line(ARCH, &record.arch)
    }
}

/// Writes the number computed for an `"auto"` rate into the run's configuration.
fn write_rates(context: &Context<'_>, search: &Search) -> Result<(), Error> {
    let (alpha, beta) = search.arch_rates();
    let mut resolved = context.config.clone();
    (resolved.search.alpha_rate, resolved.search.beta_rate) = (Rate::Fixed(alpha), Rate::Fixed(beta));
    if resolved != *context.config {
        context.directory.write_config(&resolved)?;
    }
    Ok(())
}

/// The finished search of a run, for the stages after it.
pub(super) fn finished(
    context: &Context<'_>,
    search: &Search,
    device: &burn::tensor::Device,
    observer: &mut dyn Observer,
) -> Result<SearchState, Error> {
    let files = SearchFiles {
        context,
        search,
        device,
    };
    let checkpoint = newest::<SearchFiles<'_>>(context, observer)?.ok_or_else(|| Error::Incomplete {
        path: context.directory.file(SEARCH_CHECKPOINT),
        stage: Stage::Search,
    })?;
    let state = restored(context, &files, Some(&checkpoint))?;
    if search.is_unfinished(&state) {
        return Err(Error::Unfinished {
            path: context.directory.path().to_owned(),
        });
    }
    Ok(state)
}
