//! One download: into a `.part` file that the next attempt resumes, verified, then renamed.
//!
//! Contract: a file under its own name is complete and has the published checksum; a failed attempt
//! leaves at most the `.part` file, and never one with a wrong checksum. The download fails if the
//! server stops sending, but not because the server is slow.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use da2s::Error;
use da2s_records::Sha256;
use ureq::http::StatusCode;

use crate::exit::Code;
use crate::failure::Failure;

/// A published file.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Its name.
    pub name: &'static str,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: &'static str,
}

/// Read buffer size in bytes.
const BLOCK_BYTES: usize = 1 << 16;

/// The HTTP client. `patience` limits the time to connect, the time to the first byte, and the time
/// between two pieces of data, but not the total time; with `https_only`, plain HTTP is refused.
pub fn agent(patience: Duration, https_only: bool) -> ureq::Agent {
    agent_with(patience, patience, https_only)
}

fn agent_with(to_answer: Duration, between_pieces: Duration, https_only: bool) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .https_only(https_only)
        .timeout_connect(Some(to_answer))
        .timeout_recv_response(Some(to_answer))
        .timeout_per_read(Some(between_pieces))
        .build()
        .into()
}

/// Downloads `file` from `url` into the folder `out`, unless it exists there; `progress` is called
/// with the number of bytes so far.
///
/// # Errors
/// If the server cannot be reached or sends something else, or a file cannot be written.
pub fn download(
    agent: &ureq::Agent,
    url: &str,
    file: &Published,
    out: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<PathBuf, Failure> {
    let path = out.join(file.name);
    if path.is_file() {
        if is_published(&path, file)? {
            return Ok(path);
        }
        let advice = "move it away, or choose another directory with --out";
        return Err(Failure::new(Code::Files, format!("{}; {advice}", not_published(&path))));
    }
    let part = out.join(format!("{}.part", file.name));
    let mut there = fs::metadata(&part).map_or(0, |metadata| metadata.len());
    if there > file.size_bytes {
        there = 0;
    }
    if there < file.size_bytes {
        receive(agent, url, file, &part, there, progress)?;
    }
    if !is_published(&part, file)? {
        // A partial file with wrong content must not be continued.
        fs::remove_file(&part).map_err(io_error("remove", &part))?;
        return Err(Failure::new(
            Code::Network,
            format!("{}, and was removed", not_published(&part)),
        ));
    }
    fs::rename(&part, &path).map_err(io_error("rename", &part))?;
    Ok(path)
}

/// Appends the missing data to `part`, whose first `there` bytes are valid.
fn receive(
    agent: &ureq::Agent,
    url: &str,
    file: &Published,
    part: &Path,
    there: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let failed = |reason: String| Failure::new(Code::Network, format!("cannot fetch {url}: {reason}"));
    let mut request = agent.get(url);
    if there > 0 {
        request = request.header("Range", format!("bytes={there}-"));
    }
    let response = request.call().map_err(|error| failed(error.to_string()))?;
    let goes_on = response
        .headers()
        .get("content-range")
        .and_then(|range| range.to_str().ok())
        .is_some_and(|range| range.starts_with(&format!("bytes {there}-")));
    let mut there = match response.status() {
        StatusCode::PARTIAL_CONTENT if goes_on => there,
        // A server without support for ranges sends everything.
        StatusCode::OK => 0,
        other => return Err(failed(format!("the server answered {other}"))),
    };
    let mut output = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(part)
        .map_err(io_error("write", part))?;
    let at_end = output.set_len(there).and_then(|()| output.seek(SeekFrom::End(0)));
    at_end.map_err(io_error("write", part))?;
    // One extra byte shows that there is more data than was published.
    let mut input = response.into_body().into_reader().take(file.size_bytes - there + 1);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let count = match input.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                let reason = stood_still(agent, &error).unwrap_or_else(|| error.to_string());
                return Err(failed(interrupted(there, file, &reason)));
            }
        };
        output.write_all(&block[..count]).map_err(io_error("write", part))?;
        there += count as u64;
        progress(there);
    }
    output.sync_all().map_err(io_error("write", part))?;
    if there < file.size_bytes {
        return Err(failed(interrupted(there, file, "the server sent no more")));
    }
    Ok(())
}

/// A message if `error` means that the server stopped sending.
fn stood_still(agent: &ureq::Agent, error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<ureq::Error>()?;
    let patience = agent.config().timeout_per_read()?;
    matches!(error, ureq::Error::Timeout(ureq::Timeout::PerRead))
        .then(|| format!("the server sent nothing for {patience:?}"))
}

fn interrupted(there: u64, file: &Published, reason: &str) -> String {
    format!(
        "{reason}; {there} of {} bytes have arrived, and the same command continues",
        file.size_bytes
    )
}

/// Whether `path` is the published file.
fn is_published(path: &Path, file: &Published) -> Result<bool, Failure> {
    let mut hasher = Sha256::default();
    let mut input = File::open(path).map_err(io_error("read", path))?;
    io::copy(&mut input, &mut hasher).map_err(io_error("read", path))?;
    Ok(hasher.hex() == file.sha256)
}

