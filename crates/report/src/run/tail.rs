//! Reads a `.jsonl` file to which another process or thread appends: each call reads what was added
//! since the last one.
//!
//! Contract: only complete lines are read; a line that is still being written waits. A file that
//! became shorter, or whose last read line has moved, is treated as another file (a resumed run
//! truncates its files): it is read again from the start, and [`Tail::generation`] changes. If
//! epochs repeat, the later record counts.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use da2s_records::Folder;
use da2s_records::files::MOST_LINES_BYTES;
use serde::de::DeserializeOwned;

use super::lines::reason;
use crate::ReportError;

/// The records of a file so far.
#[derive(Debug)]
pub(crate) struct Tail<R> {
    file: &'static str,
    epoch: fn(&R) -> usize,
    records: Vec<R>,
    /// Bytes read so far.
    taken_bytes: u64,
    /// Lines read so far.
    lines: usize,
    /// The last of them, with its line break.
    last_line: Vec<u8>,
    generation: usize,
}

impl<R: DeserializeOwned> Tail<R> {
    /// The file `file` of a run directory; `epoch` returns the epoch of a record.
    pub(crate) fn new(file: &'static str, epoch: fn(&R) -> usize) -> Self {
        Self {
            file,
            epoch,
            records: Vec::new(),
            taken_bytes: 0,
            lines: 0,
            last_line: Vec::new(),
            generation: 0,
        }
    }

    /// The records, by increasing epoch.
    pub(crate) fn records(&self) -> &[R] {
        &self.records
    }

    /// The records, by increasing epoch, without a copy.
    pub(crate) fn into_records(self) -> Vec<R> {
        self.records
    }

    /// A number that changes whenever records are discarded.
    pub(crate) fn generation(&self) -> usize {
        self.generation
    }

    /// Reads what was added; returns whether anything changed. `check` also receives the first
    /// record.
    pub(crate) fn poll(
        &mut self,
        dir: &Path,
        check: impl Fn(&R, Option<&R>) -> Result<(), String>,
    ) -> Result<bool, ReportError> {
        let path = dir.join(self.file);
        let generation = self.generation;
        let added = self.added(dir)?;
        for line in added.split_inclusive(|byte| *byte == b'\n') {
            let damaged = |reason| ReportError::Damaged {
                path: path.clone(),
                line: self.lines + 1,
                reason,
            };
            if !line.iter().all(u8::is_ascii_whitespace) {
                let record: R = serde_json::from_slice(line).map_err(|error| damaged(reason(&error)))?;
                check(&record, self.records.first()).map_err(damaged)?;
                self.push(record);
            }
            self.lines += 1;
            self.taken_bytes += line.len() as u64;
            self.last_line = line.to_vec();
        }
        Ok(!added.is_empty() || generation != self.generation)
    }

    fn push(&mut self, record: R) {
        let before = self.records.len();
        while self
            .records
            .last()
            .is_some_and(|last| (self.epoch)(last) >= (self.epoch)(&record))
        {
            self.records.pop();
        }
        self.generation += usize::from(self.records.len() < before);
        self.records.push(record);
    }

    /// The complete lines after those that were already read.
    fn added(&mut self, dir: &Path) -> Result<Vec<u8>, ReportError> {
        let opened = match Folder::open(dir) {
            Ok(folder) => folder.open_file(self.file)?,
            Err(error) if error.is_absent() => None,
            Err(error) => return Err(error.into()),
        };
        let Some(file) = opened else {
            self.forget();
            return Ok(Vec::new());
        };
        let added = self.added_to(file);
        added.map_err(|source| ReportError::Read {
            path: dir.join(self.file),
            source,
        })
    }

    fn added_to(&mut self, mut file: File) -> io::Result<Vec<u8>> {
        let before = self.last_line.len() as u64;
        file.seek(SeekFrom::Start(self.taken_bytes - before))?;
        let mut bytes = Vec::new();
        (&mut file).take(MOST_LINES_BYTES).read_to_end(&mut bytes)?;
        if bytes.starts_with(&self.last_line) {
            bytes.drain(..self.last_line.len());
        } else {
            self.forget();
            bytes.clear();
            file.seek(SeekFrom::Start(0))?;
            file.take(MOST_LINES_BYTES).read_to_end(&mut bytes)?;
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(whole);
        Ok(bytes)
    }

    /// Starts over, unless nothing has been read.
    fn forget(&mut self) {
        if self.lines > 0 {
            *self = Self {
                generation: self.generation + 1,
                ..Self::new(self.file, self.epoch)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    type Numbers = Tail<(usize, char)>;

    fn poll(tail: &mut Numbers, dir: &Path) -> (bool, Vec<(usize, char)>) {
        let changed = tail.poll(dir, |_, _| Ok(())).unwrap();
        (changed, tail.records().to_vec())
    }

    #[test]
    fn a_file_is_followed_and_reread_when_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let write = |text: &str| fs::write(dir.join("a.jsonl"), text).unwrap();
        let mut tail = Numbers::new("a.jsonl", |record| record.0);
        assert_eq!(poll(&mut tail, dir), (false, vec![]));
        write("[1,\"a\"]\n[2,");
        assert_eq!(poll(&mut tail, dir), (true, vec![(1, 'a')]), "half a line waits");
        write("[1,\"a\"]\n[2,\"a\"]\n");
        assert_eq!(poll(&mut tail, dir), (true, vec![(1, 'a'), (2, 'a')]));
        assert_eq!(poll(&mut tail, dir), (false, vec![(1, 'a'), (2, 'a')]));
        assert_eq!(tail.generation(), 0);

        write("[1,\"a\"]\n");
        assert_eq!(poll(&mut tail, dir), (true, vec![(1, 'a')]), "it was cut");
        assert_eq!(tail.generation(), 1);
        write("[1,\"b\"]\n[2,\"b\"]\n");
        assert_eq!(
            poll(&mut tail, dir),
            (true, vec![(1, 'b'), (2, 'b')]),
            "another file that is not shorter"
        );
        write("[1,\"b\"]\n[2,\"b\"]\n[2,\"c\"]\n");
        assert_eq!(poll(&mut tail, dir), (true, vec![(1, 'b'), (2, 'c')]), "repeated");
        assert_eq!(tail.generation(), 3);
        fs::remove_file(dir.join("a.jsonl")).unwrap();
        assert_eq!(poll(&mut tail, dir), (true, vec![]));
    }

    #[test]
    fn damage_is_reported_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.jsonl"), "[1,\"a\"]\n{\n").unwrap();
        let error = Numbers::new("a.jsonl", |record| record.0)
            .poll(folder.path(), |_, _| Ok(()))
            .unwrap_err();
        assert!(matches!(error, ReportError::Damaged { line: 2, .. }), "{error}");
    }
}
