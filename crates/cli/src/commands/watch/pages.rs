//! The pages of the server: a frame that polls for news, the current report of the run, and the
//! files of the run by name.
//!
//! Contract: only a fixed list of paths exists. No part of a request path ever becomes part of a
//! file name, so traversal is impossible; a listed file that is a link is not served.

use std::path::Path;
use std::time::SystemTime;

use da2s_pages::Page;
use da2s_records::{Folder, files};
use da2s_report::render;
use da2s_report::run::Follow;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const LINES: &str = "application/jsonl; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// The page may be embedded by the frame and by nothing else.
const REPORT_POLICY: &str = "frame-ancestors 'self'";
/// The frame loads its own script and style, an empty icon, the report, and news.
const FRAME_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; frame-src 'self'; \
                            connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const FILE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// The run whose pages are served.
#[derive(Debug)]
pub struct Source<'a> {
    run_dir: &'a Path,
    follow: Follow,
    /// Start time of this process, so that its answers differ from those of an earlier process at
    /// the same address.
    began_ns: u128,
    /// The last report, and the number of changes that it includes. It is kept so that repeated
    /// requests do not build it again and delay other readers.
    report: Option<(u64, String)>,
}

impl<'a> Source<'a> {
    /// The run in `run_dir`, which `follow` reads.
    pub fn new(run_dir: &'a Path, follow: Follow) -> Self {
        // With a clock before 1970, the number may equal that of another process.
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            run_dir,
            follow,
            began_ns: began.unwrap_or_default().as_nanos(),
            report: None,
        }
    }

    /// The answer to a request for `path`.
    pub fn answer(&mut self, path: &str) -> Page {
        match path {
            "/" => {
                let frame = include_str!("frame.html").replace("TOKEN", &self.token());
                Page::new(HTML, FRAME_POLICY, frame)
            }
            "/frame.js" => Page::new("text/javascript; charset=utf-8", FRAME_POLICY, include_str!("frame.js")),
            "/frame.css" => Page::new("text/css; charset=utf-8", FRAME_POLICY, include_str!("frame.css")),
            "/news" => match self.follow.poll() {
                Ok(_) => Page::new(JSON, FILE_POLICY, news(&self.follow, &self.token()).to_string()),
                Err(error) => Page::refusal(500, &error.to_string()),
            },
            "/report.html" => match self.follow.poll() {
                Ok(_) => Page::new(HTML, REPORT_POLICY, self.report()),
                // The frame may embed the error page too. Otherwise the frame could not reload the
                // report when the run is readable again.
                Err(error) => Page {
                    policy: REPORT_POLICY,
                    ..Page::refusal(500, &error.to_string())
                },
            },
            _ => file(self.run_dir, path).unwrap_or_else(|| Page::refusal(404, "There is no such page.")),
        }
    }

    /// The current report of the run.
    fn report(&mut self) -> String {
        let changes = self.follow.changes();
        match &self.report {
            Some((built, report)) if *built == changes => report.clone(),
            _ => {
                let report = render(self.follow.run());
                self.report = Some((changes, report.clone()));
                report
            }
        }
    }

    /// Changes whenever the report changes.
    fn token(&self) -> String {
        format!("{}-{}", self.began_ns, self.follow.changes())
    }
}

/// The current state for the frame; `token` signals when to reload the report.
fn news(follow: &Follow, token: &str) -> serde_json::Value {
    let now = crate::dashboard::Now::of_files(follow, SystemTime::now());
    serde_json::json!({
        "name": follow.run().name,
        "token": token,
        "word": now.word,
        "epoch": now.epoch.map(|(epoch, _)| epoch),
        "epochs": now.epoch.map(|(_, epochs)| epochs),
        "left": now.left.map(crate::clock::text),
        "failure": follow.failure(),
    })
}

/// A file of the run, if it is in the list and inside the run directory.
fn file(run_dir: &Path, path: &str) -> Option<Page> {
    let asked = path.strip_prefix("/files/")?;
    let name = files::WHOLE
        .into_iter()
        .chain(files::LINES)
        .find(|name| *name == asked)?;
    let content_type = match Path::new(name).extension()?.to_str()? {
        "json" => JSON,
        "jsonl" => LINES,
        _ => TEXT,
    };
    let bytes = Folder::open(run_dir).ok()?.read(name, files::MOST_LINES_BYTES).ok()??;
    Some(Page::new(content_type, FILE_POLICY, bytes))
}
