//! A run as a Python object: created or resumed, taken through its stages, and read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use da2s::Error;
use da2s::config::Request;
use da2s::data::{DataError, Image, Preprocessing, most_probable};
use da2s::evaluate::EvaluateError;
use da2s::export::{ExportFormat, ExportOptions};
use da2s::observer::Observer;
use da2s::run::{self, Int8Options, OTHER_SETTINGS, RangeSetting, RunDirectory, read_genotype};
use da2s::space::Genotype;
use da2s_records::files::{CONFIG, MOST_LINES_BYTES};
use da2s_records::{Folder, counted};
use da2s_report::drawing;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::data::{Arrays, Shape, pool, to_shape};
use crate::errors::{exception, not_reported, raised};
use crate::front::Networks;
use crate::listen::{listen, warn};
use crate::plan::{plan_json, training_json};
use crate::request::{Asked, named_network};

/// Number of images that are in memory as floats at a time.
const BATCH: usize = 32;

/// The classes of an image, the most probable first.
type Classes = Vec<(String, f32)>;

/// An open run.
#[pyclass(frozen, module = "da2s._native")]
pub struct Job {
    /// `None` once it is closed. A stage that is running keeps the run, and the lock on its
    /// directory, until it ends.
    run: Mutex<Option<Arc<run::Job>>>,
    threads: ThreadPool,
    /// When it was opened.
    began: Instant,
}

#[pymethods]
impl Job {
    /// Creates a run, or with `resume` opens the existing one.
    #[staticmethod]
    fn create(
        py: Python<'_>,
        asked: Asked<'_>,
        out: Option<PathBuf>,
        resume: bool,
        arrays: Option<&Bound<'_, Arrays>>,
        command: String,
    ) -> PyResult<Self> {
        let request = asked.request(py)?;
        let run = run::Job::create(&request, out.as_deref(), resume, command).map_err(|error| raised(py, &error))?;
        let warned = run.warnings().iter().try_for_each(|warning| warn(py, warning));
        let begun = warned.and_then(|()| Self::new(py, run.clone(), arrays));
        // If the threads cannot be started, or the caller's filters turn a warning into an error,
        // the new run is removed again.
        begun.inspect_err(|_| run.abandon())
    }

