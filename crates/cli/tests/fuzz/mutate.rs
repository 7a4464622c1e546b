//! Damaged inputs derived from valid ones: changed bits and bytes; parts cut, repeated or copied
//! from elsewhere; invalid lengths and numbers.
//!
//! Contract: a pure function of the generator. There is no coverage-guided engine: these tests run
//! on the stable compiler among the ordinary tests, and the crates for mutation depend on such an
//! engine.

use rand::Rng;
use rand::seq::IndexedRandom;

/// Longest input.
const MOST_BYTES: usize = 64 << 10;
/// Size of the head of a file: half of all changes hit it.
const HEAD_BYTES: usize = 512;
/// Unusual numbers for a text.
const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999999",
    "1e308",
    "-1e308",
    "1e-320",
    "1e999",
    "null",
];
/// Unusual values for a length.
const LENGTHS: [u64; 10] = [
    0,
    1,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
    1 << 40,
];

/// One of `seeds`, damaged; `words` are texts that its format contains.
pub fn damaged(seeds: &[Vec<u8>], words: &[&str], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = seeds.choose(rng).cloned().unwrap_or_default();
    let changes = *[1, 1, 1, 2, 2, 3, 5, 12].choose(rng).expect("there are some");
    for _ in 0..changes {
        change(&mut bytes, seeds, words, rng);
        bytes.truncate(MOST_BYTES);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], rng: &mut impl Rng) {
    let at = place(bytes.len(), rng);
    let until = (at + span(rng)).min(bytes.len());
    match rng.random_range(0..13) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = *[0, 1, 0x7f, 0x80, 0xff, rng.random()]
                    .choose(rng)
                    .expect("there are some");
            }
        }
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..until)),
        4 => {
            let part = bytes[at..until].to_vec();
            insert(bytes, at, &part);
        }
        5 => {
            let random: Vec<u8> = (0..span(rng)).map(|_| rng.random()).collect();
            insert(bytes, at, &random);
        }
        6 => {
            let other = seeds.choose(rng).cloned().unwrap_or_default();
            let from = place(other.len(), rng);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        7 => {
            let width = *[1, 2, 4, 8].choose(rng).expect("there are some");
            let length = *LENGTHS.choose(rng).expect("there are some");
            let mut written = length.to_le_bytes()[..width].to_vec();
            if rng.random() {
                written.reverse();
            }
            if let Some(place) = bytes.get_mut(at..at + width) {
                place.copy_from_slice(&written);
            }
        }
        8 | 9 => number(bytes, at, rng),
        10 => insert(bytes, at, words.choose(rng).unwrap_or(&"").as_bytes()),
        11 => {
            let word = words.choose(rng).unwrap_or(&"[");
            insert(bytes, at, word.repeat(rng.random_range(1..2000)).as_bytes());
        }
        _ => {
            let from = place(bytes.len(), rng);
            let part = bytes[from..(from + until - at).min(bytes.len())].to_vec();
            let end = (at + part.len()).min(bytes.len());
            let count = end - at;
            bytes[at..end].copy_from_slice(&part[..count]);
        }
    }
}

/// Replaces the next number of a text.
fn number(bytes: &mut Vec<u8>, at: usize, rng: &mut impl Rng) {
    let Some(start) = bytes[at..]
        .iter()
        .position(u8::is_ascii_digit)
        .map(|skipped| at + skipped)
    else {
        return;
    };
    let digits = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let end = start + digits.count();
    let number = NUMBERS.choose(rng).expect("there are some");
    bytes.splice(start..end, number.bytes());
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}

/// A position in `length` bytes, or just after them.
fn place(length: usize, rng: &mut impl Rng) -> usize {
    let within = if rng.random() { length.min(HEAD_BYTES) } else { length };
    rng.random_range(0..=within)
}

/// A length, mostly a short one.
fn span(rng: &mut impl Rng) -> usize {
    1 << rng.random_range(0..10)
}
