//! `da2s watch`: requests of a browser and of an attacker, and no dashboard without a terminal.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::thread;

use predicates::prelude::*;
use serde_json::Value;

#[cfg(unix)]
use crate::server::interrupt;
use crate::server::{Server, assert_protected, copy};
use crate::{TINY, da2s, finished, with};

#[test]
fn the_page_shows_the_run_and_its_files() {
    let run = finished();
    let server = Server::watch(run);
    let (status, headers, frame) = server.get("/");
    assert_eq!(status, 200);
    assert!(frame.contains("<iframe") && frame.contains("/frame.js"));
    let token = |server: &Server| server.news()["token"].as_str().unwrap().to_owned();
    assert!(frame.contains(&format!("data-token=\"{}\"", token(&server))), "{frame}");
    assert_ne!(
        token(&server),
        token(&Server::watch(run)),
        "another process has another token, even at the same address"
    );
    assert_protected(&headers);
    let (status, headers, report) = server.get("/report.html");
    assert_eq!((status, headers.contains("text/html")), (200, true));
    assert_eq!(report, fs::read_to_string(run.join("report.html")).unwrap());
    assert!(server.get("/frame.js").2.contains("fetch(\"/news\")"));
    assert!(server.get("/frame.css").1.contains("text/css"));
    assert_eq!(
        server.get("/files/search/metrics.jsonl").2,
        fs::read_to_string(run.join("search/metrics.jsonl")).unwrap()
    );
    assert_eq!(
        server.get("/files/summary.json?a=b").2,
        fs::read_to_string(run.join("summary.json")).unwrap()
    );
    let news = server.news();
    assert_eq!(
        (&news["name"], &news["word"]),
        (&Value::from("run"), &Value::from("finished"))
    );
}

#[test]
fn the_page_follows_a_run_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    copy(folder.path());
    for name in ["genotype.json", "gap.json"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let file = folder.path().join("search/metrics.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    fs::write(&file, format!("{first}\n{}", &second[..20])).unwrap();
    let server = Server::watch(folder.path());
    let before = server.news();
    assert_eq!(
        (&before["word"], &before["epoch"], &before["epochs"]),
        (&Value::from("search"), &Value::from(2), &Value::from(2))
    );
    assert_eq!(server.news()["token"], before["token"], "half a line is no news");
    assert!(server.get("/report.html").2.contains("1 of 2 epochs"));
    fs::write(&file, &text).unwrap();
    let after = server.news();
    assert_ne!(after["token"], before["token"]);
    assert_eq!(after["word"], "discretize");
    fs::write(folder.path().join("failure.txt"), "no space <left>\n").unwrap();
    assert_eq!(server.news()["failure"], "no space <left>");
    fs::write(&file, "{}\n{\n").unwrap();
    for path in ["/news", "/report.html"] {
        let (status, headers, sentence) = server.get(path);
        assert_eq!(status, 500);
        assert!(sentence.contains("search/metrics.jsonl, line 1"), "{sentence}");
        // The frame shows this error page, which loads the report once it is available again.
        let ancestors = if path == "/news" { "'none'" } else { "'self'" };
        assert!(headers.contains(&format!("frame-ancestors {ancestors}")), "{headers}");
    }
    fs::write(&file, &text).unwrap();
    assert_eq!(server.get("/report.html").0, 200);
}

#[test]
fn nothing_but_the_run_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    copy(&run);
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    fs::write(run.join("secret.txt"), "secret").unwrap();
    let server = Server::watch(&run);
    for path in [
        "/secret.txt",
        "/files/secret.txt",
        "/files/",
        "/files/search",
        "/files/search/",
        "/files/search/checkpoint.safetensors",
        "/files/../secret.txt",
        "/files/../../../../../../etc/passwd",
        "/files/search/../config.toml",
        "/files/%2e%2e/secret.txt",
        "/files/..%2fsecret.txt",
        "/files//etc/passwd",
        "/files/config.toml%00",
        "/files/config.toml/",
        "//files/config.toml",
        "/../secret.txt",
        "/..\\secret.txt",
        "/FILES/config.toml",
        "http://127.0.0.1/files/config.toml",
        "*",
    ] {
        let answer = server.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            server.host
        ));
        assert!(
            answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 "),
            "{path}: {answer}"
        );
        assert!(
            !answer.contains("secret") || path.contains("secret") && !answer.ends_with("secret"),
            "{path}: {answer}"
        );
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("secret.txt"), run.join("summary.json")).unwrap();
        let answer = server.raw(&format!(
            "GET /files/summary.json HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            server.host
        ));
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
}

