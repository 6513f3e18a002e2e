//! Texts as Jackson writes them, so that a record is the same bytes whoever writes it.

use std::io::{Result, Write};

use serde_json::ser::{CharEscape, CompactFormatter, Formatter};

/// The least byte with which UTF-8 begins a character beyond the basic plane.
const FIRST_OF_FOUR: u8 = 0xF0;

/// Compact JSON. Control characters have escapes with capital digits, and characters beyond the basic plane are written as
/// the escapes of their two surrogates; both mean the same to every reader.
pub(super) struct LikeJackson;

impl Formatter for LikeJackson {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.bytes().position(|byte| byte >= FIRST_OF_FOUR) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut characters = after.chars();
            if let Some(character) = characters.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04X}")?;
                }
            }
            rest = characters.as_str();
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
