//! The genotypes of a finished search at other depths: each stage of a chain keeps its strongest
//! layers, as many as are requested.

use super::FrontError;
use crate::data::Dataset;
use crate::discretize::Rule;
use crate::observer::{Event, Observer};
use crate::run::{Error, Job, search};
use crate::search::{Search, SearchError, SearchSetup, SearchState};
use crate::space::{CellGraph, EdgeCount, Genotype, KindTarget, TargetSpec};

impl Job {
    /// The genotype of this run's search for each of `depths`, by the run's rule; `own` is the
    /// genotype at the run's own depth.
    ///
    /// # Errors
    /// If a stage cannot have that many layers, or the search has removed too many; if the search
    /// is not finished; any problem with images, device or files.
    pub(super) fn at_depths(
        &self,
        depths: &[EdgeCount],
        own: &Genotype,
        dataset: &Dataset,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Genotype>, Error> {
        let context = self.context();
        let (device, engine) = context.device()?;
        let config = self.config();
        let setup = SearchSetup {
            target: config.target.without_limits(),
            ..config.search_setup()?
        };
        let space = setup.space.build();
        let resolved = |target: &TargetSpec| target.resolve(&space).map_err(SearchError::from);
        let searched = resolved(&setup.target)?.normal;
        let with = |target: TargetSpec| {
            let setup = SearchSetup {
                target,
                ..setup.clone()
            };
            Search::new(&setup, dataset, &device, &engine)
        };
        let state = search::finished(&context, &with(setup.target.clone())?, &device, observer)?;
        let rule = config.discretize.rule;
        let mut genotypes = Vec::new();
        for depth in depths {
            let target = TargetSpec {
                depth: Some(depth.clone()),
                ..setup.target.clone()
            };
            let kept = resolved(&target)?.normal;
            if kept == searched {
                genotypes.push(own.clone());
                continue;
            }
            expect_remaining(&state, space.graph, &kept)?;
            if rule == Rule::Strongest {
                warn_unranked(space.graph, &searched, &kept, observer);
            }
            let outcome = with(target)?.discretized(&state, &*rule.build(), &|| observer.stop())?;
            genotypes.push(outcome.genotype);
        }
        Ok(genotypes)
    }
}

/// Refuses to keep more layers than the search has left.
fn expect_remaining(state: &SearchState, graph: CellGraph, kept: &KindTarget) -> Result<(), FrontError> {
    let Some(removed) = &state.arch.kinds().normal.removed else {
        return Ok(());
    };
    for group in graph.groups() {
        let gone = removed.edges[graph.edges_of(group)].iter().filter(|gone| **gone);
        let left = graph.size_of(group) - gone.count();
        if kept.kept(group) > left {
            let before = |stages: usize| graph.stages().take(stages).map(|layers| layers.min(2)).sum::<usize>();
            let stage = (1..).find(|&stage| before(stage) > group).unwrap_or(1);
            // The first layer of a stage is a group of its own.
            return Err(FrontError::Removed {
                stage,
                asked: kept.kept(group) + 1,
                left: left + 1,
            });
        }
    }
    Ok(())
}

/// Reports that the search did not choose between layers of which some are now left out.
fn warn_unranked(graph: CellGraph, searched: &KindTarget, kept: &KindTarget, observer: &mut dyn Observer) {
    let unranked = |group: &usize| !searched.has_beta(graph, *group) && kept.has_beta(graph, *group);
    if graph.groups().any(|group| unranked(&group)) {
        let text = "the search kept all layers of a stage, so it did not learn which of them to leave out: \
            a search with target.depth would rank them";
        observer.on(Event::Warning(text.to_owned().into()));
    }
}
