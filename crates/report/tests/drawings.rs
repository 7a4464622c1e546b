//! Cells and curves as separate files: SVG, PNG, DOT.

mod support;

use std::fs;

use da2s_report::drawing::DrawingFormat;
use da2s_report::run::{GenotypeCell, GenotypeEdge};
use da2s_report::{ReportError, cell_svg, write_drawings};
use support::{Synthetic, replace_in};
use tempfile::TempDir;

#[test]
fn cells_and_curves_are_files() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    let paths = write_drawings(folder.path(), DrawingFormat::ALL, None).expect("pictures");
    let ending = |ending: &str| {
        paths
            .iter()
            .filter(|path| path.extension().is_some_and(|it| it == ending))
            .count()
    };
    assert_eq!((ending("svg"), ending("png"), ending("dot")), (14, 14, 2));
    for path in &paths {
        assert!(path.starts_with(folder.path().join("drawings")));
        let bytes = fs::read(path).expect("picture");
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("png") => {
                let picture = resvg::tiny_skia::Pixmap::decode_png(&bytes).expect("PNG");
                let ink = picture.pixels().iter().filter(|pixel| pixel.red() < 200).count();
                assert!(
                    picture.width() >= 760 && ink > 1000,
                    "{} has {ink} dark pixels",
                    path.display()
                );
            }
            Some("svg") => {
                let text = String::from_utf8(bytes).expect("text");
                roxmltree::Document::parse(&text).expect("XML");
            }
            _ => assert!(bytes.starts_with(b"digraph \"") && bytes.ends_with(b"}\n")),
        }
    }
    let again =
        write_drawings(folder.path(), &[DrawingFormat::Png], Some(&folder.path().join("again"))).expect("pictures");
    for path in again {
        let first = folder.path().join("drawings").join(path.file_name().expect("name"));
        assert!(
            fs::read(&path).expect("file") == fs::read(first).expect("file"),
            "{} differs",
            path.display()
        );
    }
}

#[test]
fn nothing_to_draw_is_an_error_and_hostile_names_of_cells_stay_in_the_folder() {
    let folder = TempDir::new().expect("temporary folder");
    fs::write(folder.path().join("config.toml"), "").expect("file");
    let error = write_drawings(folder.path(), &[DrawingFormat::Svg], None).expect_err("nothing to draw");
    assert!(matches!(error, ReportError::NothingToDraw { .. }), "{error}");
    assert!(!folder.path().join("drawings").exists());
    let run = folder.path().join("run");
    Synthetic::default().write(&run);
    for file in ["genotype.json", "search/arch.jsonl"] {
        replace_in(&run.join(file), "\"normal\":", "\"../../n\\\"ormal\":");
    }
    let out = folder.path().join("out");
    let paths = write_drawings(&run, &[DrawingFormat::Dot], Some(&out)).expect("pictures");
    assert!(paths.iter().all(|path| path.parent() == Some(&out)), "{paths:?}");
}

#[test]
fn a_cell_is_a_separate_picture() {
    let edge = |from, to, operation: &str| GenotypeEdge {
        from,
        to,
        operations: vec![operation.to_owned()],
    };
    let cell = GenotypeCell {
        edges: vec![
            edge(0, 2, "sep_conv_3x3"),
            edge(1, 2, "<b>&"),
            edge(2, 3, "skip_connect"),
        ],
        concat: vec![2, 3],
    };
    let text = cell_svg(&cell, "normal & \"quoted\"");
    let document = roxmltree::Document::parse(&text).expect("XML");
    assert_eq!(
        document.root_element().attribute("aria-label"),
        Some("normal & \"quoted\"")
    );
    let labels = document
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "tspan")));
    assert_eq!(
        labels.filter_map(|node| node.text()).collect::<Vec<_>>(),
        ["sep_conv_3x3", "<b>&", "skip_connect"]
    );
    assert!(!text.contains("var("), "no colour depends on a page");
    roxmltree::Document::parse(&cell_svg(&GenotypeCell::default(), "empty")).expect("XML without edges");
}

#[test]
fn a_layer_with_only_skip_is_dashed() {
    let folder = TempDir::new().expect("temporary folder");
    fs::write(folder.path().join("config.toml"), "").expect("file");
    fs::write(folder.path().join("genotype.json"), support::CHAIN_WITH_SKIP).expect("file");
    let paths = write_drawings(folder.path(), &[DrawingFormat::Dot], None).expect("pictures");
    let text = fs::read_to_string(&paths[0]).expect("text");
    assert!(
        text.contains("n0 -> n1 [label=\"mbconv_k3_e3\"") && text.contains("n1 -> n2 [style=dashed"),
        "{text}"
    );
    assert!(!text.contains("skip"), "{text}");
}
