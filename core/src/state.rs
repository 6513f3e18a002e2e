//! The four states and the table of what may follow what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of an application, as far as backups are concerned.
///
/// | from \ to | Starting | Ready | BackingUp | Restoring |
/// |---|---|---|---|---|
/// | **Starting** | yes | yes | yes | yes |
/// | **Ready** | no | yes | yes | yes |
/// | **BackingUp** | no | yes | no | no |
/// | **Restoring** | no | yes | no | no |
///
/// `Display`, [`FromStr`] and serde use the names of the wire: `STARTING`, `READY`, `BACKING_UP`, `RESTORING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BackupState {
    /// Nothing is known yet, or the application is still starting.
    Starting,
    /// The application works normally; nothing runs that its services must wait for.
    Ready,
    /// A backup is running.
    BackingUp,
    /// A restore is running.
    Restoring,
}

impl BackupState {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Ready, Self::BackingUp, Self::Restoring];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Ready => "READY",
            Self::BackingUp => "BACKING_UP",
            Self::Restoring => "RESTORING",
        }
    }

    /// Whether the table lets `to` follow this state.
    #[must_use]
    pub const fn can_become(self, to: Self) -> bool {
        match self {
            Self::Starting => true,
            Self::Ready => !matches!(to, Self::Starting),
            Self::BackingUp | Self::Restoring => matches!(to, Self::Ready),
        }
    }

    /// Whether a backup or a restore is running.
    #[must_use]
    pub const fn is_operation(self) -> bool {
        matches!(self, Self::BackingUp | Self::Restoring)
    }
}

impl fmt::Display for BackupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names none of the four states.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no state; the states are STARTING, READY, BACKING_UP and RESTORING")]
pub struct UnknownState(pub(crate) String);

impl FromStr for BackupState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownState(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_allows_what_the_contract_says_and_nothing_else() {
        const TABLE: [[bool; 4]; 4] = [
            [true, true, true, true],
            [false, true, true, true],
            [false, true, false, false],
            [false, true, false, false],
        ];
        for (row, from) in BackupState::ALL.into_iter().enumerate() {
            for (column, to) in BackupState::ALL.into_iter().enumerate() {
                assert_eq!(from.can_become(to), TABLE[row][column], "{from} to {to}");
            }
        }
    }

    #[test]
    fn names_survive_text_and_serde_and_are_matched_exactly() {
        for state in BackupState::ALL {
            assert_eq!(state.to_string().parse(), Ok(state));
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("\"{state}\""));
            assert_eq!(serde_json::from_str::<BackupState>(&json).unwrap(), state);
        }
        for word in ["ready", "READY ", "BackingUp", ""] {
            assert_eq!(word.parse::<BackupState>(), Err(UnknownState(word.to_owned())));
        }
    }
}
