//! The environment, as far as `clap` does not read it.

use std::ffi::OsString;

/// Looks a variable up.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The environment of the process.
pub(crate) fn process(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
