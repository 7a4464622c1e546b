//! `da2s serve`: predictions over HTTP, and requests of attackers.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};

use predicates::prelude::*;
use serde_json::Value;

use crate::server::{Server, assert_protected, copy};
use crate::{da2s, finished};

/// Images of several sizes and kinds.
fn images(dir: &Path) -> Vec<PathBuf> {
    let pixel = |x: u32, y: u32, salt: u32| ((x * 37 + y * 91 + salt * 53) % 256) as u8;
    let grey = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([pixel(x, y, 1)]));
    let colour = image::RgbImage::from_fn(31, 20, |x, y| {
        image::Rgb([pixel(x, y, 1), pixel(x, y, 2), pixel(x, y, 3)])
    });
    let paths = ["grey.png", "colour.jpg", "colour.bmp"].map(|name| dir.join(name));
    grey.save(&paths[0]).unwrap();
    colour.save(&paths[1]).unwrap();
    colour.save(&paths[2]).unwrap();
    paths.into()
}

/// The header of a BMP file that claims this many pixels.
fn claimed_bmp(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::DynamicImage::ImageRgb8(image::RgbImage::new(2, 2));
    image
        .write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Bmp)
        .unwrap();
    bytes[18..22].copy_from_slice(&width.to_le_bytes());
    bytes[22..26].copy_from_slice(&height.to_le_bytes());
    bytes
}

/// Status and body of the answer to a POST with these headers.
fn post(server: &Server, headers: &str, body: &[u8]) -> (u16, String) {
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n",
        server.host,
        body.len()
    );
    let answer = server.send(&[head.as_bytes(), body].concat());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn classes(text: &str) -> Vec<(String, f64)> {
    let value: Value = serde_json::from_str(text).unwrap();
    let classes = value["classes"].as_array().unwrap().iter();
    let class = |class: &Value| {
        (
            class["name"].as_str().unwrap().to_owned(),
            class["probability"].as_f64().unwrap(),
        )
    };
    classes.map(class).collect()
}

#[test]
fn classes_are_those_of_predict() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::serve(finished());
    for path in images(folder.path()) {
        let output = da2s()
            .args(["predict", "--json", "--quiet"])
            .arg(finished())
            .arg(&path)
            .output()
            .unwrap();
        let expected: Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = classes(&expected[0].to_string());
        let bytes = fs::read(&path).unwrap();
        let (status, body) = post(&server, "Content-Type: application/x-www-form-urlencoded\r\n", &bytes);
        assert_eq!(status, 200, "{body}");
        let found = classes(&body);
        assert_eq!(found.len(), 3);
        for ((name, probability), (other, expected)) in found.iter().zip(&expected) {
            assert!(
                name == other && (probability - expected).abs() < 1e-5,
                "{found:?} {expected:?}"
            );
        }
        // A form with the same image.
        let form = [
            b"--edge\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a <b>.png\"\r\n\r\n",
            &bytes[..],
            b"\r\n--edge--\r\n",
        ]
        .concat();
        let (status, body) = post(&server, "Content-Type: multipart/form-data; boundary=edge\r\n", &form);
        assert_eq!((status, classes(&body)), (200, found), "{body}");
        assert!(body.contains("\"image\":\"a <b>.png\""), "{body}");
    }
}

#[test]
fn a_network_of_another_device_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    copy(&run);
    fs::create_dir_all(run.join("network")).unwrap();
    for name in ["network/best.safetensors", "network/preprocessing.json"] {
        fs::copy(finished().join(name), run.join(name)).unwrap();
    }
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let elsewhere = config.replace("device = \"cpu\"", "device = \"cuda\"");
    assert!(elsewhere != config);
    fs::write(run.join("config.toml"), elsewhere).unwrap();
    assert_eq!(Server::serve(&run).get("/about").0, 200);
}

#[test]
fn the_page_and_what_it_needs_are_served() {
    let server = Server::serve(finished());
    let (status, headers, page) = server.get("/");
    assert!(status == 200 && page.contains("/page.js"));
    assert_protected(&headers);
    assert!(server.get("/page.js").2.contains("fetch(\"/predict\""));
    assert!(server.get("/page.css").1.contains("text/css"));
    let about: Value = serde_json::from_str(&server.get("/about").2).unwrap();
    assert_eq!(
        (&about["classes"][9], &about["channels"]),
        (&Value::from("9"), &Value::from(1))
    );
    for path in ["/files/config.toml", "/report.html", "/../secret", "//predict"] {
        assert_eq!(server.get(path).0, 404, "{path}");
    }
    let (status, headers, _) = server.get("/predict");
    assert!(status == 405 && headers.contains("\"allow\": \"post\""), "{headers}");
}

#[test]
fn an_invalid_image_gets_an_answer() {
    let server = Server::serve(finished());
    let form = "Content-Type: multipart/form-data; boundary=x\r\n";
    let large = claimed_bmp(10_000, 5_001);
    for (headers, body, status, says) in [
        ("", &large[..], 422, "too large: 10000×5001 pixels"),
        ("", b"", 422, "empty"),
        ("", b"GIF89a", 422, "the image: "),
        ("", b"{\"image\": 1}", 422, "the image: "),
        ("Expect: 100-continue\r\n", b"\x89PNG\r\n\x1a\n", 422, ""),
        (form, b"--x\r\n", 400, "form"),
        (form, b"--x--\r\n", 400, "no file"),
    ] {
        let head = format!(
            "POST /predict HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n",
            server.host,
            body.len()
        );
        let answer = server.send(&[head.as_bytes(), body].concat());
        let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let error: Value = serde_json::from_str(body).unwrap();
        assert!(error["error"].as_str().unwrap().contains(says), "{answer}");
    }
}