    /// Opens a run for one of its stages.
    #[staticmethod]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        asked: Asked<'_>,
        resume: bool,
        arrays: Option<&Bound<'_, Arrays>>,
        command: String,
    ) -> PyResult<Self> {
        let request: Request = asked.request(py)?;
        let run = run::Job::open(&path, &request, resume, command).map_err(|error| raised(py, &error))?;
        Self::new(py, run, arrays)
    }

    /// Opens a run to read its results, even if another process works on it.
    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf, asked: Asked<'_>) -> PyResult<Self> {
        let request = asked.request(py)?;
        let run = run::Job::read(&path, &request, "da2s.Run".to_owned()).map_err(|error| raised(py, &error))?;
        Self::new(py, run, None)
    }

    /// Releases the run directory, so that others can work on it.
    fn close(&self) {
        *self.lock() = None;
    }

    /// The run directory.
    #[getter]
    fn path(&self, py: Python<'_>) -> PyResult<PathBuf> {
        Ok(self.run(py)?.directory().path().to_owned())
    }

    /// All settings as JSON.
    fn settings(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string(self.run(py)?.config())
            .map_err(|error| exception(py, "InternalError", &error.to_string()))
    }

    /// Checks, as each stage does, that the images are those with which the run began.
    fn check_images(&self, py: Python<'_>) -> PyResult<()> {
        let run = self.run(py)?;
        py.detach(|| self.threads.install(|| run.check_images()))
            .map_err(|error| raised(py, &error))
    }

    /// The text of the genotype that replaces a search, if there is one.
    fn given(&self, py: Python<'_>, genotype: Option<&str>) -> PyResult<Option<String>> {
        let asked = parse(py, genotype)?;
        let given = self.run(py)?.given(asked).map_err(|error| raised(py, &error))?;
        Ok(given.map(|genotype| genotype.to_string()))
    }

    /// Measures a few steps and chooses the settings that are still to be chosen; returns the plan
    /// as JSON, or `None` if there is nothing to choose. A run that cannot be planned is removed.
    fn plan(&self, py: Python<'_>, genotype: Option<&str>, listener: Option<Py<PyAny>>) -> PyResult<Option<String>> {
        let given = parse(py, genotype)?;
        let before = self.run(py)?;
        if !before.is_to_be_planned() {
            return Ok(None);
        }
        let mut run = run::Job::clone(&before);
        let planned = listen(py, &self.threads, listener.as_ref(), |observer| {
            let plan = run.plan(given.as_ref(), self.began, observer)?;
            Ok(plan_json(&plan, run.directory().path()))
        });
        let heard = planned.and_then(|plan| {
            if let Some(listener) = &listener {
                listener.call1(py, ("Plan", &plan))?;
            }
            Ok(plan)
        });
        let plan = heard.inspect_err(|_| before.abandon())?;
        *self.lock() = Some(Arc::new(run));
        Ok(Some(plan))
    }

    /// Chooses the number of training epochs for the network that the search has found, if the run
    /// was planned; returns it, with the times of the remaining stages, as JSON.
    fn plan_training(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<Option<String>> {
        let planned = self.changing(py, listener.as_ref(), run::Job::plan_training)?;
        let Some(planned) = planned else { return Ok(None) };
        let plan = training_json(&planned);
        if let Some(listener) = &listener {
            listener.call1(py, ("TrainingPlan", &plan))?;
        }
        Ok(Some(plan))
    }

    /// Runs the search.
    fn search(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        self.stage(py, listener, |run, observer| run.search(observer).map(drop))
    }

    /// Discretizes the super-network.
    fn discretize(&self, py: Python<'_>, genotype: Option<&str>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        let given = parse(py, genotype)?;
        self.stage(py, listener, |run, observer| {
            run.discretize_once(given.as_ref(), observer).map(drop)
        })
    }

    /// Trains the final network.
    fn train(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        self.changing(py, listener.as_ref(), run::Job::train).map(drop)
    }

    /// Evaluates the final network.
    fn evaluate(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        self.stage(py, listener, |run, observer| run.evaluate(observer).map(drop))
    }

    /// Trains the final network from its other seeds.
    fn seeds(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        self.stage(py, listener, |run, observer| {
            run.seeds(observer, &mut |_| refresh_report(run)).map(drop)
        })
    }

    /// Trains the run's baselines.
    fn baselines(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        self.stage(py, listener, |run, observer| {
            run.baselines(observer, &mut |_| refresh_report(run)).map(drop)
        })
    }

    /// Trains the networks of a front that are not trained yet, times all of them, writes the front
    /// and returns it as JSON, with the path of its page.
    fn front(
        &self,
        py: Python<'_>,
        networks: Networks<'_>,
        listener: Option<Py<PyAny>>,
    ) -> PyResult<(String, PathBuf)> {
        let request = networks.request(py)?;
        let front = self.stage(py, listener, |run, observer| {
            let mut front = run.front(&request, observer)?;
            run.time_front(&mut front)?;
            Ok(front)
        })?;
        let path = self.run(py)?.directory().path().to_owned();
        let page = py.detach(|| da2s_report::write_front(&path, &front));
        let page = page.map_err(|error| not_reported(py, &error))?;
        let text = serde_json::to_string(&front).map_err(|error| exception(py, "InternalError", &error.to_string()))?;
        Ok((text, page))
    }

    /// Quantises the trained network; returns its results as JSON, and the paths of its files.
    fn quantise(&self, py: Python<'_>, images: usize, range: &str) -> PyResult<(String, [PathBuf; 2])> {
        let known = RangeSetting::ALL;
        let range = known
            .into_iter()
            .find(|known| known.to_string() == range)
            .ok_or_else(|| {
                let known = known.map(|known| known.to_string()).join(", ");
                exception(py, "ConfigError", &format!("range = {range}: expected one of {known}"))
            })?;
        let quantised = self.stage(py, None, |run, observer| {
            run.quantise(Int8Options { images, range }, observer)
        })?;
        let text = serde_json::to_string(&quantised.int8)
            .map_err(|error| exception(py, "InternalError", &error.to_string()))?;
        Ok((text, quantised.files))
    }

    /// Records the reason of a failure in the run directory.
    fn note_failure(&self, py: Python<'_>, reason: &str) -> PyResult<()> {
        self.run(py)?.note_failure(reason);
        Ok(())
    }

    /// The classes of images in files.
    fn predict_files(&self, py: Python<'_>, paths: Vec<PathBuf>, top: usize) -> PyResult<Vec<Classes>> {
        self.stage(py, None, |run, observer| {
            let read =
                |preprocessing: &Preprocessing, at: usize| Ok(Image::read_preprocessed(&paths[at], preprocessing)?);
            predict(run, paths.len(), top, observer, read)
        })
    }

    /// The classes of images in memory.
    fn predict_arrays(
        &self,
        py: Python<'_>,
        shape: Shape,
        pixels: &Bound<'_, PyBytes>,
        top: usize,
    ) -> PyResult<Vec<Classes>> {
        let (shape, pixels) = (to_shape(shape), pixels.as_bytes());
        let count = pixels.len() / shape.values().max(1);
        self.stage(py, None, |run, observer| {
            let read = |preprocessing: &Preprocessing, at: usize| {
                if shape.channels != preprocessing.channels || shape.values() == 0 {
                    return Err(DataError::Arrays {
                        part: "images",
                        expected: format!("{} and at least one pixel", counted(preprocessing.channels, "channel")),
                        found: shape.to_string(),
                    });
                }
                let image = pixels[at * shape.values()..][..shape.values()].to_vec();
                Ok(Image::new(shape, image).preprocessed(preprocessing))
            };
            predict(run, count, top, observer, read)
        })
    }

    /// Writes the trained network in the format of another tool.
    fn export(
        &self,
        py: Python<'_>,
        format: &str,
        out: Option<PathBuf>,
        fold_batch_norms: bool,
        with_preprocessing: bool,
    ) -> PyResult<PathBuf> {
        let names = || ExportFormat::ALL.map(ExportFormat::name).join(", ");
        let unusable = |text: String| exception(py, "ConfigError", &text);
        let format = ExportFormat::from_name(format)
            .ok_or_else(|| unusable(format!("format = {format}: expected one of {}", names())))?;
        if fold_batch_norms && !format.is_graph() {
            return Err(unusable(format!(
                "fold_batch_norms is for the format onnx: {format} keeps the layers of DARTS"
            )));
        }
        if with_preprocessing && !format.is_graph() {
            return Err(unusable(format!(
                "with_preprocessing is for the format onnx: {format} has no graph to include it in"
            )));
        }
        let options = ExportOptions {
            fold_batch_norms,
            with_preprocessing,
        };
        self.stage(py, None, |run, _| run.export(format, options, out.as_deref()))
    }
}

