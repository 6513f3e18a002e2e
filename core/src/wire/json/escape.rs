//! Texts as Jackson writes them, so that a record is the same bytes whoever writes it.

use std::io::{Result, Write};

use serde_json::ser::{CharEscape, CompactFormatter, Formatter};

/// Compact JSON. Control characters have escapes with capital digits, and characters beyond the basic plane are written as
/// the escapes of their two surrogates; both mean the same to every reader.
pub(super) struct LikeJackson;

impl Formatter for LikeJackson {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> Result<()> {
        let mut rest = fragment;
        while let Some((at, character)) = rest.char_indices().find(|(_, one)| one.len_utf16() == 2) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04X}")?;
            }
            rest = &after[character.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: Write + ?Sized>(&mut self, writer: &mut W, escape: CharEscape) -> Result<()> {
        match escape {
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
            other => CompactFormatter.write_char_escape(writer, other),
        }
    }
}
