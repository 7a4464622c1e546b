//! The arguments of the commands that work on one run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use da2s::config::{ConfigError, Layer, Request};
use da2s::discretize::Rule;
use da2s::export::ExportFormat;
use da2s::network::Resource;
use da2s::planner::parse_time;
use da2s::run::FrontRequest;
use da2s::space::{EdgeCount, NamedNetwork};
use da2s_infer::int8::RangeSetting;
use da2s_report::drawing::DrawingFormat;

use super::settings::{
    CpuStageArguments, CreateArguments, GivenGenotype, ImageStageArguments, LiveArguments, StageArguments, images_in,
};
use super::values::{bytes, count, depth, milliseconds, one_of};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The run.
    #[command(flatten)]
    pub create: CreateArguments,
    /// A genotype that takes the place of the search.
    #[command(flatten)]
    pub given: GivenGenotype,
    /// Do not search: train this network. Under a limit such as --max-multiply-adds it is as wide
    /// as the limit allows, unless network.channels is set
    #[arg(long, value_name = "NAME", conflicts_with_all = ["genotype", "genotype_file", "space"],
        value_parser = PossibleValuesParser::new(NamedNetwork::names()))]
    network: Option<String>,
    /// Finish in about this time, such as 30m, 8h or 1h30m. A few steps are measured first; they
    /// determine sizes, batches and epochs of search and training, except those that you set; a
    /// short training leaves out cutout and drop-path. Another machine may choose others.
    /// config.toml records what was chosen: with it, and the same --network or --genotype, `da2s
    /// run --config` repeats the run
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub time: Option<Duration>,
    /// Train the final network N times, each from its own seed, for the mean and the standard
    /// deviation of its accuracy. The first is the network of the run
    #[arg(long, value_name = "N")]
    seeds: Option<u32>,
}

impl RunArguments {
    /// The settings whose flags only this command has.
    ///
    /// # Errors
    /// If a flag has an invalid value.
    pub fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        let layer = |seeds: u32| Layer::flag("--seeds", "network.seeds", i64::from(seeds).into());
        self.seeds.map(layer).into_iter().collect()
    }

    /// The network that takes the place of the search, if one was requested.
    pub fn network(&self) -> Option<NamedNetwork> {
        NamedNetwork::from_name(self.network.as_deref()?)
    }
}

/// Arguments of `discretize`.
#[derive(Debug, Args)]
pub struct DiscretizeArguments {
    /// The run.
    #[command(flatten)]
    pub stage: ImageStageArguments,
    /// Take this genotype instead of the search's: "Genotype(normal=[…], …)"
    #[arg(long, value_name = "TEXT", conflicts_with = "rule")]
    pub genotype: Option<String>,
    /// What decides which operations and edges stay. Replaces the run's rule
    #[arg(long, value_name = "RULE", value_parser = Rule::ALL.map(Rule::name))]
    pub rule: Option<String>,
    /// Tune the weights for N epochs after each decision of the rule perturbation. Replaces the
    /// run's number. A tuning that was stopped continues
    #[arg(long, value_name = "N", conflicts_with = "genotype")]
    pub tuning_epochs: Option<u32>,
}

/// The setting for the number of tuning epochs. It is 0 with a rule that does not tune.
pub const TUNING_EPOCHS: &str = "discretize.tuning_epochs";

/// Whether the rule of this name may tune. If not, epochs of tuning that were set for another rule
/// do not apply to it.
pub fn may_tune(rule: &str) -> bool {
    Rule::from_name(rule).is_none_or(Rule::tunes)
}

impl DiscretizeArguments {
    /// The requested machine, location of the images, and rule.
    ///
    /// # Errors
    /// If a flag has an invalid value.
    pub fn request(&self) -> Result<Request, ConfigError> {
        let mut request = self.stage.request()?;
        if let Some(rule) = &self.rule {
            let layer = Layer::flag("--rule", "discretize.rule", rule.as_str().into())?;
            request.layers.push(layer);
            if self.tuning_epochs.is_none() && !may_tune(rule) {
                let layer = Layer::flag("--rule", TUNING_EPOCHS, 0.into())?;
                request.layers.push(layer);
            }
        }
        if let Some(epochs) = self.tuning_epochs {
            let epochs = i64::from(epochs).into();
            let layer = Layer::flag("--tuning-epochs", TUNING_EPOCHS, epochs)?;
            request.layers.push(layer);
        }
        Ok(request)
    }
}

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArguments {
    /// The run.
    #[command(flatten)]
    pub stage: ImageStageArguments,
    /// Take the genotype in this file instead of the run's: any text that contains one (FILE:NAME
    /// if there are several)
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub genotype_file: Option<PathBuf>,
    /// Train for N epochs. Replaces the run's number. A training of another length starts from
    /// scratch, unless N is larger, network.decay is exponential, and network.drop_path is 0 or
    /// rises over the depth; then it continues
    #[arg(long = "epochs", alias = "train-epochs", value_name = "N")]
    pub train_epochs: Option<u32>,
    /// Continue from the checkpoint
    #[arg(long)]
    pub resume: bool,
    /// What is shown and written during the training.
    #[command(flatten)]
    pub live: LiveArguments,
}

