//! What is written: the steps of one application among those of many others.

use backup_tracker::{BackupState, BackupTransition, Event, WireFormat, wire};
use uuid::Uuid;

/// The application that is followed.
pub(crate) const APPLICATION: &str = "shop";
/// How many others share the log.
const OTHERS: usize = 50;
/// How many steps of the application a backlog holds, whatever its size.
pub(crate) const OWN: usize = 20;
/// When the events say they were made: every event is to be as long as every other.
const MILLIS: u64 = 1_752_230_923_000;

/// An event, encoded, with its key as the text that some clients want.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) event: Event,
    pub(crate) key: String,
}

impl From<Event> for Message {
    fn from(event: Event) -> Self {
        let key = event.key.hyphenated().to_string();
        Self { event, key }
    }
}

/// The beginning of a backup (for an even number) or its end, with an id of its own.
pub(crate) fn step(number: usize, application: &str, format: WireFormat) -> Event {
    let (from, to) = if number.is_multiple_of(2) {
        (BackupState::Ready, BackupState::BackingUp)
    } else {
        (BackupState::BackingUp, BackupState::Ready)
    };
    wire::encode(&BackupTransition::new(Uuid::new_v4(), application, MILLIS, from, to), format)
}

/// The end of the start.
pub(crate) fn ready(format: WireFormat) -> Event {
    let (from, to) = (BackupState::Starting, BackupState::Ready);
    wire::encode(&BackupTransition::new(Uuid::new_v4(), APPLICATION, MILLIS, from, to), format)
}

/// A step of another application.
pub(crate) fn foreign(number: usize, format: WireFormat) -> Event {
    let application = format!("app-{:02}", number % OTHERS);
    step(number / OTHERS, &application, format)
}

/// A backlog of so many events: [`OWN`] of the application, evenly spread, the last one at the very end; all others of
/// others.
pub(crate) fn backlog(size: usize, format: WireFormat) -> impl Iterator<Item = Event> + Send {
    let own = OWN.min(size);
    let every = size / own.max(1);
    (1..=size).map(move |number| {
        let own_before = (size - number) / every.max(1);
        if (size - number).is_multiple_of(every.max(1)) && own_before < own {
            // Counted from the end, where a backup ends.
            step(own_before + 1, APPLICATION, format)
        } else {
            foreign(number, format)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_has_its_size_and_ends_with_the_end_of_a_backup() {
        for size in [1, 19, 20, 300, 10_000] {
            let events: Vec<Event> = backlog(size, WireFormat::BackupJson).collect();
            let own: Vec<&Event> = events.iter().filter(|event| &*event.application == APPLICATION).collect();
            assert_eq!((events.len(), own.len()), (size, OWN.min(size)));
            let last = std::str::from_utf8(&events[size - 1].payload).unwrap();
            assert!(last.contains(APPLICATION) && last.ends_with(r#""to":"READY"}"#), "{last}");
        }
    }
}