impl Job {
    fn new(py: Python<'_>, run: run::Job, arrays: Option<&Bound<'_, Arrays>>) -> PyResult<Self> {
        let began = Instant::now();
        let threads = pool(py, run.config().run.threads)?;
        let arrays = arrays.map(|arrays| arrays.get().0.clone());
        let mut run = run.on(arrays);
        let widened = py.detach(|| threads.install(|| run.widen()));
        if let Some(text) = widened.map_err(|error| raised(py, &error))? {
            warn(py, &text.into())?;
        }
        Ok(Self {
            run: Mutex::new(Some(Arc::new(run))),
            threads,
            began,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<run::Job>>> {
        // Locked data is consistent at all times, even after a panic.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, py: Python<'_>) -> PyResult<Arc<run::Job>> {
        let run = self.lock().clone();
        run.ok_or_else(|| exception(py, "InternalError", "the run is closed"))
    }

    /// Runs a stage that may change the settings of the run, and keeps these.
    fn changing<T: Send>(
        &self,
        py: Python<'_>,
        listener: Option<&Py<PyAny>>,
        work: impl FnOnce(&mut run::Job, &mut dyn Observer) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let mut run = run::Job::clone(&*self.run(py)?);
        let done = listen(py, &self.threads, listener, |observer| work(&mut run, observer));
        // It may have been closed meanwhile.
        if let Some(kept) = &mut *self.lock() {
            *kept = Arc::new(run);
        }
        done
    }

    fn stage<T: Send>(
        &self,
        py: Python<'_>,
        listener: Option<Py<PyAny>>,
        work: impl FnOnce(&run::Job, &mut dyn Observer) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let run = self.run(py)?;
        listen(py, &self.threads, listener.as_ref(), |observer| work(&run, observer))
    }
}

/// Checks that the run in `path`, if it exists, has the settings of a new run with these arguments.
#[pyfunction]
pub fn check_settings(py: Python<'_>, path: PathBuf, asked: Asked<'_>) -> PyResult<()> {
    let request = asked.request(py)?;
    check_same(&path, &request).map_err(|error| raised(py, &error))
}

/// How often a new run with these arguments trains its network.
#[pyfunction]
pub fn trainings(py: Python<'_>, asked: Asked<'_>) -> PyResult<usize> {
    let request = asked.request(py)?;
    let config = request.resolve().map_err(|error| raised(py, &error.into()))?;
    Ok(config.network.beside.trainings())
}

/// The content of a file of the run in `path`; `None` if it does not exist.
#[pyfunction]
pub fn read<'py>(py: Python<'py>, path: PathBuf, name: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let read = py.detach(|| Folder::open(&path)?.read(name, MOST_LINES_BYTES));
    let contents = read.map_err(|error| raised(py, &error.into()))?;
    Ok(contents.map(|contents| PyBytes::new(py, &contents)))
}

/// Writes the report of a run while further networks are trained in its directory. An error is
/// ignored: it is reported when the last report is written.
fn refresh_report(run: &run::Job) {
    drop(da2s_report::write_report(run.directory().path()));
}

/// Writes the report of a run, by default into its directory, or of several runs side by side.
#[pyfunction]
pub fn report(py: Python<'_>, paths: Vec<PathBuf>, out: PathBuf) -> PyResult<()> {
    py.detach(|| da2s_report::write_page(&paths, &out))
        .map_err(|error| not_reported(py, &error))
}

/// Draws a run and returns the paths of the pictures.
#[pyfunction]
pub fn draw(py: Python<'_>, path: PathBuf, formats: Vec<String>, folder: Option<PathBuf>) -> PyResult<Vec<PathBuf>> {
    let known = drawing::DrawingFormat::ALL;
    let format = |name: &String| {
        let found = known.iter().copied().find(|format| format.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|format| format.name()).collect();
            let names = names.join(", ");
            exception(py, "ConfigError", &format!("format = {name}: expected one of {names}"))
        })
    };
    let formats = formats.iter().map(format).collect::<PyResult<Vec<_>>>()?;
    py.detach(|| da2s_report::write_drawings(&path, &formats, folder.as_deref()))
        .map_err(|error| not_reported(py, &error))
}