#[test]
fn foreign_hosts_and_origins_are_refused() {
    let server = Server::watch(finished());
    let port = server.host.rsplit_once(':').unwrap().1.to_owned();
    let own = &server.host;
    let status = |lines: &str| {
        let answer = server.raw(&format!(
            "GET /files/config.toml HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
        ));
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    assert_eq!(status(&format!("Host: {own}\r\n")), 200);
    assert_eq!(
        status(&format!(
            "Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n"
        )),
        200
    );
    assert_eq!(
        status("Host: localhost:9\r\nOrigin: http://localhost:9\r\n"),
        200,
        "through a tunnel"
    );
    for foreign in [
        format!("Host: evil.example:{port}\r\n"),
        "Host: evil.example\r\n".to_owned(),
        format!("Host: localhost:9\r\nOrigin: http://localhost:{port}\r\n"),
        String::new(),
        format!("Host: {own}\r\nHost: evil.example\r\n"),
        format!("Host: {own}\r\nOrigin: http://evil.example\r\n"),
        format!("Host: {own}\r\nOrigin: null\r\n"),
    ] {
        assert_eq!(status(&foreign), 403, "{foreign}");
    }
    let post = server.raw(&format!(
        "POST / HTTP/1.1\r\nHost: {own}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ));
    assert!(
        post.starts_with("HTTP/1.1 405 ") && post.contains("Allow: GET, HEAD"),
        "{post}"
    );
    let head = server.raw(&format!("HEAD / HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n"));
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

/// `nc -N` and others close their side once the request is sent, and wait for the answer.
#[test]
fn a_client_that_has_closed_its_side_is_answered() {
    let server = Server::watch(finished());
    let mut client = TcpStream::connect(&server.host).unwrap();
    write!(client, "GET /news HTTP/1.1\r\nHost: {}\r\n\r\n", server.host).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// About 100 connections claim a body that never comes. The server has 24 descriptors, so it must
/// not keep them open.
#[cfg(unix)]
#[test]
fn bodies_that_never_arrive_take_no_memory() {
    let server = Server::watch_with(finished(), 24);
    for length in [
        "5000",
        "1048577",
        "100000000000000",
        "18446744073709551615",
        "99999999999999999999999",
        "-1",
    ] {
        for _ in 0..17 {
            let mut claimed = TcpStream::connect(&server.host).unwrap();
            let request = format!(
                "GET /news HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\nbody",
                server.host
            );
            claimed.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            // Read to the end: the server closes the connection despite the claimed length.
            claimed.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nConnection: close\r\n"),
                "{length}: {answer}"
            );
        }
    }
}

/// Whether `text` is an answer with status 200.
#[cfg(unix)]
fn is_answer(text: &str) -> bool {
    text.starts_with("HTTP/1.1 200 OK\r\n")
}

/// A hundred connections that each send one byte, and reconnect as soon as they are closed, lock no
/// reader out.
#[cfg(unix)]
#[test]
fn readers_are_answered_while_others_hold_connections() {
    let server = Server::watch(finished());
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    // Whatever happens to this connection, another follows.
                    let _ = TcpStream::connect(&server.host).and_then(|mut held| {
                        held.write_all(b"G")?;
                        held.read_to_end(&mut Vec::new())
                    });
                }
            });
        }
        // The clients that reconnect take every free slot. If the server closes a reader's
        // connection to free a slot for a newer one, the reader tries again, as browsers do.
        let answer = || (0..3).map(|_| server.raw_news()).find(|answer| is_answer(answer));
        let answers: Vec<Option<String>> = (0..12).map(|_| answer()).collect();
        ended.store(true, Ordering::Relaxed);
        // Requests that still wait end with the server.
        server.stop();
        assert_eq!(answers.iter().flatten().count(), 12);
    });
}

