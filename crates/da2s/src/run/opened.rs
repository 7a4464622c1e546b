//! Images that are opened once for all stages of a run.
//!
//! Opening a folder decodes every file in it, which takes minutes for many photographs. Contract:
//! only images that are completely in memory are kept; all stages then use the images that the
//! process read first. Images that are read from files when a batch needs them are opened again by
//! each stage, which then notices files that have changed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::data::{DataOptions, Dataset, Format};

/// The images of a run and of the runs below it, once a stage has opened them.
#[derive(Clone, Debug, Default)]
pub struct Opened(Arc<Mutex<Option<Kept>>>);

#[derive(Debug)]
struct Kept {
    request: Request,
    dataset: Dataset,
}

/// The settings that determine the images.
#[derive(Debug, PartialEq)]
struct Request {
    format: Format,
    dir: Option<PathBuf>,
    options: DataOptions,
}

impl Opened {
    /// The images of `config`: those that are kept, or what `open` returns.
    ///
    /// # Errors
    /// Those of `open`.
    pub(super) fn get<E>(&self, config: &Config, open: impl FnOnce() -> Result<Dataset, E>) -> Result<Dataset, E> {
        let request = Request {
            format: config.data.dataset,
            dir: config.data.dir.clone(),
            options: config.data_options(),
        };
        // What is kept is complete, even if a thread panicked while it held the lock.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept
            && kept.request == request
        {
            return Ok(kept.dataset.clone());
        }
        // The old images are dropped before new ones are opened, so that the two are never in
        // memory together.
        *kept = None;
        let dataset = open()?;
        *kept = dataset.is_in_memory().then(|| Kept {
            request,
            dataset: dataset.clone(),
        });
        Ok(dataset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::open;

    fn digits(side: usize) -> Config {
        let mut config = Config::default();
        config.data.dataset = Format::Digits;
        config.data.image_size = Some(side);
        config
    }

    fn opens(opened: &Opened, config: &Config) -> bool {
        let mut has_opened = false;
        let dataset = opened.get(config, || {
            has_opened = true;
            open(config.data.dataset, None, &config.data_options())
        });
        assert_eq!(dataset.unwrap().shape.height, config.data.image_size.unwrap());
        has_opened
    }

    #[test]
    fn images_are_opened_again_only_with_other_settings() {
        let (opened, small, large) = (Opened::default(), digits(8), digits(12));
        assert!(opens(&opened, &small));
        assert!(!opens(&opened.clone(), &small));
        assert!(opens(&opened, &large));
        assert!(opens(&opened, &small));
    }
}
