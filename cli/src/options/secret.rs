//! Values that are never shown.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{OptionsError, OptionsErrorKind};

/// A value that may be a secret: its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    text: String,
    /// The file that it was read from.
    file: Option<PathBuf>,
}

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.text
    }

    /// As a transport takes it: one in a file is read again for each connection.
    pub(crate) fn renewable(&self) -> backup_tracker::Secret {
        match &self.file {
            Some(path) => backup_tracker::Secret::file(path),
            None => self.text.as_str().into(),
        }
    }

    /// The secret in a file, without the line's end that editors leave behind it.
    pub(crate) fn read(option: &str, path: &OsStr) -> Result<Self, OptionsError> {
        let bytes = read(option, path)?;
        let text = String::from_utf8(bytes).map_err(|_not_text| {
            let problem = format!("`{}` is not UTF-8 text", Path::new(path).display());
            OptionsError::invalid(option, problem, "write the secret into it, and nothing else")
        })?;
        let secret = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
        if secret.trim().is_empty() {
            let problem = format!("`{}` is empty", Path::new(path).display());
            return Err(OptionsError::missing(option, problem, "write the secret into it, and nothing else"));
        }
        Ok(Self { text: secret.to_owned(), file: Some(path.into()) })
    }
}

/// The bytes of a file that an option names.
pub(crate) fn read(option: &str, path: &OsStr) -> Result<Vec<u8>, OptionsError> {
    std::fs::read(path).map_err(|error| unreadable(option, path, &error))
}

/// Makes sure that a file can be read that is read by others, later.
pub(crate) fn check_readable(option: &str, path: &OsStr) -> Result<(), OptionsError> {
    std::fs::File::open(path).map(drop).map_err(|error| unreadable(option, path, &error))
}

fn unreadable(option: &str, path: &OsStr, error: &std::io::Error) -> OptionsError {
    let problem = format!("`{}` cannot be read: {error}", Path::new(path).display());
    OptionsError::new(OptionsErrorKind::Unreadable, option, problem, "name a file that this user may read")
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self { text, file: None }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_a_file_is_read_again_and_what_was_not_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        std::fs::write(&path, "redis://:hunter2@redis\n").unwrap();
        let secret = Secret::read("--url-file", path.as_os_str()).unwrap();
        let (renewed, fixed) = (secret.renewable(), Secret::from(secret.reveal().to_owned()).renewable());
        std::fs::write(&path, "redis://:hunter3@redis\n").unwrap();
        assert_eq!(renewed.read().unwrap(), "redis://:hunter3@redis");
        assert_eq!(fixed.read().unwrap(), "redis://:hunter2@redis");
    }
}
