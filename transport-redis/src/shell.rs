//! Commands that an error's message names, as they can be typed.

/// What to type into a shell.
pub(crate) fn command_line(words: &[&str]) -> String {
    let plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":._-".contains(&byte));
    words.iter().fold("redis-cli".to_owned(), |line, word| {
        if plain(word) { line + " " + word } else { format!("{line} '{}'", word.replace('\'', r"'\''")) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        assert_eq!(
            command_line(&["HDEL", "eu.backups:backup-tracker"]),
            "redis-cli HDEL eu.backups:backup-tracker"
        );
        assert_eq!(command_line(&["GET", "a b", "it's"]), r"redis-cli GET 'a b' 'it'\''s'");
    }
}
