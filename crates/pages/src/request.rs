//! Parses a request: the path that it asks for, or the reason to refuse it.
//!
//! Contract: only the head is parsed (with `httparse`), up to [`MOST_HEAD_BYTES`]; only GET and
//! HEAD are accepted, and only for the hosts and origins of `address.rs`. A server may also accept
//! bodies that are posted to one path ([`Uploads`]), which then accepts nothing else. The length of
//! such a body must be announced and within the limit, and a browser must not have sent the body
//! from another site. Any other body is ignored.

use std::net::SocketAddr;

use crate::address::{is_host, is_origin};
use crate::page::Page;

/// Limit on the length of the head. A browser sends one or two kilobytes.
pub(crate) const MOST_HEAD_BYTES: usize = 16 << 10;
/// Limit on the number of headers. A browser sends one or two dozen.
const MOST_HEADERS: usize = 64;

/// The bodies that a server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploads {
    /// The path to which they are posted.
    pub path: &'static str,
    /// Limit on the length of a body.
    pub most_bytes: usize,
}

/// A parsed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whether to answer with the head only (HEAD).
    pub head_only: bool,
    /// The requested path, without its query.
    pub path: Result<String, Refusal>,
    /// The body that follows, if it is to be read.
    pub body: Option<Body>,
}

/// The announced body of a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Where it begins, after the head.
    pub start: usize,
    /// Its length.
    pub length: usize,
    /// Its content type; empty if there is none.
    pub content_type: String,
    /// Whether the peer waits for permission before it sends the body.
    pub is_held_back: bool,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not HTTP.
    Malformed,
    /// Its head is longer than any reader sends.
    TooLong,
    /// It is for another host.
    Host,
    /// It comes from a page of another site.
    Origin,
    /// Its path is read-only, and its method is neither GET nor HEAD.
    ReadOnly,
    /// Its path only accepts bodies, and its method is not POST.
    PostOnly,
    /// Its body has no announced length.
    NoLength,
    /// Its body is longer than the server accepts.
    TooLarge,
}

impl Refusal {
    /// The answer of the server at `bound`.
    pub fn page(self, bound: SocketAddr) -> Page {
        match self {
            Self::Malformed => Page::refusal(400, "This is not an HTTP request."),
            Self::TooLong => Page::refusal(431, "The head of the request is too long."),
            // The server does not know the addresses of its machine.
            Self::Host if bound.ip().is_unspecified() => Page::refusal(
                403,
                &format!(
                    "This page is at http://ADDRESS:{}/, where ADDRESS is the IP address of its machine; names are refused.",
                    bound.port()
                ),
            ),
            Self::Host => Page::refusal(403, &format!("This page is at http://{bound}/")),
            Self::Origin => Page::refusal(403, "Other sites may not read this page."),
            Self::ReadOnly => Page {
                allow: Some("GET, HEAD"),
                ..Page::refusal(405, "This page is read-only.")
            },
            Self::PostOnly => Page {
                allow: Some("POST"),
                ..Page::refusal(405, "Only POST is accepted here.")
            },
            Self::NoLength => Page::refusal(411, "The length of the body is missing: send Content-Length."),
            Self::TooLarge => Page::refusal(413, "The body is too long."),
        }
    }
}

impl Request {
    fn refused(refusal: Refusal) -> Self {
        Self {
            head_only: false,
            path: Err(refusal),
            body: None,
        }
    }

    /// Parses the head at the beginning of `bytes`, sent to the server at `bound` that accepts
    /// `uploads`; `None` while it is incomplete.
    pub fn parse(bytes: &[u8], bound: SocketAddr, uploads: Option<Uploads>) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let start = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < MOST_HEAD_BYTES => return None,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Some(Self::refused(Refusal::TooLong));
            }
            Err(_) => return Some(Self::refused(Refusal::Malformed)),
        };
        let found = path(&request, bound, uploads);
        let body = match (&found, uploads) {
            (Ok(_), Some(uploads)) if request.method == Some("POST") => match body(&request, start, uploads) {
                Ok(body) => Some(body),
                Err(refusal) => return Some(Self::refused(refusal)),
            },
            _ => None,
        };
        Some(Self {
            head_only: request.method == Some("HEAD"),
            path: found,
            body,
        })
    }
}