impl TrainArguments {
    /// The requested machine, location of the images, and number of epochs.
    ///
    /// # Errors
    /// If a flag has an invalid value.
    pub fn request(&self) -> Result<Request, ConfigError> {
        let mut request = self.stage.request()?;
        request.layers.extend(epochs(self.train_epochs)?);
        Ok(request)
    }
}

/// Arguments of `front`.
#[derive(Debug, Args)]
pub struct FrontArguments {
    /// The run.
    #[command(flatten)]
    pub stage: ImageStageArguments,
    /// Widths, as multiples of the run's network.channels [default: 0.5,0.75,1,1.5; none if a limit
    /// is given]
    #[arg(long, value_name = "WIDTH,…", value_delimiter = ',', allow_negative_numbers = true)]
    widths: Vec<f64>,
    /// Numbers of cells, instead of the run's network.cells
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    cells: Vec<usize>,
    /// In the space mobile: how many layers each stage keeps (the strongest ones), instead of the
    /// run's target.depth; one number for all stages, or one per stage, such as 2/3/3/2
    #[arg(long, value_name = "DEPTH,…", value_delimiter = ',', value_parser = depth)]
    depths: Vec<EdgeCount>,
    /// Limits on multiply-adds, such as 5M,10M: for each limit, the widest network within it
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = count)]
    max_multiply_adds: Vec<f64>,
    /// Limits on parameters
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = count)]
    max_parameters: Vec<f64>,
    /// Limits on the bytes of the weights, stored in the run's target.precision
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', value_parser = bytes)]
    max_size: Vec<f64>,
    /// Limits on the bytes of the activations at batch 1, stored in target.precision
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', value_parser = bytes)]
    max_ram: Vec<f64>,
    /// Limits on the latency by the table; only widths whose blocks are all in the table are
    /// considered
    #[arg(long, value_name = "TIME,…", value_delimiter = ',', value_parser = milliseconds)]
    max_latency: Vec<f64>,
    /// Table of the latencies of blocks, instead of the run's target.latency_table
    #[arg(long, value_name = "FILE")]
    latency_table: Option<PathBuf>,
    /// Train each network for N epochs instead of the run's network.epochs
    #[arg(long = "epochs", alias = "train-epochs", value_name = "N")]
    train_epochs: Option<u32>,
}

impl FrontArguments {
    /// The requested machine, location of the images, number of epochs and table of latencies.
    ///
    /// # Errors
    /// If a flag has an invalid value.
    pub fn request(&self) -> Result<Request, ConfigError> {
        let mut request = self.stage.request()?;
        request.layers.extend(epochs(self.train_epochs)?);
        if let Some(path) = &self.latency_table {
            let path = path.to_string_lossy().into_owned();
            let layer = Layer::flag("--latency-table", "target.latency_table", path.into())?;
            request.layers.push(layer);
        }
        Ok(request)
    }

    /// The requested networks.
    pub fn front(&self) -> FrontRequest {
        let limits = [
            (Resource::MultiplyAdds, &self.max_multiply_adds),
            (Resource::Parameters, &self.max_parameters),
            (Resource::Size, &self.max_size),
            (Resource::Ram, &self.max_ram),
            (Resource::Latency, &self.max_latency),
        ];
        let limits = limits
            .into_iter()
            .flat_map(|(resource, limits)| limits.iter().map(move |&limit| (resource, limit)));
        FrontRequest {
            widths: self.widths.clone(),
            limits: limits.collect(),
            cells: self.cells.clone(),
            depths: self.depths.clone(),
        }
    }
}

/// The setting for a requested number of epochs of the training.
fn epochs(epochs: Option<u32>) -> Result<Option<Layer>, ConfigError> {
    let layer = |epochs: u32| Layer::flag("--epochs", "network.epochs", i64::from(epochs).into());
    epochs.map(layer).transpose()
}

