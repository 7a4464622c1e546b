//! A response, and its HTTP bytes.

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// Content type.
    pub content_type: &'static str,
    /// Content security policy.
    pub policy: &'static str,
    /// The methods that the path accepts, in a response with status 405.
    pub allow: Option<&'static str>,
    /// Content.
    pub body: Vec<u8>,
}

impl Page {
    /// A page with status 200.
    pub fn new(content_type: &'static str, policy: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            content_type,
            policy,
            allow: None,
            body: body.into(),
        }
    }

    /// A page that says in one sentence why the request was refused.
    pub fn refusal(status: u16, sentence: &str) -> Self {
        Self {
            status,
            ..Self::new(
                "text/plain; charset=utf-8",
                "default-src 'none'; frame-ancestors 'none'",
                format!("{sentence}\n"),
            )
        }
    }

    /// The bytes of the response. No other site may use it, and no cache may keep it.
    pub(crate) fn to_bytes(&self, head_only: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            411 => "Length Required",
            413 => "Content Too Large",
            422 => "Unprocessable Content",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let allow = self
            .allow
            .map_or_else(String::new, |methods| format!("Allow: {methods}\r\n"));
        let mut bytes = format!(
            "HTTP/1.1 {status} {reason}\r\n\
             Content-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\
             Content-Security-Policy: {policy}\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\n\
             Cross-Origin-Opener-Policy: same-origin\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Referrer-Policy: no-referrer\r\n\
             Cache-Control: no-store\r\n\
             {allow}Connection: close\r\n\r\n",
            status = self.status,
            content_type = self.content_type,
            length = self.body.len(),
            policy = self.policy,
        )
        .into_bytes();
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}