/// The path of a request that may be answered.
fn path(request: &httparse::Request<'_, '_>, bound: SocketAddr, uploads: Option<Uploads>) -> Result<String, Refusal> {
    let host = header(request, "Host").filter(|host| is_host(bound, host));
    let host = host.ok_or(Refusal::Host)?;
    if header(request, "Origin").is_some_and(|origin| !is_origin(host, origin)) {
        return Err(Refusal::Origin);
    }
    let target = request.path.unwrap_or_default();
    let path = target.split(['?', '#']).next().unwrap_or_default();
    match (request.method, uploads.is_some_and(|uploads| uploads.path == path)) {
        (Some("POST"), true) | (Some("GET" | "HEAD"), false) => Ok(path.to_owned()),
        (_, true) => Err(Refusal::PostOnly),
        (_, false) => Err(Refusal::ReadOnly),
    }
}

/// The body of a POST that may be read.
fn body(request: &httparse::Request<'_, '_>, start: usize, uploads: Uploads) -> Result<Body, Refusal> {
    // Browsers send this header even with requests that have no Origin.
    let site = header(request, "Sec-Fetch-Site");
    if site.is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return Err(Refusal::Origin);
    }
    // If the length is announced in two ways, a part of the body could be taken for another
    // request.
    if header(request, "Transfer-Encoding").is_some() {
        return Err(Refusal::NoLength);
    }
    let length = header(request, "Content-Length").ok_or(Refusal::NoLength)?;
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Malformed);
    }
    // A length that does not fit into the number is too large as well.
    let length = length.parse().unwrap_or(usize::MAX);
    if length > uploads.most_bytes {
        return Err(Refusal::TooLarge);
    }
    let expects = header(request, "Expect");
    Ok(Body {
        start,
        length,
        content_type: header(request, "Content-Type").unwrap_or_default().to_owned(),
        is_held_back: expects.is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue")),
    })
}

