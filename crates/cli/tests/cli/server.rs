//! The servers of `da2s watch` and `da2s serve` as processes, for the tests of both.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::finished;

/// A server of a run's page; dropping it stops the process.
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub host: String,
}

impl Server {
    /// The server of `da2s watch --http`.
    pub fn watch(run: &Path) -> Self {
        Self::of(
            Command::new(assert_cmd::cargo::cargo_bin("da2s")),
            "watch",
            run,
            &["--http", "0"],
        )
    }

    /// The server of `da2s serve`.
    pub fn serve(run: &Path) -> Self {
        Self::serve_at(run, &["--http", "0"])
    }

    /// The same with these arguments.
    pub fn serve_at(run: &Path, arguments: &[&str]) -> Self {
        Self::of(
            Command::new(assert_cmd::cargo::cargo_bin("da2s")),
            "serve",
            run,
            arguments,
        )
    }

    /// The server of `da2s watch --http`, limited to this number of file descriptors.
    #[cfg(unix)]
    pub fn watch_with(run: &Path, descriptors: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
        shell.arg(assert_cmd::cargo::cargo_bin("da2s"));
        Self::of(shell, "watch", run, &["--http", "0"])
    }

    fn of(mut command: Command, verb: &str, run: &Path, arguments: &[&str]) -> Self {
        let mut child = command
            .arg(verb)
            .arg(run)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let host = line
            .trim()
            .strip_prefix("http://")
            .unwrap()
            .trim_end_matches('/')
            .to_owned();
        assert!(host.starts_with("127.0.0.1:"), "{host}");
        Self { child, host }
    }

    /// Status, headers in lower case, body.
    pub fn get(&self, path: &str) -> (u16, String, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(format!("http://{}{path}", self.host)).call().unwrap();
        let headers = format!("{:?}", answer.headers()).to_lowercase();
        (
            answer.status().as_u16(),
            headers,
            answer.body_mut().read_to_string().unwrap(),
        )
    }

    /// Sends the request verbatim; returns the status line and everything after it.
    pub fn raw(&self, request: &str) -> String {
        self.send(request.as_bytes())
    }

    /// The same for a request that need not be text.
    pub fn send(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        // The server may answer before the whole request was sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The answer to `GET /news`; empty, or an error, if the server closes the connection.
    #[cfg(unix)]
    pub fn raw_news(&self) -> String {
        let ask = || {
            let mut stream = TcpStream::connect(&self.host)?;
            write!(stream, "GET /news HTTP/1.1\r\nHost: {}\r\n\r\n", self.host)?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        ask().unwrap_or_else(|error: std::io::Error| error.to_string())
    }

    /// Stops the server, even while it serves clients.
    #[cfg(unix)]
    pub fn stop(&self) {
        let told = Command::new("kill")
            .args(["-KILL", &self.child.id().to_string()])
            .status();
        assert!(told.unwrap().success());
    }

    pub fn news(&self) -> Value {
        serde_json::from_str(&self.get("/news").2).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies a finished run so that it can be changed.
pub fn copy(to: &Path) {
    for name in [
        "config.toml",
        "environment.json",
        "genotype.json",
        "gap.json",
        "search/metrics.jsonl",
        "search/arch.jsonl",
        "search/times.jsonl",
    ] {
        fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
        fs::copy(finished().join(name), to.join(name)).unwrap();
    }
}

/// Asserts that no other site may use an answer with these headers, and no cache may keep it.
pub fn assert_protected(headers: &str) {
    for header in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "nosniff",
        "same-origin",
        "no-store",
    ] {
        assert!(headers.contains(header), "{header}: {headers}");
    }
    assert!(!headers.contains("access-control"), "{headers}");
}

/// Asserts that the server exits with code 0 on Ctrl-C.
#[cfg(unix)]
pub fn interrupt(server: &mut Server) {
    let told = Command::new("kill")
        .args(["-INT", &server.child.id().to_string()])
        .status()
        .unwrap();
    assert!(told.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}
