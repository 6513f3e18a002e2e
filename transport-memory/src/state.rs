//! What the log holds, and the rules of its positions. No waiting, no locks.

use std::collections::{BTreeMap, VecDeque};

use backup_tracker::{Delivery, Header, Position, Record, StartAt};
use bytes::Bytes;
use uuid::Uuid;

/// A place in one incarnation of the log. A place of an earlier incarnation says nothing about this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) incarnation: u64,
    pub(crate) offset: u64,
}

/// A group's position: where its next session begins.
#[derive(Clone, Copy, Debug)]
struct Group {
    place: Place,
    /// False for a start that was fixed when the group was new, and from which nobody has committed yet.
    committed: bool,
}

#[derive(Debug)]
struct Stored {
    key: Option<Uuid>,
    headers: Vec<Header>,
    payload: Option<Bytes>,
}

/// What a session finds at its place.
#[derive(Debug)]
pub(crate) enum Found {
    Record(Record),
    /// Nothing yet.
    Nothing,
    /// The place is gone; the session goes on at this one (S12).
    Gone(Place),
    /// Nothing, and there will never be anything.
    End,
}

#[derive(Debug)]
pub(crate) struct State {
    incarnation: u64,
    /// The offset of the first record that is still held.
    first: u64,
    records: VecDeque<Stored>,
    groups: BTreeMap<String, Group>,
    pub(crate) available: bool,
    pub(crate) ended: bool,
    /// How the next sends fail, one entry each.
    pub(crate) failures: VecDeque<Delivery>,
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            incarnation: 0,
            first: 0,
            records: VecDeque::new(),
            groups: BTreeMap::new(),
            available: true,
            ended: false,
            failures: VecDeque::new(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    fn earliest(&self) -> Place {
        Place { incarnation: self.incarnation, offset: self.first }
    }

    fn latest(&self) -> Place {
        Place { incarnation: self.incarnation, offset: self.first + self.len() }
    }

    fn holds(&self, place: Place) -> bool {
        place.incarnation == self.incarnation && place.offset >= self.first
    }

    pub(crate) fn append(
        &mut self,
        key: Option<Uuid>,
        headers: Vec<Header>,
        payload: Option<Bytes>,
    ) -> Position {
        let position = Position::Offset(self.latest().offset);
        self.records.push_back(Stored { key, headers, payload });
        position
    }

    /// Where a new session of the group begins, and whether an earlier one committed that place. Fixes the start of a new
    /// group (S8).
    pub(crate) fn begin(&mut self, group: &str, start: StartAt) -> (Place, bool) {
        if let Some(group) = self.groups.get(group) {
            return (group.place, group.committed && self.holds(group.place));
        }
        let place = match start {
            StartAt::Earliest => self.earliest(),
            StartAt::Latest => self.latest(),
        };
        let position = Group { place, committed: false };
        self.groups.insert(group.to_owned(), position);
        (place, false)
    }

    /// Moves the group's position to the place; never back within an incarnation (S5), and never to one that is gone.
    pub(crate) fn commit(&mut self, group: &str, place: Place) {
        if place.incarnation != self.incarnation {
            // Nothing that the session read is in the log any more, so there is nothing left to be replayed. Its next read
            // says so.
            return;
        }
        let offset = match self.groups.get(group) {
            Some(held) if held.place.incarnation == place.incarnation => held.place.offset.max(place.offset),
            _ => place.offset,
        };
        let position = Group { place: Place { offset, ..place }, committed: true };
        self.groups.insert(group.to_owned(), position);
    }

    pub(crate) fn committed(&self, group: &str) -> Option<u64> {
        self.groups
            .get(group)
            .filter(|group| group.committed && group.place.incarnation == self.incarnation)
            .map(|group| group.place.offset)
    }

    pub(crate) fn read(&self, place: Place) -> Found {
        if !self.holds(place) {
            return Found::Gone(self.earliest());
        }
        match self.at(place.offset) {
            Some(record) => Found::Record(record),
            None if self.ended => Found::End,
            None => Found::Nothing,
        }
    }

    pub(crate) fn remaining(&self, place: Place) -> u64 {
        if self.holds(place) { self.latest().offset.saturating_sub(place.offset) } else { self.len() }
    }

    pub(crate) fn all(&self) -> Vec<Record> {
        (self.first..self.latest().offset).filter_map(|offset| self.at(offset)).collect()
    }

    fn at(&self, offset: u64) -> Option<Record> {
        let index = usize::try_from(offset.checked_sub(self.first)?).ok()?;
        let stored = self.records.get(index)?;
        let record = Record::new(Position::Offset(offset))
            .key(stored.key)
            .headers(stored.headers.clone())
            .payload(stored.payload.clone());
        Some(record)
    }

    pub(crate) fn trim(&mut self) {
        self.first = self.latest().offset;
        self.records.clear();
    }

    pub(crate) fn recreate(&mut self) {
        self.incarnation += 1;
        self.first = 0;
        self.records.clear();
        self.ended = false;
    }
}
