//! Values that are never shown, and that may be renewed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

const READ: &str = "read a secret";

/// A password, a token, or a URL that holds one: never shown, and read again for every new connection (K7), so that a renewed
/// secret is used without a restart.
///
/// ```
/// use backup_tracker::Secret;
///
/// let fixed = Secret::from("hunter2");
/// assert_eq!(fixed.read()?, "hunter2");
/// assert_eq!(format!("{fixed:?}"), "Secret(…)");
/// # backup_tracker::Result::<()>::Ok(())
/// ```
#[derive(Clone)]
pub struct Secret(Arc<dyn Fn() -> Result<String> + Send + Sync>);

impl Secret {
    /// The secret in a file of UTF-8 text, without the line break that editors leave at its end.
    ///
    /// Nothing is read before the first connection.
    ///
    /// ```
    /// use backup_tracker::Secret;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("password");
    /// let secret = Secret::file(&path);
    /// std::fs::write(&path, "hunter2\n")?;
    /// assert_eq!(secret.read()?, "hunter2");
    /// std::fs::write(&path, "hunter3\n")?;
    /// assert_eq!(secret.read()?, "hunter3");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::from_fn(move || {
            let bytes = std::fs::read(&path).map_err(|cause| {
                let message = format!("`{}` cannot be read: {cause}", path.display());
                Error::new(Error::io(READ, cause).kind(), READ, message)
            })?;
            let text = String::from_utf8(bytes).map_err(|_not_text| {
                Error::new(ErrorKind::Corrupt, READ, format!("`{}` is not UTF-8 text", path.display()))
            })?;
            let secret =
                text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
            if secret.trim().is_empty() {
                let message = format!("`{}` is empty; write the secret into it", path.display());
                return Err(Error::new(ErrorKind::Config, READ, message));
            }
            Ok(secret.to_owned())
        })
    }

    /// A secret that the program looks up: a vault's client, a token's cache.
    ///
    /// It is called for every new connection, on a thread that waits for it. Where the secret comes from afar, return what another
    /// task keeps fresh.
    pub fn from_fn(read: impl Fn() -> Result<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The secret as it is now. For transports.
    ///
    /// # Errors
    ///
    /// Why the file cannot be used, without its content, or what the function returned.
    pub fn read(&self) -> Result<String> {
        (self.0)()
    }
}

/// A secret that stays as it is.
impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::from_fn(move || Ok(value.clone()))
    }
}

/// A secret that stays as it is.
impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_its_content_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let error = || Secret::file(&path).read().unwrap_err();
        assert_eq!(error().kind(), ErrorKind::Unavailable);
        std::fs::write(&path, " \r\n").unwrap();
        assert_eq!(error().kind(), ErrorKind::Config);
        std::fs::write(&path, b"hunter\xff").unwrap();
        assert_eq!(error().kind(), ErrorKind::Corrupt);
        let shown = error().to_string();
        assert!(shown.contains("password") && !shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn only_the_last_line_break_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (written, read) in
            [("a b", "a b"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a \n", " a ")]
        {
            std::fs::write(&path, written).unwrap();
            assert_eq!(Secret::file(&path).read().unwrap(), read);
        }
    }
}
