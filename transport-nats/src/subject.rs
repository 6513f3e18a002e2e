//! How topics, applications and groups become subjects, keys and names.

use backup_tracker::{Error, Result};

/// How long a subject may be. A server closes the connection of a client whose control line is longer than 4,096 bytes
/// (its `max_control_line`); subject, reply and lengths must all fit into that.
pub(crate) const MAX_SUBJECT_BYTES: usize = 2048;

/// The subject token of an application: ASCII letters, digits, `-` and `_` stand for themselves, every other byte of the
/// UTF-8 text is written as `=` and two upper-case hexadecimal digits.
///
/// Reversible, and never empty for a name that is not. Keys of groups are written the same way.
///
/// ```
/// use backup_tracker_nats::{application_of, token_of};
///
/// assert_eq!(token_of("shop"), "shop");
/// assert_eq!(token_of("a.b *>"), "a=2Eb=20=2A=3E");
/// assert_eq!(application_of("a=2Eb=20=2A=3E").as_deref(), Some("a.b *>"));
/// ```
#[must_use]
pub fn token_of(name: &str) -> String {
    escape(name.as_bytes())
}

/// The application whose events are under this subject token; `None` for one that [`token_of`] does not write.
#[must_use]
pub fn application_of(token: &str) -> Option<String> {
    String::from_utf8(unescape(token)?).ok()
}

pub(crate) fn escape(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            text.push('=');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'=' => {
                let digit = |byte: u8| match byte {
                    b'0'..=b'9' => Some(byte - b'0'),
                    b'A'..=b'F' => Some(byte - b'A' + 10),
                    _ => None,
                };
                bytes.push(digit(rest.next()?)? << 4 | digit(rest.next()?)?);
            }
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') => bytes.push(byte),
            _ => return None,
        }
    }
    Some(bytes)
}

/// Refuses what cannot be the beginning of a subject.
pub(crate) fn check_topic(topic: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::config("topic", why));
    if topic.trim().is_empty() {
        return refuse("it is blank");
    }
    if topic.split('.').any(str::is_empty) {
        return refuse("it has an empty part: it must neither begin nor end with `.`, nor have two in a row");
    }
    if topic.contains(['*', '>']) || topic.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return refuse("it must not contain blanks, control characters, `*` or `>`");
    }
    if topic.starts_with('$') {
        return refuse("subjects that begin with `$` belong to the server");
    }
    if topic.len() > MAX_SUBJECT_BYTES / 4 {
        return refuse("it is longer than 512 bytes");
    }
    Ok(())
}

/// Refuses what the subjects of JetStream's requests cannot begin with.
pub(crate) fn check_prefix(prefix: &str) -> Result<()> {
    let sound = |c: char| !(c.is_whitespace() || c.is_control() || c == '*' || c == '>');
    if prefix.len() > 200 || prefix.split('.').any(str::is_empty) || !prefix.chars().all(sound) {
        let message = format!("`{prefix}` cannot be the beginning of a subject");
        return Err(Error::config("domain or API prefix", message));
    }
    Ok(())
}

/// Refuses what cannot name a stream (`a` to `z`, digits, `-` and `_` are what every tool takes).
pub(crate) fn check_name(setting: &str, name: &str) -> Result<()> {
    let sound = |c: char| !(c.is_whitespace() || c.is_control() || ".*>/\\".contains(c));
    if name.is_empty() || name.len() > 200 || !name.chars().all(sound) {
        let message = format!(
            "`{name}` cannot be a name on the server: from 1 to 200 bytes without blanks, `.`, `*`, `>`, `/`, `\\`"
        );
        return Err(Error::config(setting, message));
    }
    Ok(())
}

/// The name of a stream or a bucket that belongs to this topic: what is no letter, digit, `-` or `_` becomes `_`.
pub(crate) fn name_of(topic: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    topic.chars().map(plain).collect()
}

/// Whether every subject that `inner` stands for is one that `outer` stands for.
pub(crate) fn covers(outer: &str, inner: &str) -> bool {
    let (mut outer, mut inner) = (outer.split('.'), inner.split('.'));
    loop {
        match (outer.next(), inner.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_token_and_comes_back() {
        let long = "x".repeat(100);
        for name in ["shop", "a.b *>", "Bücherei", "倉庫", "=", "a=2E", "\u{0}\r\n", " ", ">", "-_-", &*long]
        {
            let token = token_of(name);
            assert!(!token.is_empty());
            assert!(!token.contains(['.', '*', '>', ' ', '\r', '\n', '\0']), "{token}");
            assert!(token.is_ascii(), "{token}");
            assert_eq!(application_of(&token).as_deref(), Some(name));
        }
        assert_eq!(application_of("a.b"), None);
        assert_eq!(application_of("a=2"), None);
        assert_eq!(application_of("a=2e"), None);
        assert_eq!(application_of("=FF"), None);
    }

    #[test]
    fn topics_that_are_no_subjects_are_refused() {
        for topic in ["", " ", "a b", "a.*", "a.>", ".a", "a.", "a..b", "a\n", "$JS", "\u{a0}"] {
            check_topic(topic).unwrap_err();
        }
        for topic in ["backups", "telicent.backups", "Sicherungen-ü", "a_b"] {
            check_topic(topic).unwrap();
        }
    }

    #[test]
    fn a_pattern_covers_what_it_stands_for() {
        for (outer, inner) in [
            ("a.*", "a.*"),
            ("a.>", "a.*"),
            (">", "a.*"),
            ("*.*", "a.*"),
            ("a.*", "a.b"),
            ("*.>", "a.b.c"),
            ("a.>", "a.>"),
        ] {
            assert!(covers(outer, inner), "{outer} {inner}");
        }
        for (outer, inner) in [
            ("a.b", "a.*"),
            ("a.*", "a.>"),
            ("a.*", "a"),
            ("a", "a.*"),
            ("a.>", "a"),
            ("b.*", "a.*"),
            ("a.*", "a.*.c"),
        ] {
            assert!(!covers(outer, inner), "{outer} {inner}");
        }
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(name_of("telicent.backups-1"), "telicent_backups-1");
        check_name("stream", &name_of("Sicherungen-ü")).unwrap();
        check_name("stream", "a.b").unwrap_err();
        check_name("stream", "").unwrap_err();
    }
}
