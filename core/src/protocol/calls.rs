//! Which listener call comes next, and what a commit may cover (T2, T8, T12).
//!
//! A call that has not returned when the process dies must be made again after the restart, so the position may not move past
//! its step. The one exception is the Ready of [`CommitOrder::CommitFirst`]: the commit that is made for it comes before its
//! call.

use std::collections::VecDeque;
use std::fmt;

use super::secondary::CommitOrder;
use crate::listener::{Change, Notice};
use crate::state::BackupState;

/// How many steps may wait for listeners that are busy. With more, the newest takes the place of the one before it.
pub(crate) const MAX_WAITING_STEPS: usize = 64;

/// What listeners are called with.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Change(Change),
    Notice(Notice),
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => write!(f, "{}", change.transition),
            Self::Notice(notice) => write!(f, "{notice}"),
        }
    }
}

/// The calls that have not returned, one at a time, in order.
#[derive(Debug)]
pub(crate) struct Calls {
    order: CommitOrder,
    running: Option<Cover>,
    waiting: VecDeque<(Call, Cover)>,
}

/// What the position is to a call that has not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    /// It may move: the call is about no step, or the position is behind the step already.
    Free,
    /// It may not move past the step of this call.
    Step,
    /// As `Step`, but the call waits for the commit that is made for it.
    ReadyFirst,
}

impl Calls {
    pub(crate) const fn new(order: CommitOrder) -> Self {
        Self { order, running: None, waiting: VecDeque::new() }
    }

    /// How many have not returned, or not begun.
    pub(crate) fn outstanding(&self) -> u64 {
        self.waiting.len() as u64 + u64::from(self.running.is_some())
    }

    /// Queues the call for a step. `committed`: the position is behind it.
    pub(crate) fn push(&mut self, mut change: Change, committed: bool) {
        let steps = self.waiting.iter().filter(|(call, _)| matches!(call, Call::Change(_))).count();
        if steps >= MAX_WAITING_STEPS
            && let Some(newest) = self.waiting.iter().rposition(|(call, _)| matches!(call, Call::Change(_)))
            && let Some((Call::Change(before), _)) = self.waiting.remove(newest)
        {
            change.passes_over(&before);
        }
        let cover = match (committed, change.transition.to, self.order) {
            (true, ..) => Cover::Free,
            (false, BackupState::Ready, CommitOrder::CommitFirst) => Cover::ReadyFirst,
            (false, ..) => Cover::Step,
        };
        self.waiting.push_back((Call::Change(change), cover));
    }

    pub(crate) fn push_notice(&mut self, notice: Notice) {
        self.waiting.push_back((Call::Notice(notice), Cover::Free));
    }

    /// The call that may begin now.
    ///
    /// A Ready that waits for its commit when the next step has come already is passed over: a commit would cover that step,
    /// too, and without one a listener that ends the process would meet this Ready again and again.
    pub(crate) fn begin_next(&mut self) -> Option<Call> {
        if self.running.is_some() {
            return None;
        }
        while let Some((call, Cover::ReadyFirst)) = self.waiting.front() {
            let Call::Change(ready) = call.clone() else { break };
            let next = self.waiting.iter_mut().skip(1).find_map(|(call, _)| match call {
                Call::Change(change) => Some(change),
                Call::Notice(_) => None,
            })?;
            next.passes_over(&ready);
            self.waiting.pop_front();
        }
        let (call, cover) = self.waiting.pop_front()?;
        self.running = Some(cover);
        Some(call)
    }

