//! What the log holds, and the rules of its positions. No waiting, no locks.

use std::collections::{BTreeMap, VecDeque};

use backup_tracker::{Delivery, Header, Position, Record, StartAt};
use bytes::Bytes;
use uuid::Uuid;

/// A place in one incarnation of the log. One of an earlier incarnation says nothing about this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) incarnation: u64,
    pub(crate) offset: u64,
    /// How many of the truncations there were when the record before this place was read.
    truncations: usize,
}

/// A group's position: where its next session begins.
#[derive(Debug)]
struct Group {
    cursor: Cursor,
    /// False for a start that was fixed when the group was new, and from which nobody has committed yet.
    committed: bool,
    /// To which the group is bound (S16). Groups are never removed, so that nobody can take it away again.
    application: Option<String>,
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
    /// With the place behind it.
    Record(Record, Cursor),
    /// Nothing yet.
    Nothing,
    /// The place is gone; the session goes on at this one (S12).
    Gone(Cursor),
    /// Nothing, and there will never be anything.
    End,
}

#[derive(Debug)]
pub(crate) struct State {
    incarnation: u64,
    /// Where this incarnation's log ended each time that it lost its newest records.
    truncations: Vec<u64>,
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
            truncations: Vec::new(),
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

    fn earliest(&self) -> Cursor {
        self.cursor(self.first)
    }

    fn latest(&self) -> Cursor {
        self.cursor(self.first + self.len())
    }

    fn cursor(&self, offset: u64) -> Cursor {
        Cursor { incarnation: self.incarnation, offset, truncations: self.truncations.len() }
    }

    /// Where whoever has no position begins.
    pub(crate) fn start(&self, start: StartAt) -> Cursor {
        match start {
            StartAt::Earliest => self.earliest(),
            StartAt::Latest => self.latest(),
        }
    }

    fn holds(&self, cursor: Cursor) -> bool {
        cursor.incarnation == self.incarnation && cursor.offset >= self.first && !self.was_cut_off(cursor)
    }

    /// Whether the record before the place was among those that the log lost at its end.
    fn was_cut_off(&self, cursor: Cursor) -> bool {
        let later = self.truncations.get(cursor.truncations..).unwrap_or_default();
        later.iter().any(|end| cursor.offset > *end)
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
    pub(crate) fn begin(&mut self, group: &str, start: StartAt) -> (Cursor, bool) {
        if let Some(group) = self.groups.get(group) {
            return (group.cursor, group.committed && self.holds(group.cursor));
        }
        let cursor = self.start(start);
        let position = Group { cursor, committed: false, application: None };
        self.groups.insert(group.to_owned(), position);
        (cursor, false)
    }

    /// Binds the group to the application, or returns the one to which it is bound already (S16).
    pub(crate) fn claim(&mut self, group: &str, application: &str) -> Result<(), String> {
        let Some(group) = self.groups.get_mut(group) else { return Ok(()) };
        let owner = group.application.get_or_insert_with(|| application.to_owned());
        if owner == application { Ok(()) } else { Err(owner.clone()) }
    }

    pub(crate) fn application(&self, group: &str) -> Option<&str> {
        self.groups.get(group)?.application.as_deref()
    }

    /// Moves the group's position to the place; never back within an incarnation (S5), and never to one that is gone.
    pub(crate) fn commit(&mut self, group: &str, cursor: Cursor) {
        if cursor.incarnation != self.incarnation || self.was_cut_off(cursor) {
            // What the session read is not in the log any more. Its next read says so, and begins again.
            return;
        }
        let is_held = self.groups.get(group).is_some_and(|group| self.holds(group.cursor));
        // `begin` made the group.
        let Some(group) = self.groups.get_mut(group) else { return };
        if !is_held || cursor.offset >= group.cursor.offset {
            group.cursor = cursor;
        }
        group.committed = true;
    }

    pub(crate) fn committed(&self, group: &str) -> Option<u64> {
        self.groups
            .get(group)
            .filter(|group| group.committed && group.cursor.incarnation == self.incarnation)
            .map(|group| group.cursor.offset)
    }

    pub(crate) fn read(&self, cursor: Cursor) -> Found {
        if !self.holds(cursor) {
            return Found::Gone(self.earliest());
        }
        match self.at(cursor.offset) {
            Some(record) => Found::Record(record, self.cursor(cursor.offset + 1)),
            None if self.ended => Found::End,
            None => Found::Nothing,
        }
    }

    pub(crate) fn remaining(&self, cursor: Cursor) -> u64 {
        if self.holds(cursor) { self.latest().offset.saturating_sub(cursor.offset) } else { self.len() }
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

    pub(crate) fn truncate(&mut self, count: usize) {
        self.records.truncate(self.records.len().saturating_sub(count));
        self.truncations.push(self.latest().offset);
    }

    pub(crate) fn recreate(&mut self) {
        self.incarnation += 1;
        self.truncations.clear();
        self.first = 0;
        self.records.clear();
        self.ended = false;
    }
}