/// Arguments of `predict`.
#[derive(Debug, Args)]
#[command(mut_arg("on_nan", |arg| arg.hide(true)))]
pub struct PredictArguments {
    /// The run.
    #[command(flatten)]
    pub stage: StageArguments,
    /// Image files (JPEG, PNG, WebP, BMP, TIFF or GIF), or folders of them
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Classes to name for each image, the most probable first
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
    /// Print a JSON array instead of lines; the entry of an image that cannot be read has an
    /// `error`
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `quantise`.
#[derive(Debug, Args)]
pub struct QuantiseArguments {
    /// The run.
    #[command(flatten)]
    pub stage: CpuStageArguments,
    /// Folder of the run's images, if it has moved; the images must be the same
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Number of training images from which the ranges of the activations are determined
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub images: u32,
    /// How a range is determined from the observed values: the one with the smallest mean squared
    /// error, or from the smallest to the largest value
    #[arg(long, default_value_t = RangeSetting::Mse, value_parser = one_of(RangeSetting::ALL))]
    pub range: RangeSetting,
}

impl QuantiseArguments {
    /// The requested machine and location of the images.
    ///
    /// # Errors
    /// If a flag has an invalid value.
    pub fn request(&self) -> Result<Request, ConfigError> {
        let mut request = self.stage.request()?;
        request.layers.extend(images_in(self.data_dir.as_deref())?);
        Ok(request)
    }
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Run directory
    pub run: PathBuf,
    /// What to write
    #[arg(long, value_parser = one_of(ExportFormat::ALL))]
    pub format: ExportFormat,
    /// File, or folder for pytorch. An existing one is replaced, and preprocessing.json is written
    /// beside it [default: RUN/export/network.onnx, …/pytorch, …/network.safetensors]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Fold batch norms into the convolutions before them, if both belong to the same operation
    /// (onnx)
    #[arg(long)]
    pub fold_batch_norms: bool,
    /// Include the preprocessing in the graph, which then takes uint8 images N×H×W×3 of any size,
    /// the same for all (onnx)
    #[arg(long)]
    pub with_preprocessing: bool,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(mut_arg("resume", |arg| arg.hide(true)))]
#[command(mut_arg("genotype", |arg| arg.help("Genotype of the network in --weights")))]
#[command(mut_arg("genotype_file", |arg| arg.help("Genotype of the network in --weights, in this file")))]
pub struct ImportArguments {
    /// The run.
    #[command(flatten)]
    pub create: CreateArguments,
    /// Weights of a network: safetensors under the names of DARTS or NAS-Bench-201, as `da2s
    /// export` and PyTorch write them
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "supernet",
        conflicts_with = "supernet"
    )]
    pub weights: Option<PathBuf>,
    /// Weights of a super-network, with alphas_normal and alphas_reduce (arch_parameters in
    /// NAS-Bench-201)
    #[arg(long, value_name = "FILE")]
    pub supernet: Option<PathBuf>,
    /// The genotype of the network.
    #[command(flatten)]
    pub given: GivenGenotype,
}

/// Arguments of `draw`.
#[derive(Debug, Args)]
pub struct DrawArguments {
    /// Run directory
    pub run: PathBuf,
    /// Formats of the pictures; dot, for Graphviz, is for cells only
    #[arg(long, value_name = "FORMAT,…", value_delimiter = ',', default_value = "svg",
        value_parser = PossibleValuesParser::new(DrawingFormat::ALL.iter().map(|format| format.name())))]
    pub format: Vec<String>,
    /// Folder of the pictures [default: drawings in the run directory]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// Run directory
    pub run: PathBuf,
    /// Serve a page that updates itself, instead of the dashboard; a port alone means
    /// 127.0.0.1; 0 chooses a free port
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = da2s_pages::address::parse)]
    pub http: Option<SocketAddr>,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The run.
    #[command(flatten)]
    pub stage: CpuStageArguments,
    /// Address of the page; a port alone means 127.0.0.1; 0 chooses a free port
    #[arg(long, value_name = "[ADDRESS:]PORT", default_value = "8000", value_parser = da2s_pages::address::parse)]
    pub http: SocketAddr,
    /// Allow an address that other machines can reach, such as 0.0.0.0:8000. There is no password
    #[arg(long)]
    pub public: bool,
    /// Classes to name for an image, the most probable first
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
}