/// Idle connections use up every descriptor; once they close, the server works as before.
#[cfg(unix)]
#[test]
fn a_server_without_descriptors_waits_for_them() {
    let mut server = Server::watch_with(finished(), 24);
    for _ in 0..3 {
        let held: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(&server.host).unwrap()).collect();
        drop(held);
        assert_eq!(server.get("/news").0, 200);
    }
    // A request that waits in the queue after them is answered too.
    let held: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(&server.host).unwrap()).collect();
    let mut waiting = TcpStream::connect(&server.host).unwrap();
    write!(waiting, "GET /news HTTP/1.1\r\nHost: {}\r\n\r\n", server.host).unwrap();
    drop(held);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    interrupt(&mut server);
}

#[test]
fn invalid_requests_are_refused() {
    let server = Server::watch(finished());
    let host = format!("Host: {}\r\n", server.host);
    for (request, status) in [
        ("nothing\r\n\r\n".to_owned(), "400 "),
        (format!("GET / HTTP/9.9\r\n{host}\r\n"), "400 "),
        (format!("GET / HTTP/1.1\r\n{host}a b: c\r\n\r\n"), "400 "),
        (
            format!("GET / HTTP/1.1\r\n{host}{}\r\n", "a: b\r\n".repeat(100)),
            "431 ",
        ),
        (format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(100_000)), "431 "),
        (
            format!("OPTIONS / HTTP/1.1\r\n{host}Access-Control-Request-Method: GET\r\n\r\n"),
            "405 ",
        ),
        (
            format!("PUT /files/config.toml HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx"),
            "405 ",
        ),
        (format!("DELETE /files/config.toml HTTP/1.1\r\n{host}\r\n"), "405 "),
    ] {
        let answer = server.raw(&request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        for header in [
            "Content-Security-Policy: default-src 'none'",
            "X-Content-Type-Options: nosniff",
            "Cache-Control: no-store",
        ] {
            assert!(answer.contains(header), "{answer}");
        }
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    }
    // Half a request from a client that then disconnects.
    TcpStream::connect(&server.host)
        .unwrap()
        .write_all(b"GET / HT")
        .unwrap();
    assert_eq!(server.get("/news").0, 200);
}

#[cfg(unix)]
#[test]
fn an_interrupted_server_exits_with_code_0() {
    interrupt(&mut Server::watch(finished()));
}

#[test]
fn wrong_addresses_and_directories_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    da2s()
        .arg("watch")
        .arg(folder.path())
        .args(["--http", "0"])
        .assert()
        .code(5)
        .stderr(predicate::str::contains("is not a run directory"));
    da2s()
        .arg("watch")
        .arg(finished())
        .args(["--http", "example.org:80"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("for example 8080"));
    let server = Server::watch(finished());
    da2s()
        .arg("watch")
        .arg(finished())
        .args(["--http", &server.host])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("choose another port"));
}

#[test]
fn a_dashboard_needs_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    for verb in ["run", "search"] {
        let refused = with(verb, &TINY).args(["--tui", "--out"]).arg(&out).assert();
        refused.code(2).stderr(predicate::str::contains("needs a terminal"));
    }
    assert!(!out.exists());
    da2s()
        .arg("train")
        .arg(finished())
        .arg("--tui")
        .assert()
        .code(2)
        .stderr(predicate::str::contains("needs a terminal"));
    da2s()
        .arg("watch")
        .arg(finished())
        .assert()
        .code(2)
        .stderr(predicate::str::contains("--http"));
    with("run", &TINY)
        .args(["--tui", "--quiet"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("cannot be used with"));
}
