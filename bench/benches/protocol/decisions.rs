//! What the rules of a secondary cost for one record, reached through [`Applier`]: they are the part of its machine that is public.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::io;
use std::sync::Arc;

use backup_tracker::wire::Decoded;
use backup_tracker::{Applier, BackupState, BackupTransition, Skip};
use uuid::Uuid;

use crate::formats::timed;
use crate::support::{Contender, Duel, Effort};

/// How many steps the applier has seen when a bench begins, so that it remembers as many ids as it ever will.
const BEFORE: u128 = 5000;

/// An applier that has been at work for long, and records for it.
pub(crate) struct Bench {
    applier: RefCell<Applier>,
    own: Arc<str>,
    other: Arc<str>,
    id: Cell<u128>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self {
            applier: RefCell::new(Applier::new("shop")),
            own: "shop".into(),
            other: "maps".into(),
            id: Cell::new(0),
        };
        for _ in 0..BEFORE {
            bench.step();
        }
        bench
    }

    /// A step with an id that was not seen before.
    pub(crate) fn step(&self) {
        let (from, to) = match self.applier.borrow().state() {
            BackupState::BackingUp => (BackupState::BackingUp, BackupState::Ready),
            from => (from, BackupState::BackingUp),
        };
        self.id.set(self.id.get() + 1);
        let applied = self.apply(&self.own, self.id.get(), from, to);
        assert!(applied.is_ok());
    }

    /// What another application announces on the same log.
    pub(crate) fn other_application(&self) {
        let skipped = self.apply(&self.other, 1, BackupState::Ready, BackupState::BackingUp);
        assert!(matches!(skipped, Err(Skip::OtherApplication)));
    }

    /// A step that was applied before.
    pub(crate) fn duplicate(&self) {
        let skipped = self.apply(&self.own, self.id.get(), BackupState::Ready, BackupState::BackingUp);
        assert!(matches!(skipped, Err(Skip::Duplicate(_))));
    }

    /// A step that the state table has not.
    pub(crate) fn forbidden(&self) {
        let skipped = self.apply(&self.own, 1, BackupState::BackingUp, BackupState::Restoring);
        assert!(matches!(skipped, Err(Skip::Forbidden { .. })));
    }

    fn apply(
        &self,
        application: &Arc<str>,
        id: u128,
        from: BackupState,
        to: BackupState,
    ) -> Result<(), Skip> {
        let transition = BackupTransition::new(Uuid::from_u128(id), application.clone(), 0, from, to);
        let decoded = black_box(Ok(Decoded::Transition(transition)));
        self.applier.borrow_mut().apply(decoded).map(|applied| drop(black_box(applied)))
    }
}

/// What a record is, and its decision.
pub(crate) type Kind = (&'static str, fn(&Bench));

/// All of them.
pub(crate) const KINDS: [Kind; 4] = [
    ("a step", Bench::step),
    ("another application's", Bench::other_application),
    ("applied before", Bench::duplicate),
    ("forbidden", Bench::forbidden),
];

pub(crate) fn times(effort: Effort) -> io::Result<()> {
    let bench = Bench::new();
    for (kind, decide) in KINDS {
        let contender = Contender::new("Applier::apply", timed(|| decide(&bench)));
        Duel::new(format!("decide, {kind}"), contender).settle(effort)?;
    }
    Ok(())
}
