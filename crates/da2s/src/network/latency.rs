//! Latency from a table of blocks: the time of a network is the sum of the times of its blocks.
//!
//! Reference: Wu et al., "FBNet", CVPR 2019, section 3.2.2 (a table of operators, whose times add
//! up). A table is CSV with a line per block, read by the names of its columns: `block`, `inputs`,
//! `outputs` (channels), `height`, `width` (of the input), `stride`, `ms`; `threads`, `engine` and
//! `machine` are optional and equal in all lines; other columns are ignored, and so are lines that
//! begin with `#`. Contract: the time of a block that keeps size and channels includes its shortcut
//! ([`Block::shortcut`]); all other sums, and concatenations, cost nothing; a block that is not in
//! the table is an error that names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use da2s_engine::{Block, BlockShape, CLASSIFIER, Edge};
use da2s_records::{FileError, Kind, read_input};

use super::cost::{classes, input_sizes, stage_sizes};
use super::cost_tables::{Candidate, candidates};
use crate::backbone::Backbone;
use crate::space::Space;

/// Maximum size of a file with a table: more than any table has.
const MOST_BYTES: u64 = 1 << 24;

/// The times of blocks on one device.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyTable {
    path: PathBuf,
    /// How they were measured.
    pub conditions: Conditions,
    times_ms: BTreeMap<BlockShape, f64>,
}

/// How a table was measured; unknown in tables that do not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Number of threads.
    pub threads: Option<usize>,
    /// The program that ran the blocks.
    pub engine: Option<String>,
    /// The machine.
    pub machine: Option<String>,
}

/// Why there is no latency.
#[derive(Debug, thiserror::Error)]
pub enum LatencyError {
    /// A table that cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that is not such a table.
    #[error("{}, line {line}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The problem.
        problem: String,
    },
    /// A block that is not in the table.
    #[error("{} has no line for the block {shape}: measure the blocks of this network", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The block.
        shape: BlockShape,
    },
    /// A limit for which no width is found.
    #[error(
        "there is no width at which {} has all blocks of the network and their times sum to at most {limit_ms} ms: measure the blocks at more widths, or raise the limit",
        path.display()
    )]
    NoWidth {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_ms: f64,
    },
}

impl LatencyError {
    /// The kind of the error.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::Files,
            Self::Damaged { .. } | Self::Missing { .. } | Self::NoWidth { .. } => Kind::Data,
        }
    }
}

/// A block that has a time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedBlock {
    /// Its name and sizes.
    pub shape: BlockShape,
    /// The block; `None` for the global mean and the classifier.
    pub block: Option<Block>,
}

impl LatencyTable {
    /// The table of the times of blocks in milliseconds.
    pub fn new(path: &Path, conditions: Conditions, times_ms: impl IntoIterator<Item = (BlockShape, f64)>) -> Self {
        Self {
            path: path.to_owned(),
            conditions,
            times_ms: times_ms.into_iter().collect(),
        }
    }