fn not_published(path: &Path) -> String {
    format!("{} is not the published file: its SHA-256 differs", path.display())
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Error::io(action, path, source).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use tempfile::TempDir;

    const CONTENT: &[u8] = b"every image of a small data set";
    const SHA256: &str = "833b78dbb441912e2d7519a0e6efeb444daadf8e9331e18b67bd847c8e935b32";

    /// A server that answers each request in turn with one of `answers`, which are called with the
    /// first requested byte.
    fn serve(answers: Vec<fn(usize) -> Vec<u8>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let from = asked_from(&stream);
                stream.write_all(&answer(from)).unwrap();
            }
        });
        format!("http://{address}/set.bin")
    }

    /// A server that sends `beginning` and then nothing, until the client disconnects.
    fn stand_still(beginning: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            asked_from(&stream);
            stream.write_all(&beginning).unwrap();
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        format!("http://{address}/set.bin")
    }

    /// Reads a request; returns the first byte that it requests.
    fn asked_from(stream: &TcpStream) -> usize {
        let mut from = 0;
        for line in BufReader::new(stream.try_clone().unwrap()).lines() {
            let line = line.unwrap().to_ascii_lowercase();
            if let Some(range) = line.strip_prefix("range: bytes=") {
                from = range.trim_end_matches('-').parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        from
    }

    fn response(head: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
    }

    fn ranged(from: usize) -> Vec<u8> {
        let last = CONTENT.len() - 1;
        response(
            &format!("206 Partial Content\r\nContent-Range: bytes {from}-{last}/{}", last + 1),
            &CONTENT[from..],
        )
    }

    fn whole(_: usize) -> Vec<u8> {
        response("200 OK", CONTENT)
    }

    fn cut_off(_: usize) -> Vec<u8> {
        response(&format!("200 OK\r\nContent-Length: {}", CONTENT.len()), &CONTENT[..12])
    }

    fn get(url: &str, out: &Path) -> Result<PathBuf, Failure> {
        get_within(Duration::from_secs(60), url, out)
    }

    fn get_within(patience: Duration, url: &str, out: &Path) -> Result<PathBuf, Failure> {
        let file = Published {
            name: "set.bin",
            size_bytes: CONTENT.len() as u64,
            sha256: SHA256,
        };
        download(
            &agent_with(Duration::from_secs(60), patience, false),
            url,
            &file,
            out,
            &mut |_| {},
        )
    }

    #[test]
    fn a_download_from_a_stalled_server_fails_and_can_be_resumed() {
        let out = TempDir::new().unwrap();
        let patience = Duration::from_millis(500);
        let failed = get_within(patience, &stand_still(cut_off(0)), out.path()).unwrap_err();
        assert_eq!(failed.code(), Code::Network);
        let told = failed.to_string();
        assert!(
            told.contains("the server sent nothing for 500ms; 12 of 31 bytes have arrived"),
            "{told}"
        );
        assert_eq!(fs::read(out.path().join("set.bin.part")).unwrap(), &CONTENT[..12]);
        let path = get(&serve(vec![ranged]), out.path()).unwrap();
        assert_eq!(fs::read(path).unwrap(), CONTENT);
    }

    #[test]
    fn a_plain_http_address_of_a_published_file_is_refused() {
        let refused = agent(Duration::from_secs(1), true).get("http://127.0.0.1:9/").call();
        assert!(matches!(refused, Err(ureq::Error::RequireHttpsOnly(_))), "{refused:?}");
    }

    #[test]
    fn an_interrupted_download_is_continued() {
        let out = TempDir::new().unwrap();
        let url = serve(vec![cut_off, ranged]);
        let told = get(&url, out.path()).unwrap_err().to_string();
        assert!(told.contains("12 of 31 bytes have arrived"), "{told}");
        let part = out.path().join("set.bin.part");
        assert_eq!(fs::read(&part).unwrap(), &CONTENT[..12]);
        let path = get(&url, out.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), CONTENT);
        assert!(!part.exists());
        // An existing file is not downloaded again: the server no longer runs.
        assert_eq!(get(&url, out.path()).unwrap(), path);
    }

    #[test]
    fn a_server_without_ranges_starts_from_the_beginning() {
        let out = TempDir::new().unwrap();
        let part = out.path().join("set.bin.part");
        fs::write(&part, "something else that is longer than the file is").unwrap();
        let path = get(&serve(vec![whole]), out.path()).unwrap();
        assert_eq!(fs::read(path).unwrap(), CONTENT);
        fs::remove_file(out.path().join("set.bin")).unwrap();
        fs::write(&part, &CONTENT[..5]).unwrap();
        let path = get(&serve(vec![whole]), out.path()).unwrap();
        assert_eq!(fs::read(path).unwrap(), CONTENT);
    }

    #[test]
    fn only_the_published_file_stays() {
        let out = TempDir::new().unwrap();
        let other: fn(usize) -> Vec<u8> = |_| response("200 OK", b"every image of a small data sex");
        let longer: fn(usize) -> Vec<u8> = |_| response("200 OK", &[CONTENT, CONTENT].concat());
        for answer in [other, longer] {
            let error = get(&serve(vec![answer]), out.path()).unwrap_err();
            assert_eq!(error.code(), Code::Network, "{error}");
            assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
        }
        fs::write(out.path().join("set.bin"), "mine").unwrap();
        let error = get("http://127.0.0.1:9/", out.path()).unwrap_err();
        assert_eq!(error.code(), Code::Files, "{error}");
        assert_eq!(fs::read(out.path().join("set.bin")).unwrap(), b"mine");
    }

    #[test]
    fn invalid_answers_are_reported() {
        let out = TempDir::new().unwrap();
        let missing: fn(usize) -> Vec<u8> = |_| response("404 Not Found", b"");
        let told = get(&serve(vec![missing]), out.path()).unwrap_err().to_string();
        assert!(told.contains("404"), "{told}");
        // A range other than the requested one is not appended.
        fs::write(out.path().join("set.bin.part"), &CONTENT[..5]).unwrap();
        let shifted: fn(usize) -> Vec<u8> = |from| ranged(from + 1);
        assert!(get(&serve(vec![shifted]), out.path()).is_err());
        assert_eq!(fs::read(out.path().join("set.bin.part")).unwrap(), &CONTENT[..5]);
    }
}
