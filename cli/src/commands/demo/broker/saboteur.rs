//! Sources that break the contract, each in one way: the demo must not call them good.

use backup_tracker::{EventSource, Record, Remaining, Result};

/// What a saboteur does wrong.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands::demo) enum Fault {
    /// Says that it committed, and did not.
    ForgetsCommits,
    /// Commits whatever it returns.
    CommitsEverything,
    /// Says that the log holds nothing from before the session.
    HidesTheBacklog,
    /// Does not return the last announcement of the script.
    LosesTheLast,
}

#[derive(Debug)]
pub(super) struct Saboteur<S> {
    source: S,
    fault: Fault,
    returned: usize,
}

impl<S> Saboteur<S> {
    pub(super) fn new(source: S, fault: Fault) -> Self {
        Self { source, fault, returned: 0 }
    }
}

impl<S: EventSource> EventSource for Saboteur<S> {
    async fn next(&mut self) -> Result<Option<Record>> {
        let record = self.source.next().await?;
        self.returned += 1;
        match self.fault {
            Fault::CommitsEverything => self.source.commit().await?,
            Fault::LosesTheLast if self.returned == 5 => return std::future::pending().await,
            _ => {}
        }
        Ok(record)
    }

    async fn commit(&mut self) -> Result<()> {
        match self.fault {
            Fault::ForgetsCommits => Ok(()),
            _ => self.source.commit().await,
        }
    }

    fn resumed(&self) -> bool {
        self.source.resumed()
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        match self.fault {
            Fault::HidesTheBacklog => Ok(0.into()),
            _ => self.source.remaining().await,
        }
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        self.source.claim(application).await
    }

    async fn close(self) -> Result<()> {
        self.source.close().await
    }
}