    /// The calls that have not begun, when there will be no more. A Ready that waits for its commit is left to the next session.
    pub(crate) fn take_waiting(&mut self) -> Vec<Call> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        waiting.filter(|(_, cover)| *cover != Cover::ReadyFirst).map(|(call, _)| call).collect()
    }

    /// The listeners of the call that was begun last have returned.
    pub(crate) fn returned(&mut self) {
        self.running = None;
    }

    /// Whether the position is free to move behind everything that was read.
    pub(crate) fn allow_commit(&self) -> bool {
        self.are_covered() || self.wait_for_commit()
    }

    /// Whether no call that has not returned holds the position.
    pub(crate) fn are_covered(&self) -> bool {
        let mut covers = self.running.iter().chain(self.waiting.iter().map(|(_, cover)| cover));
        covers.all(|cover| *cover == Cover::Free)
    }

    /// Whether the newest step is a Ready whose call waits for the commit that is made for it, and nothing else holds the
    /// position.
    pub(crate) fn wait_for_commit(&self) -> bool {
        let newest = self.waiting.iter().rfind(|(call, _)| matches!(call, Call::Change(_)));
        let held = self.waiting.iter().map(|(_, cover)| cover).chain(self.running.as_ref());
        matches!(newest, Some((_, Cover::ReadyFirst)))
            && held.filter(|cover| **cover != Cover::Free).count() == 1
    }

    /// The position is behind everything that was read, or the log is gone in which it was.
    pub(crate) fn committed(&mut self) {
        let waiting = self.waiting.iter_mut().map(|(_, cover)| cover);
        waiting.chain(self.running.as_mut()).for_each(|cover| *cover = Cover::Free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transition::BackupTransition;
    use BackupState::{BackingUp, Ready};
    use uuid::Uuid;

    fn change(id: u128, to: BackupState) -> Change {
        let from = if to == Ready { BackingUp } else { Ready };
        Change::step(BackupTransition::new(Uuid::from_u128(id), "app", 0, from, to))
    }

    fn begun(calls: &mut Calls) -> Option<(u128, u64)> {
        match calls.begin_next()? {
            Call::Change(change) => Some((change.transition.id.as_u128(), change.passed_over)),
            Call::Notice(_) => Some((0, 0)),
        }
    }

    #[test]
    fn one_call_at_a_time_and_none_may_be_covered_before_it_has_returned() {
        for order in [CommitOrder::CommitFirst, CommitOrder::ListenersFirst] {
            let mut calls = Calls::new(order);
            assert!(calls.allow_commit());
            calls.push(change(1, BackingUp), false);
            calls.push(change(2, BackingUp), false);
            assert_eq!(begun(&mut calls), Some((1, 0)));
            assert_eq!(begun(&mut calls), None);
            assert!(!calls.allow_commit());
            calls.returned();
            assert_eq!(begun(&mut calls), Some((2, 0)));
            assert!(!calls.allow_commit());
            calls.returned();
            assert!(calls.allow_commit() && calls.outstanding() == 0);
        }
    }

    #[test]
    fn with_the_commit_first_a_ready_waits_for_its_commit_and_with_listeners_first_the_commit_for_it() {
        let mut calls = Calls::new(CommitOrder::CommitFirst);
        calls.push(change(1, Ready), false);
        assert_eq!(begun(&mut calls), None);
        assert!(calls.wait_for_commit() && calls.allow_commit() && !calls.are_covered());
        calls.committed();
        assert_eq!(begun(&mut calls), Some((1, 0)));
        assert!(calls.are_covered(), "others' records may be committed while its listeners run");

        let mut calls = Calls::new(CommitOrder::ListenersFirst);
        calls.push(change(1, Ready), false);
        assert_eq!(begun(&mut calls), Some((1, 0)));
        assert!(!calls.allow_commit());
        calls.returned();
        assert!(calls.allow_commit());
    }

    #[test]
    fn a_ready_that_waits_for_its_commit_is_passed_over_by_the_next_step_which_says_so() {
        let mut calls = Calls::new(CommitOrder::CommitFirst);
        for (id, to) in [(1, Ready), (2, Ready), (3, BackingUp), (4, Ready)] {
            calls.push(change(id, to), false);
        }
        assert!(!calls.wait_for_commit());
        assert_eq!(begun(&mut calls), Some((3, 2)));
        calls.returned();
        assert_eq!(begun(&mut calls), None);
        assert!(calls.wait_for_commit(), "the newest Ready can have its commit");
    }

    #[test]
    fn a_notice_behind_a_ready_does_not_pass_over_it() {
        let mut calls = Calls::new(CommitOrder::CommitFirst);
        calls.push(change(1, Ready), false);
        calls.push_notice(Notice::Closed);
        assert_eq!(begun(&mut calls), None);
        assert!(calls.wait_for_commit());
        calls.committed();
        assert_eq!(begun(&mut calls), Some((1, 0)));
    }

    #[test]
    fn a_full_queue_keeps_the_oldest_and_the_newest_and_counts_those_between() {
        let mut calls = Calls::new(CommitOrder::ListenersFirst);
        let extra = 5;
        for id in 0..MAX_WAITING_STEPS + extra {
            calls.push(change(id as u128, BackingUp), false);
        }
        assert_eq!(calls.outstanding(), MAX_WAITING_STEPS as u64);
        let mut told = Vec::new();
        while let Some(call) = begun(&mut calls) {
            told.push(call);
            calls.returned();
        }
        assert_eq!(told[0], (0, 0));
        assert_eq!(told.last(), Some(&((MAX_WAITING_STEPS + extra - 1) as u128, extra as u64)));
    }
}