    /// Reads a table.
    ///
    /// # Errors
    /// If it cannot be read or a line is invalid.
    pub fn read(path: &Path) -> Result<Self, LatencyError> {
        let bytes = read_input(path, MOST_BYTES)?;
        let damaged = |line: u64, problem: String| LatencyError::Damaged {
            path: path.to_owned(),
            line,
            problem,
        };
        let invalid = |error: csv::Error| damaged(error.position().map_or(1, csv::Position::line), error.to_string());
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(bytes.as_slice());
        let header = reader.headers().map_err(invalid)?.clone();
        let column = |name: &str| header.iter().position(|title| title == name);
        let required = |name: &str| {
            let problem =
                || format!("there is no column `{name}`; expected block,inputs,outputs,height,width,stride,ms");
            column(name).ok_or_else(|| damaged(1, problem()))
        };
        let block = required("block")?;
        let sizes = ["inputs", "outputs", "height", "width", "stride"];
        let mut at = [0; 5];
        for (at, name) in at.iter_mut().zip(sizes) {
            *at = required(name)?;
        }
        let ms = required("ms")?;
        let [threads, engine, machine] = ["threads", "engine", "machine"].map(column);
        let mut table = Self::new(path, Conditions::default(), []);
        for record in reader.records() {
            let record = record.map_err(invalid)?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell = |at: usize| record.get(at).unwrap_or_default();
            let mut numbers = [0_usize; 5];
            for ((number, &at), name) in numbers.iter_mut().zip(&at).zip(sizes) {
                let parsed = cell(at).parse().ok().filter(|&number: &usize| number > 0);
                *number = parsed.ok_or_else(|| {
                    damaged(
                        line,
                        format!("{name} is {:?}, expected a whole number from 1", cell(at)),
                    )
                })?;
            }
            let [inputs, outputs, height, width, stride] = numbers;
            let time_ms: Option<f64> = cell(ms).parse().ok();
            let time_ms = time_ms
                .filter(|ms| ms.is_finite() && *ms >= 0.0)
                .ok_or_else(|| damaged(line, format!("ms is {:?}, expected a time in milliseconds", cell(ms))))?;
            let shape = BlockShape {
                block: cell(block).to_owned(),
                inputs,
                outputs,
                height,
                width,
                stride,
            };
            let word = |at: Option<usize>| at.map(cell).filter(|word| !word.is_empty()).map(str::to_owned);
            let number = |text: String| {
                let refused = |_| damaged(line, format!("threads is {text:?}, expected a whole number"));
                text.parse().map_err(refused)
            };
            let conditions = Conditions {
                threads: word(threads).map(number).transpose()?,
                engine: word(engine),
                machine: word(machine),
            };
            if table.times_ms.is_empty() {
                table.conditions = conditions;
            } else if table.conditions != conditions {
                let problem =
                    "threads, engine or machine differ from those of the lines before: a table is for one device";
                return Err(damaged(line, problem.to_owned()));
            }
            if let Some(other) = table.times_ms.insert(shape.clone(), time_ms) {
                return Err(damaged(line, format!("{shape} already has a line, with {other} ms")));
            }
        }
        if table.times_ms.is_empty() {
            return Err(damaged(1, "the table has no line".to_owned()));
        }
        Ok(table)
    }

    /// The table as CSV.
    ///
    /// # Errors
    /// Never for names without line breaks.
    pub fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record([
            "block", "inputs", "outputs", "height", "width", "stride", "ms", "threads", "engine", "machine",
        ])?;
        let Conditions {
            threads,
            engine,
            machine,
        } = &self.conditions;
        let threads = threads.map_or_else(String::new, |threads| threads.to_string());
        for (shape, ms) in &self.times_ms {
            let sizes = [shape.inputs, shape.outputs, shape.height, shape.width, shape.stride];
            let mut record = vec![shape.block.clone()];
            record.extend(sizes.map(|size| size.to_string()));
            record.push(format!("{ms:.6}"));
            record.push(threads.clone());
            record.extend([engine, machine].map(|word| word.clone().unwrap_or_default()));
            writer.write_record(&record)?;
        }
        writer
            .into_inner()
            .map_err(|error| csv::Error::from(error.into_error()))
    }

    /// The time of a block in milliseconds.
    ///
    /// # Errors
    /// If it is not in the table.
    pub fn of_block(&self, shape: &BlockShape) -> Result<f64, LatencyError> {
        self.times_ms.get(shape).copied().ok_or_else(|| LatencyError::Missing {
            path: self.path.clone(),
            shape: shape.clone(),
        })
    }

    /// The largest number of output channels of a block; 0 in an empty table.
    pub(super) fn most_outputs(&self) -> usize {
        self.times_ms.keys().map(|shape| shape.outputs).max().unwrap_or(0)
    }

    /// The error for a network whose latency by this table is above `limit_ms`, or unknown, at
    /// every width.
    pub fn no_width(&self, limit_ms: f64) -> LatencyError {
        LatencyError::NoWidth {
            path: self.path.clone(),
            limit_ms,
        }
    }

    /// The time of a candidate in milliseconds; a candidate that computes nothing takes none.
    pub(crate) fn of_candidate(&self, candidate: &Candidate) -> Result<f64, LatencyError> {
        timed(candidate).map_or(Ok(0.0), |timed| self.of_block(&timed.shape))
    }

    /// The time of `network` for one square image with a side of `image_size` pixels, in
    /// milliseconds.
    ///
    /// # Errors
    /// If one of its blocks is not in the table.
    pub fn of_network(&self, network: &Backbone, image_size: usize) -> Result<f64, LatencyError> {
        let blocks = network_blocks(network, image_size);
        blocks.iter().map(|timed| self.of_block(&timed.shape)).sum()
    }
}

