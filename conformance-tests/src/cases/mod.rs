//! The cases. Each is a function whose name is a sentence, and names the clauses that it checks.

mod after_loss;
mod claim;
mod commit_order;
mod contact;
mod count;
mod crash;
mod credentials;
mod fencing;
mod group;
mod healing;
mod late;
mod load;
mod lost;
mod observer;
mod others;
mod outage;
mod passing;
mod places;
mod position;
mod primary;
mod queue;
mod ready_commit;
mod recreated;
mod restarts;
mod session;
mod sink;
mod slow;
mod source;
mod tracker;
mod truncated;
mod unreachable;

use std::future::Future;
use std::pin::Pin;

use crate::bench::{Bench, Outcome};
use crate::clause::Clause;
use crate::harness::Lane;
use crate::profile::Ability;

pub(crate) type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

pub(crate) struct Case<L: Lane> {
    pub(crate) name: &'static str,
    pub(crate) clauses: &'static [Clause],
    pub(crate) needs: &'static [Ability],
    pub(crate) run: fn(Bench<L>) -> Running,
}

/// Lists the cases of a module: their functions, or the function and the argument that make one of several like it; their
/// clauses; and the abilities without which they are ignored.
macro_rules! cases {
    ($($name:ident $(= $body:ident($argument:expr))?: $($clause:ident)+ $(, needs $($ability:ident)+)?;)*) => {
        pub(super) fn list<L: $crate::harness::Lane>() -> Vec<$crate::cases::Case<L>> {
            vec![$($crate::cases::Case {
                name: stringify!($name),
                clauses: &[$($crate::clause::Clause::$clause),+],
                needs: &[$($($crate::profile::Ability::$ability),+)?],
                run: |bench| $crate::cases::cases!(@run bench, $name $($body $argument)?),
            }),*]
        }
    };
    (@run $bench:ident, $name:ident) => { Box::pin($name($bench)) };
    (@run $bench:ident, $name:ident $body:ident $argument:expr) => { Box::pin($body($bench, $argument)) };
}
use cases;

/// Every case.
pub(crate) fn all<L: Lane>() -> Vec<Case<L>> {
    let modules = [
        sink::list(),
        late::list(),
        source::list(),
        slow::list(),
        others::list(),
        places::list(),
        count::list(),
        position::list(),
        session::list(),
        group::list(),
        claim::list(),
        observer::list(),
        lost::list(),
        recreated::list(),
        truncated::list(),
        outage::list(),
        contact::list(),
        passing::list(),
        load::list(),
        restarts::list(),
        healing::list(),
        credentials::list(),
        primary::list(),
        tracker::list(),
        fencing::list(),
        unreachable::list(),
        after_loss::list(),
        ready_commit::list(),
        commit_order::list(),
        crash::list(),
        queue::list(),
    ];
    modules.into_iter().flatten().collect()
}
