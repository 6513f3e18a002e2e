//! What a log says about every application: its state, since when, and its operations.
//!
//! Without I/O and clock. What has an effect and what is skipped is decided by core's [`Applier`](backup_tracker::Applier),
//! so that it is what every secondary sees.

mod account;
mod lasting;
mod operation;

use std::collections::BTreeMap;
use std::sync::Arc;

use backup_tracker::wire::{self, Decoded};
use backup_tracker::{Header, Position, Record, Skip};

pub(crate) use account::{Account, Counts};
pub(crate) use lasting::Lasting;
pub(crate) use operation::{Operation, Outcome};

use backup_tracker::BackupTransition;

/// A step that was applied, and where and with what it stood in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) transition: BackupTransition,
    pub(crate) position: Position,
    pub(crate) headers: Vec<Header>,
}

/// All that was read of a log, folded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    accounts: BTreeMap<Arc<str>, Account>,
    records: u64,
    undecodable: u64,
    losses: u64,
}

impl Ledger {
    /// Takes the next record of the log.
    ///
    /// An error says why it has no effect; it is counted.
    pub(crate) fn record(&mut self, record: &Record) -> Result<&Step, Skip> {
        self.records += 1;
        let decoded = wire::decode(record).map_err(|error| {
            self.undecodable += 1;
            Skip::Undecodable(error)
        })?;
        let application = match &decoded {
            Decoded::Transition(transition) => transition.application.clone(),
            Decoded::OtherAction { application, .. } => application.clone(),
            // A form of record that this program does not know yet.
            _ => return Err(Skip::OtherApplication),
        };
        let account =
            self.accounts.entry(application.clone()).or_insert_with(|| Account::new(application.clone()));
        account.record(decoded, record)
    }

    /// Records were lost, and the source begins again at the earliest that there is (S12).
    pub(crate) fn lose(&mut self) {
        self.losses += 1;
        self.accounts.values_mut().for_each(Account::lose);
    }

    /// The account of this application; `None` if nothing was read about it.
    pub(crate) fn account(&self, application: &str) -> Option<&Account> {
        self.accounts.get(application)
    }

    /// Every account, by the application's name.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// How many records were read.
    pub(crate) const fn records(&self) -> u64 {
        self.records
    }

    /// How many records could not be understood (T6); nobody knows whose they were.
    pub(crate) const fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// How many times records were lost while reading (S12).
    pub(crate) const fn losses(&self) -> u64 {
        self.losses
    }
}

#[cfg(test)]
mod tests;
