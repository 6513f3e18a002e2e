//! What identifies an entry, besides where it stands: a position is a place in a log with an identity (S12).

use std::fmt;
use std::str::FromStr;

use redis::Value;

/// A hash of an entry's names and values. It is stored beside positions, so that it is the same in every version of this crate
/// and on every machine. An entry under the same identifier with another hash is another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Print(u64);

/// From FNV-1a, here for eight bytes at a time.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
/// Multiplying carries differences upward only; this brings them down again.
const TURN: u32 = 29;

impl Print {
    /// Of an entry's names and values in turn.
    pub(crate) fn of(fields: &[Value]) -> Self {
        Self::of_bytes(fields.iter().map(|field| match field {
            Value::BulkString(bytes) => &bytes[..],
            _ => &[],
        }))
    }

    /// Of the names and values that an entry is made of.
    pub(crate) fn of_texts(fields: &[Vec<u8>]) -> Self {
        Self::of_bytes(fields.iter().map(Vec::as_slice))
    }

    fn of_bytes<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut hash = BASIS;
        let mut mix = |word: u64| hash = (hash ^ word).wrapping_mul(PRIME).rotate_left(TURN);
        for bytes in fields {
            // The length first: where one value ends and the next begins is part of the entry.
            mix(bytes.len() as u64);
            let (words, rest) = bytes.as_chunks::<8>();
            words.iter().for_each(|word| mix(u64::from_le_bytes(*word)));
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            mix(u64::from_le_bytes(last));
        }
        Self(hash)
    }
}

impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Print {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(fields: &[&str]) -> Print {
        let fields: Vec<_> = fields.iter().map(|text| Value::BulkString(text.as_bytes().to_vec())).collect();
        Print::of(&fields)
    }

    #[test]
    fn it_is_the_same_in_every_version() {
        // What stands beside positions out there.
        assert_eq!(print(&["payload", "0123456789"]).to_string(), "1894741ca2374d62");
        assert_eq!("00000000000000ff".parse(), Ok(Print(255)));
        assert_eq!(print(&["a"]).to_string().parse(), Ok(print(&["a"])));
    }

    #[test]
    fn entries_that_differ_anywhere_have_different_prints() {
        let entries: [&[&str]; 10] = [
            &[],
            &[""],
            &["a"],
            &["a", ""],
            &["", "a"],
            &["ab", "c"],
            &["a", "bc"],
            &["12345678"],
            &["12345678", "\0"],
            &["12345679"],
        ];
        for (at, one) in entries.iter().enumerate() {
            for other in &entries[at + 1..] {
                assert_ne!(print(one), print(other), "{one:?}, {other:?}");
            }
        }
    }
}
