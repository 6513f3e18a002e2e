//! What a log must hold: the events in the order in which they were accepted, application by application.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use backup_tracker::{Event, Record};
use bytes::Bytes;
use uuid::Uuid;

use crate::bench::{Outcome, failure};

/// Names as users choose them, and as careless code breaks on them.
pub(crate) const APPLICATIONS: [&str; 5] = ["shop", "Bücherei", "倉庫", "a.b/c:d *>", "shop-2"];

/// Fresh events, the applications taking turns. The payloads are bytes that are no text, and no transition.
pub(crate) fn events(applications: &[&str], count: usize) -> Vec<Event> {
    let turns = applications.iter().cycle();
    let numbered = turns.take(count).enumerate();
    numbered
        .map(|(number, application)| {
            let payload = [&[0xff, 0xc3, 0x28], number.to_string().as_bytes()].concat();
            Event::new(Uuid::new_v4(), *application, payload)
        })
        .collect()
}

/// Checks records one by one against the events that must come.
pub(crate) struct Oracle {
    expected: HashMap<Arc<str>, VecDeque<Event>>,
    /// The order in which they were accepted, for those that are left.
    order: Vec<Uuid>,
    applications: HashMap<Uuid, Arc<str>>,
    seen: usize,
}

impl Oracle {
    pub(crate) fn new(events: &[Event]) -> Self {
        let mut expected: HashMap<_, VecDeque<_>> = HashMap::new();
        for event in events {
            let queue = expected.entry(Arc::clone(&event.application)).or_default();
            queue.push_back(event.clone());
        }
        let application = |event: &Event| (event.key, Arc::clone(&event.application));
        Self {
            expected,
            order: events.iter().map(|event| event.key).collect(),
            applications: events.iter().map(application).collect(),
            seen: 0,
        }
    }

    /// Takes the record, which must be the next event of its application, unchanged.
    #[track_caller]
    pub(crate) fn check(&mut self, record: &Record) -> Outcome {
        let known = record.key.and_then(|key| self.applications.get(&key));
        let queue = known.and_then(|application| self.expected.get_mut(application));
        let Some(queue) = queue else {
            return Err(failure(
                format_args!("one of the expected events ({})", self.progress()),
                format_args!("{}, which is none of them", show(record)),
            ));
        };
        match queue.front() {
            Some(event) if record.key == Some(event.key) => {
                unchanged(event, record)?;
                queue.pop_front();
                self.seen += 1;
                Ok(())
            }
            Some(event) => {
                let (application, key) = (Arc::clone(&event.application), event.key);
                let waiting = queue.iter().any(|event| record.key == Some(event.key));
                let why = if waiting { "which is newer" } else { "which came before" };
                Err(failure(
                    format_args!("event {key} as the next of `{application}` ({})", self.progress()),
                    format_args!("{}, {why}", show(record)),
                ))
            }
            None => Err(failure(
                format_args!("nothing more of that application ({})", self.progress()),
                format_args!("{}, which came before", show(record)),
            )),
        }
    }

    /// The events that did not come yet, in the order in which they were accepted.
    pub(crate) fn left(&self) -> Vec<Event> {
        let queues = self.expected.values().flatten();
        let left: HashMap<Uuid, &Event> = queues.map(|event| (event.key, event)).collect();
        let order = self.order.iter().filter_map(|key| left.get(key));
        order.map(|event| (*event).clone()).collect()
    }

    /// Whether the event is one of those that came already.
    pub(crate) fn has_seen(&self, key: Uuid) -> bool {
        let application = self.applications.get(&key);
        let queue = application.and_then(|application| self.expected.get(application));
        queue.is_some_and(|queue| queue.iter().all(|event| event.key != key))
    }

    /// How many events did not come yet.
    pub(crate) fn missing(&self) -> usize {
        self.order.len() - self.seen
    }

    pub(crate) fn progress(&self) -> String {
        format!("{} of {} came", self.seen, self.order.len())
    }
}

/// Fails unless the record carries exactly what the event did (K5).
#[track_caller]
pub(crate) fn unchanged(event: &Event, record: &Record) -> Outcome {
    let key = event.key;
    if record.payload.as_ref() != Some(&event.payload) {
        return Err(failure(
            format_args!("the payload of event {key}: {}", clip(&event.payload)),
            record.payload.as_ref().map_or("none".to_owned(), clip),
        ));
    }
    if record.headers != event.headers {
        return Err(failure(
            format_args!("the headers of event {key}: {:?}", event.headers),
            format_args!("{:?}", record.headers),
        ));
    }
    Ok(())
}

/// A record in one line.
pub(crate) fn show(record: &Record) -> String {
    let key = record.key.map_or("no key".to_owned(), |key| key.to_string());
    let payload = record.payload.as_ref().map_or("none".to_owned(), clip);
    format!("the record at {} ({key}, payload {payload})", record.position)
}

fn clip(bytes: &Bytes) -> String {
    const SHOWN: usize = 32;
    let shown = bytes.slice(..bytes.len().min(SHOWN));
    format!("{} bytes {shown:?}", bytes.len())
}
