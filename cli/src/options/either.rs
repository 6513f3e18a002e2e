//! A secret that is given itself, or as a file that holds it.

use std::ffi::{OsStr, OsString};

use super::environment::Environment;
use super::error::OptionsError;
use super::given;
use super::secret::Secret;

/// The two options, and their variables.
pub(crate) struct Either<'a> {
    pub(crate) option: &'static str,
    pub(crate) variable: &'static str,
    pub(crate) value: Option<&'a Secret>,
    pub(crate) file_option: &'static str,
    pub(crate) file_variable: &'static str,
    pub(crate) file: Option<&'a OsString>,
}

impl Either<'_> {
    /// The secret. An argument wins over a variable; two of the same kind contradict each other.
    pub(crate) fn resolve(&self, environment: Environment<'_>) -> Result<Option<Secret>, OptionsError> {
        let value = self.value.filter(|value| !value.reveal().trim().is_empty());
        let file = given::path(self.file);
        let read = |path: &OsStr| Secret::read(self.file_option, path).map(Some);
        let (value, file) = match (value, file) {
            (Some(value), Some(file)) => (value, file),
            (Some(value), None) => return Ok(Some(value.clone())),
            (None, Some(file)) => return read(file),
            (None, None) => return Ok(None),
        };
        let from_variable = environment(self.variable).is_some_and(|text| text == value.reveal());
        let file_from_variable = environment(self.file_variable).is_some_and(|path| path == file);
        match (from_variable, file_from_variable) {
            (true, false) => read(file),
            (false, true) => Ok(Some(value.clone())),
            (true, true) => Err(OptionsError::contradiction(
                format!("{}, {}", self.option, self.file_option),
                format!("{} and {} are both set", self.variable, self.file_variable),
                "unset one of them",
            )),
            (false, false) => Err(OptionsError::contradiction(
                format!("{}, {}", self.option, self.file_option),
                "both are given",
                "leave one of them out",
            )),
        }
    }
}
