//! The kinds of errors. Every error in da2s is of one of these kinds.

/// The kind of an error: an exit code of the command line, and an exception of the Python package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An invalid argument, setting or target.
    Usage,
    /// Images that are missing or cannot be read; a table of a lookup or of latencies that is
    /// damaged or lacks an entry.
    Data,
    /// An invalid genotype or architecture, or a network above the limits of the target.
    Genotype,
    /// A run directory that already exists, is incomplete or damaged, or belongs to another run.
    RunDirectory,
    /// An unavailable device.
    Device,
    /// A file that cannot be read or written.
    Files,
    /// A loss or gradient that is NaN or infinite.
    Numbers,
    /// Not enough memory.
    Memory,
    /// The user stopped the run.
    Stopped,
    /// Processes that train together and disagree.
    Processes,
    /// A defect in da2s.
    Internal,
}
