//! What to do with the network: commands to copy.

use std::path::Path;

use maud::{Markup, html};

use crate::Run;

/// The placeholder for the directory of a run that is only in memory.
const RUN: &str = "RUN";

/// The commands; `None` if the network was not evaluated.
pub(super) fn section(run: &Run) -> Option<Markup> {
    run.evaluation.as_ref()?;
    let steps = next_steps(run.directory.as_deref().unwrap_or(Path::new(RUN)));
    Some(html! {
        p.lead { "These commands work in the folder from which da2s was started when it wrote this report." }
        dl.steps {
            @for (what, command) in &steps {
                dt { (what) }
                dd { pre.pick tabindex="0" { code { (command) } } }
            }
        }
    })
}

/// What can be done with the trained network of the run in `path`, each with its command, the most
/// common first.
pub fn next_steps(path: &Path) -> [(&'static str, String); 6] {
    let name = argument(path);
    [
        (
            "Classify images, or whole folders of them",
            format!("da2s predict {name} photo.jpg"),
        ),
        (
            "Try it in a browser, or over HTTP, on this machine",
            format!("da2s serve {name}"),
        ),
        (
            "Export it for ONNX Runtime and others, as a graph that takes images as they are",
            format!("da2s export {name} --format onnx --with-preprocessing"),
        ),
        (
            "Make it smaller in int8, often faster, and measure what that costs",
            format!("da2s quantise {name}"),
        ),
        (
            "Look for wrong labels: the images whose label the network doubts most",
            format!("da2s data suspects {name}"),
        ),
        (
            "Evaluate it again; --data-dir FOLDER says where the images are if they have moved",
            format!("da2s evaluate {name}"),
        ),
    ]
}

/// `path` as an argument of a command for a shell.
pub fn argument(path: &Path) -> String {
    let path = path.to_string_lossy();
    // A path is no flag.
    let sign = if path.starts_with('-') { "./" } else { "" };
    shell_words::quote(&format!("{sign}{path}")).into_owned()
}
