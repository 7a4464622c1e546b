//! The trained network as `da2s-infer` runs it, and how long that takes here.

use std::time::Duration;

use da2s_infer::{Network, profile};
use da2s_records::files::LATENCY;
use da2s_records::schema::Latency;

use super::trained::trained;
use super::{Context, Error};
use crate::export::{ExportFormat, ExportOptions, files};
use crate::network::Trained;

/// How long a network is timed, unless three runs of it take longer.
const TIMED: Duration = Duration::from_secs(1);

/// `trained` as `da2s-infer` reads it.
///
/// # Errors
/// If its weights are NaN or infinite.
pub fn deployed(trained: &Trained) -> Result<Network, Error> {
    let files = files(trained, ExportFormat::Safetensors, ExportOptions::default())?;
    let bytes = files.into_iter().find(|(name, _)| name.is_empty());
    Ok(Network::from_bytes(&bytes.unwrap_or_default().1)?)
}

/// The program and the kernels with which networks are timed here.
pub fn deployed_engine() -> String {
    format!("da2s-infer {} {}", env!("CARGO_PKG_VERSION"), da2s_engine::cpu_level())
}

/// The time of the trained network on this machine; measured once, and then read from the run. A
/// stored file without a time is replaced. `None` if the settings turn the measurement off, or if
/// other processes of the run keep the machine busy.
///
/// # Errors
/// If there is no trained network, `da2s-infer` refuses it, no thread can be started, or the file
/// cannot be written.
pub(super) fn latency(context: &Context<'_>) -> Result<Option<Latency>, Error> {
    let directory = context.directory;
    let stored: Option<Latency> = directory.find_json(LATENCY).unwrap_or_default();
    if let Some(measured) = stored.filter(|stored| stored.median_ms.is_some()) {
        return Ok(Some(measured));
    }
    if !context.config.run.measure_latency || context.group.size() > 1 {
        return Ok(None);
    }
    let network = deployed(&trained(context)?)?;
    let timed = profile::latency(&network, TIMED).map_err(|error| {
        Error::io(
            "start a thread for",
            directory.file(LATENCY),
            std::io::Error::other(error),
        )
    })?;
    let measured = Latency {
        median_ms: Some(timed.median_ms),
        runs: Some(timed.runs as u64),
        batch: Some(1),
        threads: Some(1),
        cpu_level: Some(da2s_engine::cpu_level().to_owned()),
        machine: Some(profile::machine()),
    };
    directory.write_json(LATENCY, &measured)?;
    Ok(Some(measured))
}
