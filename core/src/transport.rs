//! What authors of transports need again and again.
//!
//! ```
//! use std::time::Duration;
//!
//! use backup_tracker::transport::{not_blank, not_zero};
//!
//! not_blank("topic", "backups")?;
//! let error = not_zero("open timeout", Duration::ZERO).unwrap_err();
//! assert_eq!(error.to_string(), "configure: wrong setting: open timeout: it is less than a millisecond");
//! # backup_tracker::Result::<()>::Ok(())
//! ```

use std::time::Duration;

use crate::error::{Error, Result};

/// Refuses a setting that is empty or all white space.
///
/// # Errors
///
/// [`Config`](crate::ErrorKind::Config), naming the setting.
pub fn not_blank(setting: &str, value: &str) -> Result<()> {
    if value.trim().is_empty() {
        return Err(Error::config(setting, "it is blank"));
    }
    Ok(())
}

/// Refuses a time limit that no broker could keep.
///
/// # Errors
///
/// [`Config`](crate::ErrorKind::Config), naming the setting, when it is less than a millisecond.
pub fn not_zero(setting: &str, value: Duration) -> Result<()> {
    if value < Duration::from_millis(1) {
        return Err(Error::config(setting, "it is less than a millisecond"));
    }
    Ok(())
}
