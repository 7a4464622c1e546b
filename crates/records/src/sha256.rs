//! SHA-256 (FIPS 180-4) and its hexadecimal form, in which da2s writes and compares checksums.

use std::io;

use sha2::Digest;

/// The checksum of the data added so far.
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// The checksum of `bytes`.
    pub fn over(bytes: impl AsRef<[u8]>) -> Self {
        let mut sum = Self::default();
        sum.update(bytes);
        sum
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The 32 bytes of the checksum.
    pub fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The checksum in hexadecimal.
    pub fn hex(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}

/// Adds everything that is written to it.
impl io::Write for Sha256 {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_checksum_of_abc_is_the_published_one() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256::over("abc").hex(), abc);
        let mut sum = Sha256::default();
        sum.update("a");
        sum.write_all(b"bc").unwrap();
        assert_eq!(sum.hex(), abc);
    }
}
