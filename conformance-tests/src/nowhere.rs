//! A lane that cannot be: the cases can be listed with it, and not run.

use backup_tracker::{Event, EventSource, Record, Remaining, Result, Sink, StartAt};

use crate::harness::Lane;

#[derive(Debug)]
pub(crate) enum Nowhere {}

impl Lane for Nowhere {
    type Sink = Self;
    type Source = Self;

    async fn sink(&self) -> Result<Self> {
        match *self {}
    }

    async fn source(&self, _group: &str, _start: StartAt) -> Result<Self> {
        match *self {}
    }
}

impl Sink for Nowhere {
    async fn send(&mut self, _event: &Event) -> Result<()> {
        match *self {}
    }

    async fn close(self) -> Result<()> {
        match self {}
    }
}

impl EventSource for Nowhere {
    async fn next(&mut self) -> Result<Option<Record>> {
        match *self {}
    }

    async fn commit(&mut self) -> Result<()> {
        match *self {}
    }

    fn resumed(&self) -> bool {
        match *self {}
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        match *self {}
    }

    async fn close(self) -> Result<()> {
        match self {}
    }
}
