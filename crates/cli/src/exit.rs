//! The exit codes. The code of an error depends only on its kind.

use std::fmt::Write as _;
use std::process::{ExitCode, ExitStatus};

use da2s_records::Kind;
use da2s_settings::strum::VariantArray;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray)]
#[strum(crate = "da2s_settings::strum")]
pub enum Code {
    /// Everything requested was done.
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
    /// NaN or infinite numbers.
    Numbers,
    /// Runs of a comparison.
    Runs,
    /// A download.
    Network,
    /// Processes of MPI.
    Processes,
    /// Memory.
    Memory,
    /// A defect of da2s.
    Internal,
    /// Stopped by the user.
    Stopped,
}

impl Code {
    /// The table: code, meaning.
    const fn row(self) -> (u8, &'static str) {
        match self {
            Self::Done => (0, "done"),
            Self::Usage => (2, "invalid argument, setting or target"),
            Self::Data => (
                3,
                "images are missing or cannot be read; the table of a lookup or of latencies is damaged, or lacks the requested entry",
            ),
            Self::Genotype => (
                4,
                "invalid genotype or architecture, or a network above the limits of the target",
            ),
            Self::RunDirectory => (
                5,
                "run directory already exists, is incomplete or damaged, or belongs to another run",
            ),
            Self::Device => (6, "device is not available"),
            Self::Files => (7, "file cannot be read or written: permissions, no space"),
            Self::Numbers => (8, "loss, gradient or output of a network is NaN or infinite"),
            Self::Runs => (9, "runs of a comparison failed"),
            Self::Network => (10, "download failed, or is not the published file"),
            Self::Processes => (11, "MPI processes do not start, or do not agree"),
            Self::Memory => (
                12,
                "not enough memory: predicted before a stage begins, or an allocation failed",
            ),
            Self::Internal => (70, "defect in da2s"),
            Self::Stopped => (130, "stopped by Ctrl-C or a signal; --resume continues"),
        }
    }

    /// The code for a process that exits immediately.
    pub fn number(self) -> i32 {
        self.row().0.into()
    }

    /// The code of another process of this program; `Files` if its exit status is not in the table.
    pub fn of_process(status: ExitStatus) -> Self {
        let known = Self::VARIANTS
            .iter()
            .copied()
            .find(|code| status.code() == Some(code.number()));
        known.filter(|code| *code != Self::Done).unwrap_or(Self::Files)
    }

    /// The table as `--help` shows it.
    pub fn help() -> String {
        let mut text = "Exit codes:\n".to_owned();
        for (number, meaning) in Self::VARIANTS.iter().map(|code| code.row()) {
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

impl From<Kind> for Code {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage => Self::Usage,
            Kind::Data => Self::Data,
            Kind::Genotype => Self::Genotype,
            Kind::RunDirectory => Self::RunDirectory,
            Kind::Device => Self::Device,
            Kind::Files => Self::Files,
            Kind::Numbers => Self::Numbers,
            Kind::Stopped => Self::Stopped,
            Kind::Internal => Self::Internal,
            Kind::Processes => Self::Processes,
            Kind::Memory => Self::Memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_in_the_help() {
        let mut numbers: Vec<u8> = Code::VARIANTS.iter().map(|code| code.row().0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Code::VARIANTS.len());
        assert!(Code::help().contains("130  stopped by Ctrl-C"));
    }

    #[cfg(unix)]
    #[test]
    fn the_code_of_a_process_is_passed_on() {
        use std::os::unix::process::ExitStatusExt;

        let ended = |code: i32| Code::of_process(ExitStatus::from_raw(code << 8));
        assert_eq!((ended(6), ended(130)), (Code::Device, Code::Stopped));
        // Exit status 0, a status that is not in the table, and an end by a signal.
        let killed = Code::of_process(ExitStatus::from_raw(9));
        assert_eq!((ended(0), ended(1), killed), (Code::Files, Code::Files, Code::Files));
    }
}
