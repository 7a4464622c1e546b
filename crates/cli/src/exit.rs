//! Why the command failed, in a sentence, and the one table of exit codes.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use da2s::Error;
use da2s::config::ConfigError;
use da2s::data::Format;
use da2s::discretize::FormError;
use da2s::error::{Kind, sentence};
use da2s::space::arch_201::Arch201Error;
use da2s::space::lookup::BenchmarkError;
use da2s_report::ReportError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Everything asked for was done.
    Done,
    /// Arguments, configuration or target.
    Usage,
    /// Images.
    Data,
    /// A genotype.
    Genotype,
    /// A run directory.
    RunDirectory,
    /// A device.
    Device,
    /// Reading or writing files.
    Files,
    /// Numbers that are none.
    Numbers,
    /// Runs of a comparison.
    Runs,
    /// A download.
    Network,
    /// Processes of MPI.
    Processes,
    /// A defect of da2s.
    Internal,
    /// Stopped by the user.
    Stopped,
}

impl Code {
    const ALL: [Self; 13] = [
        Self::Done,
        Self::Usage,
        Self::Data,
        Self::Genotype,
        Self::RunDirectory,
        Self::Device,
        Self::Files,
        Self::Numbers,
        Self::Runs,
        Self::Network,
        Self::Processes,
        Self::Internal,
        Self::Stopped,
    ];

    /// The table: code, meaning.
    const fn row(self) -> (u8, &'static str) {
        match self {
            Self::Done => (0, "done"),
            Self::Usage => (2, "an argument, a setting or a target that cannot be"),
            Self::Data => (
                3,
                "images, or a table to look up in, that are missing or cannot be read",
            ),
            Self::Genotype => (
                4,
                "a text that is no genotype or architecture, or a genotype whose network is above the limits of the target",
            ),
            Self::RunDirectory => (
                5,
                "a run directory that exists already, is incomplete, damaged, or does not fit",
            ),
            Self::Device => (6, "a device that is not here"),
            Self::Files => (7, "a file that cannot be read or written: permissions, no space"),
            Self::Numbers => (8, "a loss or gradient that is not finite"),
            Self::Runs => (9, "runs of a comparison that failed"),
            Self::Network => (10, "a download that failed, or is not the published file"),
            Self::Processes => (11, "processes of MPI that do not go together"),
            Self::Internal => (70, "a defect of da2s"),
            Self::Stopped => (130, "stopped by Ctrl-C or a signal; --resume goes on"),
        }
    }

    /// The code where a process ends at once.
    pub fn number(self) -> i32 {
        self.row().0.into()
    }

    /// What another process of this program ended with; that of files where nothing of the table says how it failed.
    pub fn of_process(status: ExitStatus) -> Self {
        let known = Self::ALL.into_iter().find(|code| status.code() == Some(code.number()));
        known.filter(|code| *code != Self::Done).unwrap_or(Self::Files)
    }

