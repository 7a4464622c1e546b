//! A report that was written, parsed and checked.

use std::fs;

use da2s_records::files::REPORT;
use da2s_report::write_report;
use scraper::{Html, Selector};
use tempfile::TempDir;

use crate::support::Synthetic;

/// A page that was written and parsed.
pub struct Page {
    /// The run, until the page is dropped.
    pub folder: TempDir,
    /// The page as written.
    pub text: String,
    /// The page as parsed.
    pub html: Html,
}

impl Page {
    pub fn of(run: &Synthetic) -> Self {
        let folder = TempDir::new().expect("temporary folder");
        run.write(folder.path());
        Self::written(folder)
    }

    pub fn written(folder: TempDir) -> Self {
        let path = write_report(folder.path()).expect("report");
        assert_eq!(path, folder.path().join(REPORT));
        let text = fs::read_to_string(path).expect("page");
        let html = Html::parse_document(&text);
        assert_eq!(
            html.errors,
            Vec::<std::borrow::Cow<str>>::new(),
            "the page is well-formed"
        );
        assert_sound(&html);
        Self { folder, text, html }
    }

    pub fn count(&self, selector: &str) -> usize {
        self.html.select(&select(selector)).count()
    }

    /// The text of all elements that match, joined.
    pub fn words(&self, selector: &str) -> String {
        let selector = select(selector);
        let texts = self
            .html
            .select(&selector)
            .map(|element| element.text().collect::<String>());
        texts.collect::<Vec<_>>().join(" ")
    }
}

pub fn select(selector: &str) -> Selector {
    Selector::parse(selector).expect("selector")
}

/// Nothing in the page makes a browser request anything, and every numeric attribute is a number.
pub fn assert_sound(html: &Html) {
    for element in html.select(&select("*")) {
        for (name, value) in element.value().attrs() {
            if matches!(
                name,
                "href" | "src" | "srcset" | "action" | "data" | "poster" | "xlink:href"
            ) {
                assert!(value.starts_with('#') || value.starts_with("data:"), "{name}={value}");
            }
            assert!(!name.starts_with("on"), "no inline handlers: {name}");
            assert!(!value.contains("url("), "{name}={value}");
            assert!(name == "href" || !value.contains("NaN"), "{name}={value}");
        }
    }
    let style: String = html.select(&select("style")).flat_map(|style| style.text()).collect();
    assert!(
        !style.contains("url(") && !style.contains("@import"),
        "the style sheet is self-contained"
    );
}
