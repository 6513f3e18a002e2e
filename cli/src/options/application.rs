//! The option that names the application.

use clap::Args;

use super::error::OptionsError;
use super::given;

/// Which application is meant: its primary and all of its secondaries use the same name.
#[derive(Args, Clone, Debug)]
#[group(id = "backup-tracker-application-options")]
pub struct ApplicationOption {
    /// The application whose backups and restores are meant. Its primary and all of its secondaries use the same name.
    #[arg(
        id = "backup-tracker-application",
        long = "application",
        env = "BACKUP_APPLICATION",
        value_name = "NAME",
        help_heading = super::BACKUPS
    )]
    application: Option<String>,
}

impl ApplicationOption {
    /// The application's name.
    ///
    /// # Errors
    ///
    /// [`Missing`](super::OptionsErrorKind::Missing) when there is none.
    pub fn name(&self) -> Result<&str, OptionsError> {
        self.given().ok_or_else(|| {
            OptionsError::missing(
                "--application",
                "it is missing",
                "give the name that the application's primary announces, or set BACKUP_APPLICATION",
            )
        })
    }

    /// The application's name, if there is one.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        given::text(self.application.as_ref())
    }
}
