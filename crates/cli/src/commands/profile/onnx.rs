//! `da2s profile --onnx`: blocks as ONNX files, with a script that measures them in onnxruntime on
//! any device.
//!
//! Contract: the folder must be new or empty. `blocks.csv` has a line per block, `networks.csv` one
//! per block of each random network, and `call.onnx` computes nothing: its time is that of a call.

use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::export::{BLOCK_COPIES, ExportFormat, ExportOptions, block_onnx, files};
use da2s::network::{TimedBlock, Trained, network_blocks};
use da2s_records::{FileError, Folder, counted};

use super::internal;
use crate::exit::Code;
use crate::failure::Failure;
use crate::terminal;

/// The script.
const SCRIPT: &str = include_str!("measure.py");

/// Writes `blocks`, and `networks` for images with a side of `side` pixels, into `folder`; returns
/// what to print.
pub(super) fn write(
    folder: &Path,
    blocks: &[TimedBlock],
    networks: &[Trained],
    side: usize,
) -> Result<String, Failure> {
    let opened = created(folder)?;
    let write = |name: &str, bytes: &[u8]| opened.write(name, bytes);
    // Names of blocks and files contain neither commas nor quotation marks.
    let mut lines = "file,copies,block,inputs,outputs,height,width,stride\n".to_owned();
    for (at, timed) in blocks.iter().enumerate() {
        write(&file_of(at), &block_onnx(Some(timed)).map_err(Error::from)?)?;
        let shape = &timed.shape;
        let sizes = [shape.inputs, shape.outputs, shape.height, shape.width, shape.stride].map(|size| size.to_string());
        lines += &format!("{},{BLOCK_COPIES},{},{}\n", file_of(at), shape.block, sizes.join(","));
    }
    write("blocks.csv", lines.as_bytes())?;
    write("call.onnx", &block_onnx(None).map_err(Error::from)?)?;
    let mut lines = "network,block\n".to_owned();
    let folded = ExportOptions {
        fold_batch_norms: true,
        ..ExportOptions::default()
    };
    for (number, trained) in networks.iter().enumerate() {
        let name = format!("network-{number:02}.onnx");
        let exported = files(trained, ExportFormat::Onnx, folded).map_err(Error::from)?;
        for (_, bytes) in exported.iter().filter(|(name, _)| name.is_empty()) {
            write(&name, bytes)?;
        }
        for block in network_blocks(&trained.network, side) {
            // The blocks are those of the space, so a network has no others.
            let at = blocks.binary_search_by(|timed| timed.shape.cmp(&block.shape));
            let at = at.map_err(|_| internal(format!("{} is not among the blocks of the space", block.shape)))?;
            lines += &format!("{name},{}\n", file_of(at));
        }
    }
    write("networks.csv", lines.as_bytes())?;
    write("measure.py", SCRIPT.as_bytes())?;
    let path = terminal::escaped(&folder.display().to_string());
    let script = da2s_report::argument(&folder.join("measure.py"));
    let blocks = counted(blocks.len(), "block");
    Ok(format!(
        "{blocks} in {path}\nmeasure them, here or on another device that has onnxruntime:\n    python3 {script} --out latency.csv\n"
    ))
}

fn file_of(block: usize) -> String {
    format!("block-{block:04}.onnx")
}

/// Creates the folder, or opens an existing one if it is empty.
fn created(folder: &Path) -> Result<Folder, Failure> {
    fs::create_dir_all(folder).map_err(|error| FileError::new("create", folder, error))?;
    let mut entries = fs::read_dir(folder).map_err(|error| FileError::new("read", folder, error))?;
    match entries.next() {
        None => Ok(Folder::open(folder)?),
        Some(_) => Err(Failure::new(
            Code::Files,
            format!("{} is not empty: choose another folder", folder.display()),
        )),
    }
}
