//! Data sets from Python: their names, the content of a folder, arrays in memory, and the images
//! that a run would use.

use std::path::PathBuf;
use std::sync::Arc;

use da2s::data::{self, Dataset, Format, ImageShape, LabelledImages, Split, open};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::{exception, raised};
use crate::request::Asked;

/// Channels, rows and columns of every image.
pub type Shape = (usize, usize, usize);

/// Images of one shape, as passed by Python: channels, rows, columns; bytes in planes; labels.
type Images<'py> = (Shape, Bound<'py, PyBytes>, Vec<u32>);

/// Labelled images in memory.
#[pyclass(frozen, module = "da2s._native")]
pub struct Arrays(pub Arc<data::Arrays>);

#[pymethods]
impl Arrays {
    #[new]
    fn new(py: Python<'_>, class_names: Vec<String>, train: Images<'_>, test: Option<Images<'_>>) -> PyResult<Self> {
        let (train, test) = (labelled(train), test.map(labelled));
        let arrays = py.detach(|| data::Arrays::new(class_names, train, test));
        match arrays {
            Ok(arrays) => Ok(Self(Arc::new(arrays))),
            Err(error) => Err(raised(py, &error.into())),
        }
    }

    /// Channels, rows and columns.
    #[getter]
    fn shape(&self) -> Shape {
        sizes(self.0.shape())
    }
}

/// Names of the data sets that are read from files, or built in.
#[pyfunction]
pub fn datasets() -> Vec<&'static str> {
    Format::readable().map(Format::name).collect()
}

/// Names of the data sets whose files a folder seems to contain.
#[pyfunction]
pub fn formats_in(folder: PathBuf) -> Vec<&'static str> {
    Format::in_folder(&folder).into_iter().map(Format::name).collect()
}

/// A part of a data set: bytes in planes, and labels.
type LoadedPart<'py> = (Bound<'py, PyBytes>, Vec<u32>);

/// Class names, the shape of every image, training, validation and test images.
type Loaded<'py> = (Vec<String>, Shape, Vec<LoadedPart<'py>>);

/// The images that a run with these settings would use.
#[pyfunction]
pub fn load<'py>(py: Python<'py>, asked: Asked<'py>) -> PyResult<Loaded<'py>> {
    let config = asked
        .request(py)?
        .resolve()
        .map_err(|error| raised(py, &error.into()))?;
    let threads = pool(py, config.run.threads)?;
    let read = || -> Result<_, data::DataError> {
        let dataset = open(config.data.dataset, config.data.dir.as_deref(), &config.data_options())?;
        let pixels = splits(&dataset)
            .into_iter()
            .map(pixels)
            .collect::<Result<Vec<_>, _>>()?;
        Ok((dataset, pixels))
    };
    let (dataset, pixels) = py
        .detach(|| threads.install(read))
        .map_err(|error| raised(py, &error.into()))?;
    let parts = splits(&dataset)
        .into_iter()
        .zip(pixels)
        .map(|(split, pixels)| (PyBytes::new(py, &pixels), split.labels().to_vec()));
    Ok((dataset.class_names.clone(), sizes(dataset.shape), parts.collect()))
}

/// A pool of this many threads, 0 for one per core. Rayon's global pool cannot be used: its threads
/// do not exist in a process that Python forked, which would wait for them forever.
///
/// # Errors
/// `da2s.FileError` if the system cannot start more threads.
pub fn pool(py: Python<'_>, threads: usize) -> PyResult<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| exception(py, "FileError", &format!("cannot start the threads: {error}")))
}

/// Training, validation and test images.
fn splits(dataset: &Dataset) -> [&Split; 3] {
    data::Part::ALL.map(|part| dataset.part(part).as_ref())
}

/// The bytes of all images.
fn pixels(split: &Split) -> Result<Vec<u8>, data::DataError> {
    let mut pixels = Vec::new();
    for index in 0..split.len() {
        pixels.extend_from_slice(split.image(index)?.pixels());
    }
    Ok(pixels)
}

fn labelled((shape, pixels, labels): Images<'_>) -> LabelledImages {
    LabelledImages {
        shape: to_shape(shape),
        pixels: pixels.as_bytes().to_vec(),
        labels,
    }
}

/// Channels, rows and columns as the library's shape.
pub const fn to_shape((channels, height, width): Shape) -> ImageShape {
    ImageShape {
        channels,
        height,
        width,
    }
}

const fn sizes(shape: ImageShape) -> Shape {
    (shape.channels, shape.height, shape.width)
}
