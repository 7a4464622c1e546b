//! What to do with the network: commands to copy.

use maud::{Markup, html};

use crate::Run;

/// What stands for the directory of a run in memory.
const RUN: &str = "RUN";

/// The commands; `None` if the network was not evaluated.
pub(super) fn section(run: &Run) -> Option<Markup> {
    run.evaluation.as_ref()?;
    let directory = run.directory.as_ref().map(|path| path.to_string_lossy());
    let directory = directory.as_deref().unwrap_or(RUN);
    // A path is no flag.
    let sign = if directory.starts_with('-') { "./" } else { "" };
    let name = shell_words::quote(&format!("{sign}{directory}")).into_owned();
    let steps = [
        (
            "Classify images, or whole folders of them",
            format!("da2s predict {name} photo.jpg"),
        ),
        (
            "Export it for ONNX Runtime and others, as a graph that takes images as they are",
            format!("da2s export {name} --format onnx --with-preprocessing"),
        ),
        (
            "Make it smaller and faster in int8, and measure what that costs",
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
    ];
    Some(html! {
        p.lead { "Commands for the folder in which this report was written." }
        dl.steps {
            @for (what, command) in &steps {
                dt { (what) }
                dd { pre.pick tabindex="0" { code { (command) } } }
            }
        }
    })
}
