//! Why the command failed: an error of the library, or one of the command line itself.
//!
//! Contract: an error is reported once, in one line that is safe for a terminal, with advice on how
//! to fix it.

use std::process::ExitCode;

use da2s::config::ConfigError;
use da2s::space::FormError;
use da2s::space::arch_201::Arch201Error;
use da2s::space::lookup::BenchmarkError;
use da2s::{Error, Hint};
use da2s_records::{FileError, LockError, sentence};
use da2s_report::ReportError;

use crate::exit::Code;
use crate::hints::with_hints;
use crate::terminal::tell;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An error of the library.
    #[error(transparent)]
    Run(#[from] Error),
    /// A command for a single process was started in several; each of them gets this error.
    #[error("only run, search and train work in several processes; start this command without mpirun")]
    OneProcess,
    /// `--time` was given for a run in several processes.
    #[error("--time plans a run in a single process; leave it out, or start this command without mpirun")]
    OneProcessPlan,
    /// An error of the command line itself.
    #[error("{reason}")]
    Own {
        /// The exit code.
        code: Code,
        /// The error message, one sentence.
        reason: String,
        /// What the user can do about it, beyond the message itself.
        hints: Vec<Hint>,
    },
}

impl Failure {
    /// An error of the command line itself.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self::hinted(code, reason, &[])
    }

    /// Like [`Self::new`], with advice for the user.
    pub fn hinted(code: Code, reason: impl Into<String>, hints: &[Hint]) -> Self {
        Self::Own {
            code,
            reason: reason.into(),
            hints: hints.to_vec(),
        }
    }

    /// Arguments that are invalid or conflict.
    pub fn usage(reason: impl Into<String>) -> Self {
        Self::new(Code::Usage, reason)
    }

    /// A panic; its message was already written.
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "this is a defect in da2s; please report it with the lines above",
        )
    }

    /// The exit code.
    pub fn code(&self) -> Code {
        match self {
            Self::Run(error) => error.kind().into(),
            Self::OneProcess | Self::OneProcessPlan => Code::Usage,
            Self::Own { code, .. } => *code,
        }
    }

    /// Whether every process of a group gets this error at the same point, so that none waits for
    /// another.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Run(error) => error.is_shared(),
            Self::OneProcess | Self::OneProcessPlan => true,
            Self::Own { .. } => false,
        }
    }

    /// Prints the message and returns the exit code.
    pub fn tell(&self) -> ExitCode {
        tell(&format!("da2s: {}", self.sentence()));
        self.code().into()
    }

    /// Like [`Self::tell`], for the failure of process `rank` of several.
    pub fn tell_as(&self, rank: usize) -> ExitCode {
        tell(&format!("da2s: process {rank}: {}", self.sentence()));
        self.code().into()
    }

    /// The complete message with its advice, in one line.
    pub fn sentence(&self) -> String {
        let hints = match self {
            Self::Run(error) => &error.hints(),
            Self::OneProcess | Self::OneProcessPlan => &Vec::new(),
            Self::Own { hints, .. } => hints,
        };
        with_hints(&sentence(self), hints)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Run(error.into())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::Run(error.into())
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        Self::Run(error.into())
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::new(error.kind().into(), sentence(&error))
    }
}

impl From<BenchmarkError> for Failure {
    fn from(error: BenchmarkError) -> Self {
        let code = match error {
            BenchmarkError::Read { .. } => Code::Files,
            BenchmarkError::Damaged { .. } | BenchmarkError::Absent { .. } | BenchmarkError::NoIndex { .. } => {
                Code::Data
            }
        };
        Self::new(code, sentence(&error))
    }
}

impl From<Arch201Error> for Failure {
    fn from(error: Arch201Error) -> Self {
        let form = "an architecture has the form |op~0|+|op~0|op~1|+|op~0|op~1|op~2|";
        Self::new(Code::Genotype, format!("{}; {form}", sentence(&error)))
    }
}

impl From<FormError> for Failure {
    fn from(error: FormError) -> Self {
        Self::new(Code::Genotype, sentence(&error))
    }
}

#[cfg(feature = "mpi")]
impl From<da2s::parallel::MpiError> for Failure {
    fn from(error: da2s::parallel::MpiError) -> Self {
        Self::new(
            Code::Processes,
            format!("cannot join the processes of MPI: {}", sentence(&error)),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use da2s::data::DataError;
    use da2s::evaluate::EvaluateError;
    use da2s::resumable::StageError;

    #[test]
    fn a_reason_is_given_once() {
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

    #[test]
    fn every_stop_has_the_exit_code_for_it() {
        let measuring = Error::from(EvaluateError::Stopped);
        for stopped in [measuring, StageError::Stopped { epoch: 1 }.into()] {
            assert_eq!(Failure::from(stopped).code(), Code::Stopped);
        }
    }
}
