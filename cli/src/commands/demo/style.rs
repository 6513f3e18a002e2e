//! The colours. Nothing is said by colour alone, so that all of it can be left out.

use anstyle::{AnsiColor, Color, Style};
use backup_tracker::BackupState;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const DOWN: Style = bar(AnsiColor::BrightWhite, AnsiColor::Red);

/// The bar of a service in this state.
pub(super) const fn of_state(state: BackupState) -> Style {
    let color = match state {
        BackupState::Starting => AnsiColor::White,
        BackupState::Ready => AnsiColor::Green,
        BackupState::BackingUp => AnsiColor::Yellow,
        BackupState::Restoring => AnsiColor::Cyan,
    };
    bar(AnsiColor::Black, color)
}

const fn bar(foreground: AnsiColor, background: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(foreground))).bg_color(Some(Color::Ansi(background)))
}
