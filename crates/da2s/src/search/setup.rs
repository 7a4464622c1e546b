//! Creates a search from its settings: space, target, super-network, method, limits, and the images
//! for each part of training.
//!
//! Contract: the weights train on one half of the training images; statistics are recalibrated on
//! the same images with the same augmentation (those of an imported super-network on the images
//! that it would train on here). α and β train on the other half, which also serves for evaluation.
//! In a one-level search both train on the first half, and the second is only for evaluation. The
//! processes of a group share the training batches and the evaluation after every epoch; for the
//! gap each process uses all images.

use burn::tensor::Device;
use da2s_engine::Engine;

use super::needs::supernet_of;
use super::stages::Stages;
use super::{Method, Search, SearchError, SearchSettings, limit};
use crate::data::{DataSettings, Dataset, Loader, Part, SearchSplit, Stream, TrainingOrder, stratified_sample};
use crate::discretize::DiscretizeSettings;
use crate::network::NetworkShape;
use crate::parallel::Group;
use crate::probe::Probe;
use crate::space::{SpaceSettings, TargetSpec};
use crate::supernet::supernet;

/// The inputs of a search. Contract: the settings fit together, as checked by
/// `Config::search_setup`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchSetup {
    /// The images that train weights and architecture.
    pub data: DataSettings,
    /// The space.
    pub space: SpaceSettings,
    /// The target, and the limits on the final network's cost.
    pub target: TargetSpec,
    /// The search itself.
    pub search: SearchSettings,
    /// What is measured after pruning.
    pub discretize: DiscretizeSettings,
    /// The final network, whose cost is limited.
    pub network: NetworkShape,
    /// Seed of everything random.
    pub seed: u64,
}

impl Search {
    /// Creates the search for `setup` on `dataset`.
    ///
    /// # Errors
    /// If the space has nothing to search, the target does not fit it, its limits allow no network,
    /// or the batches do not fit the images.
    pub fn new(setup: &SearchSetup, dataset: &Dataset, device: &Device, engine: &Engine) -> Result<Self, SearchError> {
        Self::in_group(setup, dataset, device, engine, Group::alone())
    }

    /// Like [`Self::new`], for one process of `group`, which trains on its part of each batch.
    ///
    /// # Errors
    /// Like [`Self::new`].
    pub fn in_group(
        setup: &SearchSetup,
        dataset: &Dataset,
        device: &Device,
        engine: &Engine,
        group: Group,
    ) -> Result<Self, SearchError> {
        let settings = setup.search.clone();
        let seed = setup.seed;
        let space = setup.space.build();
        if !space.name.is_searched() {
            return Err(SearchError::NotSearched(space.name.name()));
        }
        let target = setup.target.resolve(&space)?;
        let size = settings.size(&setup.space, dataset.shape, dataset.classes());
        let plans = settings.stage_plans(space.operations.len());
        let before = plans.iter().take(plans.len() - 1);
        let earlier = before.map(|&plan| supernet_of(&settings, plan, &space, &size, engine));
        let earlier = earlier.collect();
        let stages = Stages::new(plans, earlier, settings.epochs);
        let backbone = supernet(&space, size, settings.partial(), engine);
        let split = SearchSplit::new(
            dataset.train.labels(),
            setup.data.arch_fraction,
            setup.data.validation_fraction,
            seed,
        )?;
        let weights = &setup.data.class_weights;
        let class_weights = weights.of(&dataset.class_names, dataset.train.labels())?;
        let training = |half: &[usize], stream| {
            let order = TrainingOrder {
                seed,
                stream,
                augmentation: settings.augmentation.clone(),
            };
            Loader::training(dataset, half.to_vec(), settings.batch_size, order)
        };
        let sharded = |loader: Result<Loader, _>| {
            loader
                .and_then(|loader| loader.sharded(group.shard()))
                .map_err(|error| error.of_batch_size("search.batch_size"))
        };
        let evaluation =
            |indices: &[usize]| Loader::evaluation(dataset, Part::Train, indices.to_vec(), settings.batch_size);
        let weight_loader = sharded(training(&split.weight_half, Stream::Weights))?;
        moves(&settings, stages.shortest(), weight_loader.steps_per_epoch())?;
        let some = |images| watched(&split.arch_half, dataset.train.labels(), images, seed);
        let by_edge = match setup.discretize.edge_images {
            0 => None,
            images => Some(evaluation(&some(images))?),
        };
        Ok(Self {
            method: settings.driven(),
            weight_loader,
            // One level: both train on the same batches, and the other images are only for
            // evaluation.
            arch_loader: sharded(training(
                if settings.one_level {
                    &split.weight_half
                } else {
                    &split.arch_half
                },
                Stream::ArchParams,
            ))?
            .every(settings.arch_every),
            monitor: evaluation(&some(settings.monitor_images))?.sharded(group.shard())?,
            by_edge,
            by_rule: evaluation(&some(setup.discretize.rule_images))?,
            held_out: evaluation(&split.arch_half)?,
            // As in training: crops, flips and batches of all classes have other moments than
            // unchanged images in their stored order.
            calibration: training(&split.weight_half, Stream::Weights)?,
            limit: limit::of(setup, dataset, &space, &target, engine)?,
            space,
            target,
            backbone,
            stages,
            settings,
            class_weights,
            seed,
            device: device.clone(),
            group,
            probe: Probe::default(),
        })
    }
}

