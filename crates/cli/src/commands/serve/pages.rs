//! The answers of the server: the page with its script and style, facts about the network, and the
//! classes of a posted image.
//!
//! Contract: only a fixed list of paths exists. Images are decoded and classified one at a time; a
//! request waits [`PATIENCE`] for its turn, and is dropped if its client disconnects while it
//! waits. The fixed pages are answered at once. A problem with an image is answered in JSON,
//! `{"error": …}`: status 400 for a damaged form or a client that has closed its side of the
//! connection, 422 for an image that cannot be read, 500 for a network whose outputs are not
//! finite, and 503 for an image whose turn does not come in time.

use std::path::Path;
use std::time::Duration;

use da2s::data::{Class, Image, most_probable};
use da2s_infer::Network;
use da2s_pages::{Asked, Page, Posted, Uploads};
use da2s_records::sentence;
use serde::Serialize;

use super::turns::Turns;

/// The path to which images are posted, and the maximum length of one.
pub const UPLOADS: Uploads = Uploads {
    path: "/predict",
    most_bytes: 32 << 20,
};
/// How messages refer to an image without a name.
const UNNAMED: &str = "the image";

/// Maximum pixels of an image.
const MOST_PIXELS: u64 = 50_000_000;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
/// The page loads its own script and style, an empty icon, and the image that was dropped on it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const JSON_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// The network that is served.
#[derive(Debug)]
pub struct Source {
    /// Name of its run.
    name: String,
    network: Network,
    /// Classes to name for an image.
    top: usize,
    /// Images are classified one at a time.
    turns: Turns,
}

/// An image and its most probable classes.
#[derive(Serialize)]
struct Prediction {
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    classes: Vec<Class>,
}

/// Why an image got no classes: the status of the answer, and its message.
struct Refused(u16, String);

impl Source {
    /// The network of the run `name`; an answer names the `top` most probable classes.
    pub fn new(name: String, network: Network, top: usize) -> Self {
        Self {
            name,
            network,
            top,
            turns: Turns::default(),
        }
    }

    /// The answer to a request.
    pub fn answer(&self, asked: Asked<'_>) -> Page {
        if let Some((content_type, body)) = asked.body {
            return match self.in_turn(&asked, content_type, body) {
                Ok(prediction) => json(200, &serde_json::json!(prediction)),
                Err(Refused(status, problem)) => json(status, &serde_json::json!({ "error": problem })),
            };
        }
        match asked.path {
            "/" => Page::new(HTML, POLICY, include_str!("page.html")),
            "/page.js" => Page::new("text/javascript; charset=utf-8", POLICY, include_str!("page.js")),
            "/page.css" => Page::new("text/css; charset=utf-8", POLICY, include_str!("page.css")),
            "/about" => json(200, &self.about()),
            _ => Page::refusal(404, "There is no such page."),
        }
    }

    fn about(&self) -> serde_json::Value {
        let preprocessing = self.network.preprocessing();
        serde_json::json!({
            "name": self.name,
            "classes": preprocessing.classes,
            "image_size": preprocessing.image_size,
            "channels": preprocessing.channels,
            "most_bytes": UPLOADS.most_bytes,
        })
    }

    fn in_turn(&self, asked: &Asked<'_>, content_type: &str, body: &[u8]) -> Result<Prediction, Refused> {
        let busy = || Refused(503, "other images are being classified; try again".to_owned());
        let _turn = self.turns.take(PATIENCE).ok_or_else(busy)?;
        if !asked.is_open() {
            let problem = "the client closed its side of the connection before the image was classified; keep it open";
            return Err(Refused(400, problem.to_owned()));
        }
        self.predict(content_type, body)
    }

    fn predict(&self, content_type: &str, body: &[u8]) -> Result<Prediction, Refused> {
        let posted = Posted::of(content_type, body).map_err(|problem| Refused(400, problem.to_owned()))?;
        let preprocessing = self.network.preprocessing();
        let name = Path::new(posted.name.as_deref().unwrap_or(UNNAMED));
        let image = Image::decode_within(name, posted.bytes, preprocessing.channels, MOST_PIXELS);
        let image = image.map_err(|error| Refused(422, sentence(&error)))?;
        let logits = self.network.finite_logits(&[image.preprocessed(preprocessing)]);
        let logits = logits.map_err(|error| Refused(500, error.to_string()))?.concat();
        Ok(Prediction {
            image: posted.name,
            classes: most_probable(&preprocessing.classes, &logits, self.top),
        })
    }
}

fn json(status: u16, value: &serde_json::Value) -> Page {
    Page {
        status,
        ..Page::new(JSON, JSON_POLICY, format!("{value}\n"))
    }
}