/// The only header of that name. Duplicates are ambiguous and non-text values unreadable; both
/// count as empty, which is not a valid host.
fn header<'a>(request: &httparse::Request<'_, 'a>, name: &str) -> Option<&'a str> {
    let mut of_name = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name));
    let first = std::str::from_utf8(of_name.next()?.value).unwrap_or_default();
    if of_name.next().is_some() {
        Some("")
    } else {
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Request> {
        Request::parse(text.as_bytes(), "127.0.0.1:8080".parse().unwrap(), None)
    }

    const UPLOADS: Uploads = Uploads {
        path: "/predict",
        most_bytes: 100,
    };

    /// A request to a server that accepts uploads.
    fn post(headers: &str) -> Request {
        let text = format!("POST /predict?a HTTP/1.1\r\nHost: localhost:8080\r\n{headers}\r\nbody");
        Request::parse(text.as_bytes(), "127.0.0.1:8080".parse().unwrap(), Some(UPLOADS)).unwrap()
    }

    #[test]
    fn a_head_is_parsed_when_it_is_complete() {
        let head = "GET /news?a=b#c HTTP/1.1\r\nhOsT: localhost:8080\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(parse(&head[..cut]), None, "{cut}");
        }
        let path = Ok("/news".to_owned());
        let expected = Request {
            head_only: false,
            path,
            body: None,
        };
        assert_eq!(parse(head), Some(expected.clone()));
        assert_eq!(parse(&format!("{head}GET / HTTP/1.1")), Some(expected));
        assert!(parse(&head.replace("GET", "HEAD")).unwrap().head_only);
    }

    #[test]
    fn refused_requests_are_distinguished() {
        let refused = |text: &str| parse(text).unwrap().path.unwrap_err();
        assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), Refusal::Host);
        assert_eq!(refused("\u{0}\u{1}"), Refusal::Malformed);
        let from = |headers: &str| format!("GET / HTTP/1.1\r\nHost: localhost:8080\r\n{headers}\r\n");
        assert_eq!(refused(&from("Host: localhost:8080\r\n")), Refusal::Host);
        assert_eq!(refused(&from("Origin: http://evil.example\r\n")), Refusal::Origin);
        assert_eq!(refused(&from("").replace("GET", "PUT")), Refusal::ReadOnly);
        assert_eq!(refused(&from(&"A: b\r\n".repeat(MOST_HEADERS))), Refusal::TooLong);
        let endless = format!("GET /{}", "a".repeat(MOST_HEAD_BYTES));
        assert_eq!(refused(&endless), Refusal::TooLong);
        // The announced length of a body is ignored.
        let claims = from("Content-Length: 99999999999999999999\r\n");
        assert_eq!(parse(&claims).unwrap().path.as_deref(), Ok("/"));
    }

    #[test]
    fn a_body_has_an_announced_length_within_the_limit() {
        let found = post("Content-Length: 4\r\nContent-Type: image/png\r\nSec-Fetch-Site: same-origin\r\n");
        assert_eq!(found.path.as_deref(), Ok("/predict"));
        let body = found.body.unwrap();
        assert_eq!(
            (body.length, &*body.content_type, body.is_held_back),
            (4, "image/png", false)
        );
        assert!(
            post("Content-Length: 100\r\nExpect: 100-continue\r\n")
                .body
                .unwrap()
                .is_held_back
        );
        for (headers, refusal) in [
            ("", Refusal::NoLength),
            ("Transfer-Encoding: chunked\r\n", Refusal::NoLength),
            ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", Refusal::NoLength),
            ("Content-Length: 101\r\n", Refusal::TooLarge),
            ("Content-Length: 99999999999999999999999\r\n", Refusal::TooLarge),
            ("Content-Length: -1\r\n", Refusal::Malformed),
            ("Content-Length: +4\r\n", Refusal::Malformed),
            ("Content-Length: 4, 4\r\n", Refusal::Malformed),
            ("Content-Length: 4\r\nContent-Length: 4\r\n", Refusal::Malformed),
            ("Content-Length: 4\r\nOrigin: null\r\n", Refusal::Origin),
            ("Content-Length: 4\r\nOrigin: http://evil.example\r\n", Refusal::Origin),
            ("Content-Length: 4\r\nSec-Fetch-Site: cross-site\r\n", Refusal::Origin),
            ("Content-Length: 4\r\nSec-Fetch-Site: same-site\r\n", Refusal::Origin),
        ] {
            assert_eq!(post(headers).path, Err(refusal), "{headers}");
        }
        let refused = |method: &str, path: &str, uploads| {
            let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: 4\r\n\r\nbody");
            let bound = "127.0.0.1:8080".parse().unwrap();
            Request::parse(text.as_bytes(), bound, uploads).unwrap().path
        };
        assert_eq!(refused("POST", "/", Some(UPLOADS)), Err(Refusal::ReadOnly));
        assert_eq!(refused("POST", "/predict", None), Err(Refusal::ReadOnly));
        assert_eq!(refused("GET", "/predict", Some(UPLOADS)), Err(Refusal::PostOnly));
        assert_eq!(refused("PUT", "/predict", Some(UPLOADS)), Err(Refusal::PostOnly));
    }

    #[test]
    fn a_request_for_another_host_is_told_the_address() {
        let said = |bound: &str| String::from_utf8(Refusal::Host.page(bound.parse().unwrap()).body).unwrap();
        assert_eq!(said("192.168.1.7:80"), "This page is at http://192.168.1.7:80/\n");
        let everywhere = said("0.0.0.0:8000");
        assert!(
            everywhere.contains("ADDRESS:8000/") && everywhere.contains("IP address"),
            "{everywhere}"
        );
    }
}