    /// The table as `--help` shows it.
    pub fn help() -> String {
        let mut text = "Exit codes:\n".to_owned();
        for (number, meaning) in Self::ALL.map(Self::row) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {number:>3}  {meaning}");
        }
        text
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        code.row().0.into()
    }
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The library's reason.
    #[error(transparent)]
    Run(#[from] Error),
    /// The report's reason.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A genotype file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    GenotypeFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nothing can be written to the standard output.
    #[error("cannot write the result: {0}")]
    Output(io::Error),
    /// Threads that the system does not give.
    #[error("cannot start the threads: {0}; ask for fewer with --threads")]
    Threads(String),
    /// Images that cannot be decoded, each told before.
    #[error("{count} images cannot be decoded; replace them, or set data.bad_images = \"skip\"")]
    DamagedImages {
        /// How many.
        count: usize,
    },
    /// A folder that may hold more than one data set.
    #[error("{} may hold any of {}: say which with --dataset", path.display(), names.join(", "))]
    WhichDataset {
        /// The folder.
        path: PathBuf,
        /// The names of the data sets.
        names: Vec<&'static str>,
    },
    /// A data set that cannot be fetched.
    #[error("{format} cannot be fetched; its folder: {}", format.facts().folder)]
    NotPublished {
        /// The data set.
        format: Format,
    },
    /// A download that failed.
    #[error("cannot fetch {url}: {reason}")]
    Download {
        /// The address.
        url: String,
        /// What is in the way.
        reason: String,
    },
    /// A download that is not what was published.
    #[error("{} is not the published file (its SHA-256 differs) and was removed", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
    },
    /// A file under the name of a published one.
    #[error("{} is not the published file (its SHA-256 differs): move it away or choose another --out", path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
    },
    /// A benchmark whose process failed.
    #[error("cannot measure {case}: {reason}")]
    Bench {
        /// The case.
        case: &'static str,
        /// How the process ended.
        reason: String,
        /// Its exit code.
        code: Code,
    },
    /// A comparison that cannot be.
    #[error("{0}")]
    Plan(String),
    /// A comparison that is there and is another than that asked for.
    #[error("{} belongs to another comparison: {problem}", path.display())]
    OtherComparison {
        /// The file that says so.
        path: PathBuf,
        /// What differs.
        problem: String,
    },
    /// A comparison of which runs failed.
    #[error("{failed} of {of} runs failed: their reasons are in the table, their logs in {}; the same command tries them again", out.display())]
    RunsFailed {
        /// How many.
        failed: usize,
        /// Runs of the comparison.
        of: usize,
        /// Its directory.
        out: PathBuf,
    },
    /// The user stopped a comparison.
    #[error("stopped; the same command with --out {} goes on", out.display())]
    ComparisonStopped {
        /// Its directory.
        out: PathBuf,
    },
    /// A table that cannot be read or does not answer.
    #[error(transparent)]
    Benchmark(#[from] BenchmarkError),
    /// A text that is no architecture.
    #[error("{0}; an architecture reads |op~0|+|op~0|op~1|+|op~0|op~1|op~2|")]
    Architecture(#[from] Arch201Error),
    /// A run without an architecture of NAS-Bench-201.
    #[error("{} cannot be looked up: {problem}", path.display())]
    NotLookedUp {
        /// The run directory.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A genotype that a form cannot say.
    #[error(transparent)]
    Form(#[from] FormError),
    /// An option of another format.
    #[error("--fold-batch-norms is for --format onnx: {format} keeps the layers of DARTS")]
    NotFolded {
        /// The format.
        format: da2s::export::Format,
    },
    /// A folder without images.
    #[error("{} holds no files ending in .{}", path.display(), da2s::data::IMAGE_ENDINGS.join(", ."))]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// A wish for runs that nothing fulfils.
    #[error("{0}")]
    Listing(String),
    /// Arguments that do not go together.
    #[error("{0}")]
    Arguments(String),
    /// A dashboard where there is no terminal.
    #[error(
        "the dashboard needs a terminal, for its picture and its keys; without one, leave --tui away, or watch with `da2s watch DIR --http PORT`"
    )]
    NoTerminal,
    /// A terminal that does not do what it should.
    #[error("cannot use the terminal: {0}")]
    Terminal(io::Error),
    /// An address that cannot be listened on.
    #[error("cannot serve at {address}: {reason}; choose another port, or 0 for any that is free")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// MPI that does not start.
    #[cfg(feature = "mpi")]
    #[error("cannot join the processes of MPI: {0}")]
    Mpi(#[from] da2s::parallel::MpiError),
    /// A command that is for one process.
    #[error("only run, search and train work in several processes; start this command without mpirun")]
    OneProcess,
    /// The user stopped the run between two stages.
    #[error("stopped; go on with --resume")]
    Stopped,
    /// A panic.
    #[error("this is a defect of da2s; please report it with the lines above")]
    Internal,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Run(error.into())
    }
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> Code {
        match self {
            Self::Run(error) => code_of(error.kind()),
            Self::Report(
                ReportError::NotARun { .. }
                | ReportError::Damaged { .. }
                | ReportError::Picture { .. }
                | ReportError::NothingToDraw { .. },
            ) => Code::RunDirectory,
            Self::Report(ReportError::TooManyRuns { .. }) => Code::Usage,
            Self::Report(ReportError::Read { .. } | ReportError::Write { .. }) => Code::Files,
            Self::GenotypeFile { .. } | Self::Output(_) | Self::Terminal(_) | Self::Threads(_) => Code::Files,
            Self::Bench { code, .. } => *code,
            Self::Plan(_) | Self::Listing(_) | Self::Arguments(_) | Self::NoTerminal | Self::Listen { .. } => {
                Code::Usage
            }
            Self::RunsFailed { .. } => Code::Runs,
            Self::Benchmark(BenchmarkError::Read { .. }) => Code::Files,
            Self::Benchmark(BenchmarkError::Damaged { .. } | BenchmarkError::Absent { .. }) => Code::Data,
            Self::Architecture(_) | Self::Form(_) => Code::Genotype,
            Self::NotFolded { .. } => Code::Usage,
            Self::NoImages { .. } => Code::Data,
            Self::OtherComparison { .. } | Self::NotLookedUp { .. } => Code::RunDirectory,
            Self::Stopped | Self::ComparisonStopped { .. } => Code::Stopped,
            Self::DamagedImages { .. } => Code::Data,
            Self::WhichDataset { .. } | Self::NotPublished { .. } => Code::Usage,
            Self::Download { .. } | Self::Checksum { .. } => Code::Network,
            Self::OtherFile { .. } => Code::Files,
            #[cfg(feature = "mpi")]
            Self::Mpi(_) => Code::Processes,
            Self::OneProcess => Code::Usage,
            Self::Internal => Code::Internal,
        }
    }

    /// Tells the user and returns the exit code.
    pub fn tell(&self) -> ExitCode {
        // Where the standard error is closed there is nobody to tell, and the exit code still says it.
        let _ = writeln!(io::stderr(), "da2s: {}", self.sentence());
        self.code().into()
    }

    /// As [`Self::tell`], where it is process `rank` of several that failed.
    pub fn tell_as(&self, rank: usize) -> ExitCode {
        let _ = writeln!(io::stderr(), "da2s: process {rank}: {}", self.sentence());
        self.code().into()
    }

    /// The whole reason in one line that a terminal shows as it is, whatever names and values of others are in it.
    pub fn sentence(&self) -> String {
        sentence(self)
    }
}

const fn code_of(kind: Kind) -> Code {
    match kind {
        Kind::Usage => Code::Usage,
        Kind::Data => Code::Data,
        Kind::Genotype => Code::Genotype,
        Kind::RunDirectory => Code::RunDirectory,
        Kind::Device => Code::Device,
        Kind::Files => Code::Files,
        Kind::Numbers => Code::Numbers,
        Kind::Stopped => Code::Stopped,
        Kind::Internal => Code::Internal,
        Kind::Processes => Code::Processes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s::data::DataError;

    #[test]
    fn codes_are_distinct_and_in_the_help() {
        let mut numbers = Code::ALL.map(|code| code.row().0).to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Code::ALL.len());
        assert!(Code::help().contains("130  stopped by Ctrl-C"));
        for stopped in [Error::Unmeasured, Error::Stopped { epoch: 1 }] {
            assert_eq!(Failure::from(stopped).code(), Code::Stopped);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_code_of_a_process_is_passed_on() {
        use std::os::unix::process::ExitStatusExt;

        let ended = |code: i32| Code::of_process(ExitStatus::from_raw(code << 8));
        assert_eq!((ended(6), ended(130)), (Code::Device, Code::Stopped));
        // It says nothing, it is none of ours, or a signal ended it.
        let killed = Code::of_process(ExitStatus::from_raw(9));
        assert_eq!((ended(0), ended(1), killed), (Code::Files, Code::Files, Code::Files));
    }

    #[test]
    fn a_reason_is_told_once() {
        let source = || io::Error::new(io::ErrorKind::StorageFull, "no space left");
        let own: Failure = Error::io("write", "runs/a/config.toml", source()).into();
        assert_eq!(own.sentence(), "cannot write runs/a/config.toml: no space left");
        let chained: Failure = Error::from(DataError::Read {
            path: "train.bin".into(),
            source: source(),
        })
        .into();
        assert_eq!(chained.sentence(), "cannot read train.bin: no space left");
        assert_eq!((own.code(), chained.code()), (Code::Files, Code::Data));
    }
}
