//! Parses a request: the path that it asks for, or the reason to refuse it.
//!
//! Contract: only the head is parsed (with `httparse`), up to [`MOST_HEAD_BYTES`]; only GET and
//! HEAD are accepted, and only for the hosts and origins of `address.rs`. The body is never read,
//! because no page needs one.

use std::net::SocketAddr;

use crate::address::{is_host, is_origin};

/// Limit on the length of the head. A browser sends one or two kilobytes.
pub(crate) const MOST_HEAD_BYTES: usize = 16 << 10;
/// Limit on the number of headers. A browser sends one or two dozen.
const MOST_HEADERS: usize = 64;

/// A parsed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whether to answer with the head only (HEAD).
    pub head_only: bool,
    /// The requested path, without its query.
    pub path: Result<String, Refusal>,
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
    /// Its method would change something.
    Method,
}

impl Refusal {
    /// HTTP status and reason in a sentence; `shown` is the address that readers use.
    pub fn answer(self, shown: SocketAddr) -> (u16, String) {
        match self {
            Self::Malformed => (400, "This is not an HTTP request.".to_owned()),
            Self::TooLong => (431, "The head of the request is too long.".to_owned()),
            Self::Host => (403, format!("This page is at http://{shown}/")),
            Self::Origin => (403, "Other sites may not read this page.".to_owned()),
            Self::Method => (405, "This page is read-only.".to_owned()),
        }
    }
}

impl Request {
    fn refused(refusal: Refusal) -> Self {
        Self {
            head_only: false,
            path: Err(refusal),
        }
    }

    /// Parses the head at the beginning of `bytes`, sent to the server at `bound`; `None` while it
    /// is incomplete.
    pub fn parse(bytes: &[u8], bound: SocketAddr) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) if bytes.len() < MOST_HEAD_BYTES => return None,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Some(Self::refused(Refusal::TooLong));
            }
            Err(_) => return Some(Self::refused(Refusal::Malformed)),
        }
        Some(Self {
            head_only: request.method == Some("HEAD"),
            path: path(&request, bound),
        })
    }
}

/// The path of a request that may be answered.
fn path(request: &httparse::Request<'_, '_>, bound: SocketAddr) -> Result<String, Refusal> {
    let host = header(request, "Host").filter(|host| is_host(bound, host));
    let host = host.ok_or(Refusal::Host)?;
    if header(request, "Origin").is_some_and(|origin| !is_origin(host, origin)) {
        return Err(Refusal::Origin);
    }
    if !matches!(request.method, Some("GET" | "HEAD")) {
        return Err(Refusal::Method);
    }
    let target = request.path.unwrap_or_default();
    Ok(target.split(['?', '#']).next().unwrap_or_default().to_owned())
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
        Request::parse(text.as_bytes(), "127.0.0.1:8080".parse().unwrap())
    }

    #[test]
    fn a_head_is_parsed_when_it_is_complete() {
        let head = "GET /news?a=b#c HTTP/1.1\r\nhOsT: localhost:8080\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(parse(&head[..cut]), None, "{cut}");
        }
        let path = Ok("/news".to_owned());
        let expected = Request { head_only: false, path };
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
        assert_eq!(refused(&from("").replace("GET", "PUT")), Refusal::Method);
        assert_eq!(refused(&from(&"A: b\r\n".repeat(MOST_HEADERS))), Refusal::TooLong);
        let endless = format!("GET /{}", "a".repeat(MOST_HEAD_BYTES));
        assert_eq!(refused(&endless), Refusal::TooLong);
        // The announced length of a body is ignored.
        let claims = from("Content-Length: 99999999999999999999\r\n");
        assert_eq!(parse(&claims).unwrap().path.as_deref(), Ok("/"));
    }
}
