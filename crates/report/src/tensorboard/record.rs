//! The framing of an event file: TFRecord.
//!
//! Reference: tensorflow/core/lib/io/record_writer.h. A record is its length (u64, little-endian),
//! a checksum of these eight bytes, the data, and a checksum of the data; a checksum is a masked
//! CRC-32C.

/// `data` as a record.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// Rotated and offset: a plain CRC would be weak for data that contains checksums itself.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_record_matches_the_one_that_tensorflow_writes() {
        // Bytes of a file that TensorFlow 2 wrote: the length 24 and its checksum.
        let record = framed(&[0; 24]);
        assert_eq!(&record[..12], [24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
    }

    proptest! {
        #[test]
        fn a_changed_bit_changes_the_checksum(data in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>()) {
            let mut other = data.clone();
            let bit = at.index(8 * data.len());
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(framed(&data).len(), data.len() + 16);
            prop_assert_ne!(masked(&data), masked(&other));
        }
    }
}