/// Refuses a search if no step of its shortest stage trains α, although the method requires it.
/// `epochs` is the number of epochs of that stage.
fn moves(settings: &SearchSettings, epochs: usize, steps_per_epoch: u64) -> Result<(), SearchError> {
    let steps_of = |epochs: usize| (epochs as u64).saturating_mul(steps_per_epoch);
    let (arch_every, all) = (settings.arch_every as u64, steps_of(epochs));
    let warmup = steps_of(settings.warmup_epochs).min(all);
    if settings.method == Method::Random || all == 0 || warmup.next_multiple_of(arch_every) < all {
        return Ok(());
    }
    let steps = all - warmup;
    Err(SearchError::NeverMoves { arch_every, steps })
}

/// At most `count` of the images at `half`, the same fraction of each class; 0 takes all.
fn watched(half: &[usize], labels: &[u32], count: usize, seed: u64) -> Vec<usize> {
    if count == 0 || count >= half.len() {
        return half.to_vec();
    }
    stratified_sample(half, labels, count, seed)
}

#[cfg(test)]
mod tests {
    use super::{Search, SearchSetup, watched};
    use crate::data::{Arrays, DataOptions, Format, ImageShape, LabelledImages, open};
    use crate::resumable::Resumable;
    use crate::search::Moment;
    use crate::space::SpaceName;
    use burn::tensor::Device;
    use da2s_engine::Engine;

    fn search(setup: &SearchSetup) -> Search {
        let dataset = open(Format::Digits, None, &DataOptions::default()).unwrap();
        Search::new(setup, &dataset, &Device::flex(), &Engine::fused()).unwrap()
    }

    #[test]
    fn statistics_are_recalibrated_on_what_the_weights_train_on() {
        let shape = ImageShape {
            channels: 1,
            height: 8,
            width: 8,
        };
        // Sorted by class, like images in a folder.
        let labels: Vec<u32> = (0..120).map(|image| image / 60).collect();
        let pixels = (0..120 * 64).map(|at| (at % 251) as u8).collect();
        let train = LabelledImages { shape, pixels, labels };
        let arrays = Arrays::new(vec!["a".to_owned(), "b".to_owned()], train.clone(), Some(train)).unwrap();
        let dataset = arrays.open(&DataOptions::default()).unwrap();
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        (setup.search.channels, setup.search.batch_size) = (2, 20);
        setup.search.augmentation.crop_padding = 2;
        let search = Search::new(&setup, &dataset, &Device::flex(), &Engine::fused()).unwrap();
        let (_, calibration) = search.gap_loaders();
        assert_eq!(calibration.steps_per_epoch(), 3);
        for step in 0..3 {
            let batch = calibration.batch(0, step).unwrap();
            assert_eq!(batch.images, search.weight_loader.batch(0, step).unwrap().images);
            assert!(
                [0, 1].iter().all(|class| batch.labels.contains(class)),
                "{:?}",
                batch.labels
            );
        }
    }

    #[test]
    fn an_epoch_is_a_pass_over_the_images_of_the_weights_however_few_the_architecture_has() {
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        (setup.search.channels, setup.data.arch_fraction) = (2, 0.1);
        let search = search(&setup);
        let (weights, arch) = (search.weight_loader.samples(), search.arch_loader.samples());
        assert!(arch < weights / 8, "{arch} of {weights}");
        assert_eq!(search.steps(), weights / setup.search.batch_size);
        search.arch_loader.batch(1, search.steps() as u64 - 1).unwrap();
    }

    #[test]
    fn if_every_edge_is_kept_no_architecture_step_is_taken_before_alpha_trains() {
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        setup.search.channels = 2;
        let moment = |epoch| Moment::of_epoch(epoch, 4, 2);
        let rates = |setup: &SearchSetup, epoch| {
            let search = search(setup);
            let rates = search.rates(moment(epoch), &search.start());
            (rates.alpha > 0.0, rates.beta > 0.0)
        };
        assert_eq!(rates(&setup, 1), (false, true));
        setup.space.name = SpaceName::NasBench201;
        setup.target = toml::from_str("edges = \"all\"").unwrap();
        assert_eq!((rates(&setup, 1), rates(&setup, 2)), ((false, false), (true, false)));
    }

    #[test]
    fn a_monitored_part_has_every_class_even_if_images_are_sorted_by_class() {
        let labels: Vec<u32> = (0..200).map(|index| index / 50).collect();
        let half: Vec<usize> = (0..200).step_by(2).collect();
        let some = watched(&half, &labels, 40, 1);
        for class in 0..4 {
            assert_eq!(some.iter().filter(|&&index| labels[index] == class).count(), 10);
        }
        assert!(some.iter().all(|index| half.contains(index)));
        assert_eq!(watched(&half, &labels, 0, 1), half);
        assert_eq!(watched(&half, &labels, 1000, 1), half);
    }
}