/// Every block that a network of `space` can have, once: those of `network`, which has every layer,
/// and every candidate at every position.
pub fn timed_blocks(space: &Space, network: &Backbone, image_size: usize) -> Vec<TimedBlock> {
    let choices = candidates(space, network, image_size);
    let choices = choices.iter().filter_map(timed);
    let mut blocks: Vec<TimedBlock> = network_blocks(network, image_size).into_iter().chain(choices).collect();
    blocks.sort_by(|a, b| a.shape.cmp(&b.shape));
    blocks.dedup_by(|a, b| a.shape == b.shape);
    blocks
}

/// The blocks of a network that take time, in order.
pub fn network_blocks(network: &Backbone, image_size: usize) -> Vec<TimedBlock> {
    let stages = network.stages();
    let sizes = stage_sizes(stages, image_size);
    let mut blocks = Vec::new();
    for stage in stages {
        let plan = stage.cell.plan();
        let inputs = input_sizes(stage, &sizes, image_size);
        let nodes = plan.node_sizes(&inputs);
        let before = plan.preprocess.iter().zip(&inputs);
        let before = before.filter_map(|(choice, &size)| Some((choice.as_ref()?, size)));
        let edges = plan.edges.iter().flat_map(|edge| {
            let own = edge.choices.iter().filter(|choice| !is_shortcut(choice.block, edge));
            own.map(|choice| (choice, nodes[edge.from]))
        });
        let all = before.chain(edges).filter(|(choice, _)| takes_time(choice.block));
        blocks.extend(all.map(|(choice, size)| TimedBlock {
            shape: choice.block.shape(choice.inputs, choice.outputs, size),
            block: Some(choice.block),
        }));
    }
    let (height, width) = sizes.last().copied().unwrap_or_default();
    blocks.push(TimedBlock {
        shape: BlockShape {
            block: CLASSIFIER.to_owned(),
            inputs: stages.last().map_or(0, |stage| stage.cell.plan().output_channels()),
            outputs: classes(&network.parts()[stages.len()]),
            height,
            width,
            stride: 1,
        },
        block: None,
    });
    blocks
}

/// Whether `block` is the shortcut of another one on `edge`, whose time includes it.
fn is_shortcut(block: Block, edge: &Edge) -> bool {
    // A residual block of the space `mobile` has the identity beside it, not ReLU as in `plain`.
    let has_residual = |other: Block| block == Block::Identity && matches!(other, Block::Basic { .. });
    let mut others = edge.choices.iter();
    others.any(|other| other.block.shortcut(other.inputs, other.outputs) == Some(block) || has_residual(other.block))
}

fn takes_time(block: Block) -> bool {
    !matches!(block, Block::Zero { .. })
}

