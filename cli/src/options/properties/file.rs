//! Java's format of property files (`java.util.Properties`).
//!
//! Read as UTF-8, or as ISO 8859-1, which is Java's own encoding, where a file is not UTF-8.

use std::iter;

/// What separates names from values, and may begin a line.
const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// A name and a value, and the line on which they begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// A line that Java refuses, too: an escape that is no character.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadEscape {
    pub(super) line: usize,
}

/// Every entry, in the order of the file.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, BadEscape> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_latin) => bytes.iter().copied().map(char::from).collect(),
    };
    let text = text.replace("\r\n", "\n");
    let mut lines = text.split(['\n', '\r']).zip(1..);
    let logical = iter::from_fn(|| next_logical_line(&mut lines));
    logical.map(|(text, line)| entry(&text, line)).collect()
}

/// The next line that is neither blank nor a comment, with the lines that continue it.
fn next_logical_line<'a>(lines: &mut impl Iterator<Item = (&'a str, usize)>) -> Option<(String, usize)> {
    let (first, line) = lines.find_map(|(text, line)| {
        let text = text.trim_start_matches(BLANKS);
        (!text.is_empty() && !text.starts_with(['#', '!'])).then_some((text, line))
    })?;
    let mut text = first.to_owned();
    // An even number of backslashes is escaped backslashes.
    while text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
        text.pop();
        match lines.next() {
            Some((next, _)) => text.push_str(next.trim_start_matches(BLANKS)),
            None => break,
        }
    }
    Some((text, line))
}

fn entry(text: &str, line: usize) -> Result<Entry, BadEscape> {
    let mut escaped = false;
    let separator = text.find(|c: char| {
        let ends = !escaped && (matches!(c, '=' | ':') || BLANKS.contains(&c));
        escaped = !escaped && c == '\\';
        ends
    });
    let (name, rest) = text.split_at(separator.unwrap_or(text.len()));
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).map_or(rest, |value| value.trim_start_matches(BLANKS));
    Ok(Entry { line, name: unescaped(name, line)?, value: unescaped(value, line)? })
}

fn unescaped(text: &str, line: usize) -> Result<String, BadEscape> {
    let bad = || BadEscape { line };
    // Java's escapes are UTF-16: one character may take two of them.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let (digits, rest) = chars.as_str().split_at_checked(4).ok_or_else(bad)?;
                    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                        return Err(bad());
                    }
                    units.push(u16::from_str_radix(digits, 16).map_err(|_no_number| bad())?);
                    chars = rest.chars();
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            c => c,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).map_err(|_lone_half| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &[u8]) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|entry| (entry.name, entry.value)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut pairs = pairs(text.as_bytes());
        assert_eq!(pairs.len(), 1, "{text:?} is {pairs:?}");
        pairs.remove(0)
    }

    #[test]
    fn every_separator_is_understood() {
        for text in
            ["a=b", "a = b", "a:b", "a\t:\tb", "a b", "  a   b", "\u{c}a\u{c}=b", "a=\\\n   b", "a\\\n  =b"]
        {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("a="), ("a".into(), String::new()));
        // One separator at most; what follows is the value's own.
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("a = = b "), ("a".into(), "= b ".into()));
        assert_eq!(one("a\\=b\\:c\\ d=e"), ("a=b:c d".into(), "e".into()));
    }

    #[test]
    fn comments_and_blank_lines_are_no_entries_and_are_not_continued() {
        let text = b"# one\\\r\n  ! C:\\users \\u\r\n\r \t\n#x=y\na=1\r# two\nb=2";
        assert_eq!(pairs(text), [("a".into(), "1".into()), ("b".into(), "2".into())]);
        // Within a continued line, a number sign is none.
        assert_eq!(one("a=1,\\\n  #2,\\\n\n"), ("a".into(), "1,#2,".into()));
    }

    #[test]
    fn lines_are_counted_from_one_also_behind_continued_ones() {
        let lines: Vec<_> =
            parse(b"# c\r\na=1\\\r\n2\r\n\r\nb=3\n").unwrap().iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [2, 5]);
    }

    #[test]
    fn escapes_are_javas() {
        assert_eq!(one(r"a=\t\n\r\f\q\\\=").1, "\t\n\r\u{c}q\\=");
        assert_eq!(one(r"\u00e4=\uD83D\uDE00!").0, "\u{e4}");
        assert_eq!(one(r"\u00e4=\uD83D\uDE00!").1, "\u{1f600}!");
        assert_eq!(one("a=b\\").1, "b");
        for bad in ["a=\\u12", "a=\\u12g4", "a=\\u+123", "a=\\uD83D", "\n\\uXXXX=b"] {
            let line = bad.matches('\n').count() + 1;
            assert_eq!(parse(bad.as_bytes()), Err(BadEscape { line }), "{bad:?}");
        }
    }

    #[test]
    fn utf_8_is_read_and_latin_1_too() {
        assert_eq!(one("a=p\u{e4}ss"), ("a".into(), "p\u{e4}ss".into()));
        assert_eq!(pairs(b"a=p\xe4ss"), [("a".into(), "p\u{e4}ss".into())]);
        assert_eq!(one("\u{feff}a=b"), ("a".into(), "b".into()));
        assert_eq!(pairs(b""), []);
    }
}