/// A genotype in any form, as standard text.
#[pyfunction]
pub fn genotype(py: Python<'_>, text: &str) -> PyResult<String> {
    let parsed = Genotype::parse(text).map_err(|error| raised(py, &Error::Genotype { path: None, error }))?;
    Ok(parsed.to_string())
}

/// The genotype of a network by name, as standard text.
#[pyfunction]
pub fn network(py: Python<'_>, name: &str) -> PyResult<String> {
    let genotype = named_network(py, name)?.genotype();
    let genotype = genotype.map_err(|error| raised(py, &Error::Genotype { path: None, error }))?;
    Ok(genotype.to_string())
}

/// The genotype in a file, or `FILE:NAME`, as standard text.
#[pyfunction]
pub fn genotype_file(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    let read = read_genotype(&path).map_err(|error| raised(py, &error))?;
    Ok(read.to_string())
}

/// Compares the run in `path` with a new run of `request`: settings that are not given must have
/// their defaults, whereas a resumed run would keep its own.
fn check_same(path: &Path, request: &Request) -> Result<(), Error> {
    let asked = run::anchored(request.resolve()?);
    let directory = match RunDirectory::read(path) {
        Err(Error::NotARun { .. }) => return Ok(()),
        read => read?,
    };
    match run::difference(&directory.config()?, &asked) {
        Some(problem) => Err(Error::Mismatch {
            path: directory.file(CONFIG),
            problem,
            hints: &OTHER_SETTINGS,
        }),
        None => Ok(()),
    }
}

/// The genotype that a text describes, in any form.
fn parse(py: Python<'_>, text: Option<&str>) -> PyResult<Option<Genotype>> {
    let parsed = text.map(Genotype::parse).transpose();
    parsed.map_err(|error| raised(py, &Error::Genotype { path: None, error }))
}

/// The predictions of the trained network for `count` images, whose preprocessed values `read`
/// returns.
fn predict(
    run: &run::Job,
    count: usize,
    top: usize,
    observer: &dyn Observer,
    read: impl Fn(&Preprocessing, usize) -> Result<Vec<f32>, DataError> + Sync,
) -> Result<Vec<Classes>, Error> {
    let trained = run.trained()?;
    let device = da2s::device::open(&run.config().run.device)?;
    let preprocessing = &trained.description.preprocessing;
    let mut predictions = Vec::with_capacity(count);
    for first in (0..count).step_by(BATCH) {
        let batch = first..count.min(first + BATCH);
        let size = batch.len();
        let values: Vec<Vec<f32>> = batch
            .into_par_iter()
            .map(|at| read(preprocessing, at))
            .collect::<Result<_, _>>()?;
        let logits = trained.finite_logits(values.concat(), size, &device)?;
        predictions.extend(logits.chunks(preprocessing.classes.len()).map(|logits| {
            let classes = most_probable(&preprocessing.classes, logits, top);
            classes
                .into_iter()
                .map(|class| (class.name, class.probability))
                .collect()
        }));
        if observer.stop() {
            return Err(EvaluateError::Stopped.into());
        }
    }
    Ok(predictions)
}