#[test]
fn foreign_and_oversized_posts_are_refused() {
    let server = Server::serve(finished());
    let own = format!("Host: {}\r\n", server.host);
    let length = "Content-Length: 4\r\n";
    for (request, status) in [
        (format!("POST /predict HTTP/1.1\r\nHost: evil.example\r\n{length}"), 403),
        (
            format!("POST /predict HTTP/1.1\r\n{own}Origin: http://evil.example\r\n{length}"),
            403,
        ),
        (format!("POST /predict HTTP/1.1\r\n{own}Origin: null\r\n{length}"), 403),
        (
            format!("POST /predict HTTP/1.1\r\n{own}Sec-Fetch-Site: cross-site\r\n{length}"),
            403,
        ),
        (format!("POST /predict HTTP/1.1\r\n{own}"), 411),
        (
            format!("POST /predict HTTP/1.1\r\n{own}Transfer-Encoding: chunked\r\n"),
            411,
        ),
        (
            format!("POST /predict HTTP/1.1\r\n{own}Content-Length: 33554433\r\n"),
            413,
        ),
        (
            format!("POST /predict HTTP/1.1\r\n{own}Content-Length: 18446744073709551616\r\n"),
            413,
        ),
        (format!("POST /predict HTTP/1.1\r\n{own}{length}{length}"), 400),
        (format!("POST / HTTP/1.1\r\n{own}{length}"), 405),
        (format!("PUT /predict HTTP/1.1\r\n{own}{length}"), 405),
        (
            format!("OPTIONS /predict HTTP/1.1\r\n{own}Access-Control-Request-Method: POST\r\n"),
            405,
        ),
    ] {
        let answer = server.send(format!("{request}\r\nbody").as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
        let methods = if request.contains(" /predict ") {
            "POST"
        } else {
            "GET, HEAD"
        };
        assert!(
            status != 405 || answer.contains(&format!("Allow: {methods}\r\n")),
            "{answer}"
        );
    }
    // A client that sends the body without waiting for permission gets the answer, not a connection
    // reset.
    let (status, answer) = post(&server, "", &vec![0; 33_554_433]);
    assert!(status == 413 && answer.contains("too long"), "{answer}");
}

/// The server holds a limited number of bytes for each client address.
#[test]
fn an_address_with_too_much_in_memory_is_refused() {
    let server = Server::serve(finished());
    let body = vec![0; 31 << 20];
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        server.host,
        body.len() + 1
    );
    let held: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.host).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
            stream
        })
        .collect();
    let (status, answer) = post(&server, "", &body);
    assert!(status == 503 && answer.contains("try again"), "{status}: {answer}");
    drop(held);
}

/// An announced body that never arrives does not delay other readers.
#[test]
fn a_body_that_does_not_come_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let image = fs::read(&images(folder.path())[0]).unwrap();
    let server = Server::serve(finished());
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: {}\r\nContent-Length: 30000000\r\n\r\nx",
        server.host
    );
    let mut held: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.host).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    assert_eq!(post(&server, "", &image).0, 200);
    // 32 connections per address are kept. This one took the last slot, so nine were closed without
    // an answer. Which ones depends on the order in which the server's threads ran.
    let mut closed = vec![false; held.len()];
    while closed.iter().filter(|&&closed| closed).count() < 9 {
        for (stream, closed) in held.iter_mut().zip(&mut closed) {
            match stream.read(&mut [0]) {
                Ok(count) => {
                    assert_eq!(count, 0, "an answer");
                    *closed = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    *closed = true;
                }
            }
        }
        std::thread::yield_now();
    }
}

/// A client that has closed its sending side may be gone. It gets an answer, or the reason why
/// there is none.
#[test]
fn a_client_that_has_closed_its_side_is_told_why_it_gets_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let image = fs::read(&images(folder.path())[0]).unwrap();
    let server = Server::serve(finished());
    let mut client = TcpStream::connect(&server.host).unwrap();
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        server.host,
        image.len()
    );
    client.write_all(&[head.as_bytes(), &image].concat()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("\"classes\"") || answer.contains("keep it open"),
        "{answer}"
    );
}

/// A public server accepts requests whose `Host` is any IP address, but none with a host name.
#[test]
fn a_public_server_has_no_name() {
    let server = Server::serve_at(finished(), &["--http", "0.0.0.0:0", "--public"]);
    let answer = |host: &str| server.send(format!("GET /about HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    let port = server.host.rsplit_once(':').unwrap().1;
    for host in [&server.host, "192.0.2.7", &format!("192.0.2.7:{port}")] {
        assert!(answer(host).starts_with("HTTP/1.1 200 "), "{host}");
    }
    for host in ["gpu-box", "evil.example", &format!("gpu-box:{port}")] {
        let answer = answer(host);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains(&format!("http://ADDRESS:{port}/")), "{answer}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_server_ends_despite_open_connections() {
    let mut server = Server::serve(finished());
    let mut held = TcpStream::connect(&server.host).unwrap();
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\n\r\n",
        server.host
    );
    held.write_all(head.as_bytes()).unwrap();
    assert_eq!(server.get("/").0, 200);
    crate::server::interrupt(&mut server);
}

#[test]
fn other_machines_need_permission_and_a_run_needs_a_network() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        da2s()
            .arg("serve")
            .arg(finished())
            .args(["--http", address])
            .assert()
            .code(2)
            .stderr(predicate::str::contains("add --public"));
    }
    let folder = tempfile::tempdir().unwrap();
    copy(folder.path());
    da2s()
        .arg("serve")
        .arg(folder.path())
        .args(["--http", "0"])
        .assert()
        .code(5)
        .stderr(predicate::str::contains("da2s train"));
}
