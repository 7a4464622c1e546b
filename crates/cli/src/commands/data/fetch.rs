//! `da2s data fetch`: downloads a published data set.
//!
//! Archives and files stay as published: da2s reads them directly. Their publishers state MD5
//! checksums; the SHA-256 checksums here are those that other projects pin for the same files.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use da2s::Error;
use da2s::data::Format;
use indicatif::{ProgressBar, ProgressStyle};

use super::download::{Published, agent, download};
use crate::args::DataFetchArguments;
use crate::failure::Failure;
use crate::terminal;

/// Time limit for connecting to a server, for its answer, and between two pieces of a file.
const PATIENCE: Duration = Duration::from_secs(60);

/// The location of a published data set.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The URL before the file names.
    base: &'static str,
    files: &'static [Published],
}

/// Where `format` is published, if it is a published data set.
pub const fn source(format: Format) -> Option<Source> {
    match format {
        Format::Digits | Format::Images | Format::Arrays => None,
        Format::Cifar10 => Some(Source {
            base: "https://www.cs.toronto.edu/~kriz/",
            files: &[Published {
                name: "cifar-10-binary.tar.gz",
                size_bytes: 170_052_171,
                sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            }],
        }),
        Format::Cifar100 => Some(Source {
            base: "https://www.cs.toronto.edu/~kriz/",
            files: &[Published {
                name: "cifar-100-binary.tar.gz",
                size_bytes: 168_513_733,
                sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            }],
        }),
        Format::Mnist => Some(Source {
            base: "https://ossci-datasets.s3.amazonaws.com/mnist/",
            files: &[
                Published {
                    name: "train-images-idx3-ubyte.gz",
                    size_bytes: 9_912_422,
                    sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                },
                Published {
                    name: "train-labels-idx1-ubyte.gz",
                    size_bytes: 28_881,
                    sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                },
                Published {
                    name: "t10k-images-idx3-ubyte.gz",
                    size_bytes: 1_648_877,
                    sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                },
                Published {
                    name: "t10k-labels-idx1-ubyte.gz",
                    size_bytes: 4_542,
                    sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                },
            ],
        }),
        Format::Fashion => Some(Source {
            base: "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            files: &[
                Published {
                    name: "train-images-idx3-ubyte.gz",
                    size_bytes: 26_421_880,
                    sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                },
                Published {
                    name: "train-labels-idx1-ubyte.gz",
                    size_bytes: 29_515,
                    sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                },
                Published {
                    name: "t10k-images-idx3-ubyte.gz",
                    size_bytes: 4_422_102,
                    sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                },
                Published {
                    name: "t10k-labels-idx1-ubyte.gz",
                    size_bytes: 5_148,
                    sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                },
            ],
        }),
    }
}

/// Downloads every file and prints the next step.
///
/// # Errors
/// If the data set is not published, a file cannot be downloaded, or its checksum does not match.
pub fn execute(arguments: &DataFetchArguments) -> Result<(), Failure> {
    let format = arguments.dataset;
    let source = source(format).ok_or_else(|| {
        let folder = format.facts().folder;
        Failure::usage(format!("{format} cannot be fetched; its files: {folder}"))
    })?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("data").join(format.name()));
    fs::create_dir_all(&out).map_err(|error| Error::io("create", &out, error))?;
    // The user's own mirror may use plain HTTP: the checksum protects the data.
    let agent = agent(PATIENCE, arguments.from.is_none());
    let base = arguments.from.as_deref().unwrap_or(source.base).trim_end_matches('/');
    for file in source.files {
        let bar = bar(file);
        let path = download(&agent, &format!("{base}/{}", file.name), file, &out, &mut |bytes| {
            bar.set_position(bytes);
        })?;
        bar.finish_and_clear();
        terminal::print_path(&path)?;
    }
    terminal::print(&format!("da2s run {format} --data-dir {}\n", out.display()))
}

/// A progress bar on a terminal, otherwise nothing.
fn bar(file: &Published) -> ProgressBar {
    let bar = ProgressBar::new(file.size_bytes).with_message(file.name);
    let template = "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_file_has_a_checksum_and_an_https_address() {
        for source in Format::ALL.into_iter().filter_map(source) {
            assert!(source.base.starts_with("https://") && source.base.ends_with('/'));
            for file in source.files {
                assert_eq!(file.sha256.len(), 64);
                assert!(file.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
                assert!(file.size_bytes > 4_000);
            }
        }
    }
}