fn timed(candidate: &Candidate) -> Option<TimedBlock> {
    let Candidate {
        block,
        inputs,
        outputs,
        size,
        ..
    } = *candidate;
    takes_time(block).then(|| TimedBlock {
        shape: block.shape(inputs, outputs, size),
        block: Some(block),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{NetworkSize, Stem};
    use crate::network::network;
    use crate::space::{ChainShape, Genotype, Operation, Reductions, StageShape};
    use da2s_engine::{ActivationFunction, Engine};

    fn table(text: &str) -> Result<LatencyTable, LatencyError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        LatencyTable::read(&path)
    }

    const HEAD: &str = "block,inputs,outputs,height,width,stride,ms\n";

    /// A block is named after its operation and the activation function, whether it is in the
    /// network or only a candidate.
    #[test]
    fn blocks_are_named_after_the_operation_and_the_activation_function() {
        let candidates = vec![Operation::MbConvK3E1, Operation::MbConvK3E3, Operation::MbConvK5E6];
        let space = Space::mobile([2], candidates);
        for (function, ending) in [
            (ActivationFunction::Relu, ""),
            (ActivationFunction::Relu6, "_relu6"),
            (ActivationFunction::HardSwish, "_hard_swish"),
        ] {
            let network = small_with(function);
            let blocks = timed_blocks(&space, &network, 32);
            let names: Vec<&str> = blocks.iter().map(|timed| timed.shape.block.as_str()).collect();
            for operation in &space.operations {
                assert!(names.contains(&format!("{operation}{ending}").as_str()), "{names:?}");
            }
            let mut bottlenecks = names.iter().filter(|name| name.contains("mbconv"));
            // Before the ending for the activation function, a name ends with a number: the
            // expansion.
            let whole = |name: &&str| {
                name.strip_suffix(ending)
                    .is_some_and(|name| name.ends_with(char::is_numeric))
            };
            assert!(bottlenecks.all(whole), "{names:?}");
        }
    }

    fn small() -> Backbone {
        small_with(ActivationFunction::Relu)
    }

    fn small_with(activation: ActivationFunction) -> Backbone {
        let size = NetworkSize {
            stem: Stem::Cifar,
            channels: 16,
            cells: 1,
            reductions: Reductions::At(Vec::new()),
            image_channels: 3,
            image_size: 32,
            classes: 10,
            auxiliary: false,
            chain: ChainShape {
                stem_channels: 16,
                stem_stride: 1,
                stages: [[24, 2, 2]].map(StageShape::from).to_vec(),
                head_channels: 64,
                activation,
                ..ChainShape::default()
            },
        };
        let genotype = Genotype::parse("Genotype(stages=[['mbconv_k3_e3', 'mbconv_k5_e6']])").unwrap();
        network(&genotype, size, &Engine::Plain).unwrap()
    }

    #[test]
    fn a_latency_is_the_sum_of_the_blocks() {
        let blocks = network_blocks(&small(), 32);
        let names: Vec<String> = blocks.iter().map(|timed| timed.shape.to_string()).collect();
        // The residual of the second layer belongs to its block.
        let expected = [
            "conv_3x3, 3 to 16 channels, 32×32 pixels, stride 1",
            "relu_mbconv_k3_e1, 16 to 8 channels, 32×32 pixels, stride 1",
            "mbconv_k3_e3, 8 to 24 channels, 32×32 pixels, stride 2",
            "mbconv_k5_e6, 24 to 24 channels, 16×16 pixels, stride 1",
            "conv_1x1, 24 to 64 channels, 16×16 pixels, stride 1",
            "classifier, 64 to 10 channels, 16×16 pixels, stride 1",
        ];
        assert_eq!(names, expected);
        let conditions = Conditions {
            threads: Some(1),
            engine: Some("an engine, \"quoted\"".to_owned()),
            machine: None,
        };
        let times = blocks
            .iter()
            .map(|timed| timed.shape.clone())
            .zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0]);
        let written = LatencyTable::new(Path::new("t.csv"), conditions, times);
        let text = String::from_utf8(written.to_csv().unwrap()).unwrap();
        let read = table(&text).unwrap();
        assert_eq!(
            (&read.times_ms, &read.conditions),
            (&written.times_ms, &written.conditions)
        );
        assert_eq!(read.of_network(&small(), 32).unwrap(), 31.5);
        // Another order of the columns, a comment line, and an additional column.
        let other =
            "# measured by hand\nms,note,stride,block,inputs,outputs,height,width\n0.25,,1,conv_3x3,3,16,32,32\n";
        let missing = table(other).unwrap().of_network(&small(), 32).unwrap_err().to_string();
        assert!(
            missing.contains("no line for the block relu_mbconv_k3_e1, 16 to 8 channels, 32×32 pixels, stride 1"),
            "{missing}"
        );
    }

    #[test]
    fn invalid_lines_are_named() {
        let says = |text: &str, parts: &[&str]| {
            let error = table(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        };
        says("block,inputs\n", &["line 1", "no column `outputs`"]);
        says(HEAD, &["no line"]);
        says(&format!("{HEAD}a,1,1,1,1,1,fast\n"), &["line 2", "ms is \"fast\""]);
        says(&format!("{HEAD}a,1,1,1,1,1,-1\n"), &["line 2", "ms is \"-1\""]);
        says(&format!("{HEAD}a,1,0,1,1,1,1\n"), &["line 2", "outputs is \"0\""]);
        says(&format!("{HEAD}a,1,1,1,1,1\n"), &["line 2"]);
        let twice = format!("{HEAD}a,1,1,1,1,1,1\nb,1,1,1,1,1,1\na,1,1,1,1,1,2\n");
        says(&twice, &["line 4", "a, 1 to 1 channels", "has a line, with 1 ms"]);
        let two = "block,inputs,outputs,height,width,stride,ms,engine\na,1,1,1,1,1,1,x\nb,1,1,1,1,1,1,y\n";
        says(two, &["line 3", "a table is for one device"]);
    }
}
