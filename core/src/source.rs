//! The reading half of a transport.

use std::future::Future;

use crate::error::Result;
use crate::event::{Position, Record};
use crate::wire::Others;

/// Reads a log in order, from the durable position of a group.
///
/// Every reader sees every record: a source is a broadcast, never a work queue. Implementors write plain `async fn`s. A
/// source never retries: it returns at once with a typed error, and
/// [`SecondaryBackupTracker`](crate::SecondaryBackupTracker) retries in one place.
///
/// A *session* is the life of one source, from opening to `close` or drop.
///
/// A source may have no group: an *observer*, for whoever only looks at a log. Each of its sessions begins where [`StartAt`]
/// says, `commit` succeeds and moves nothing, `resumed` is always false, and nothing stays behind at the broker; what does
/// not speak of a group or a position holds for it as for any other.
///
/// # Contract
///
/// - **S1** Order: one application's events come in the order in which they were accepted.
/// - **S2** No record twice within a session.
/// - **S3** A session starts right after its group's last commit: nothing is lost, nothing committed is replayed, and
///   uncommitted records come before newer ones, at once, with no redelivery timer.
/// - **S4** `commit` covers what `next` returned, and nothing that was only prefetched.
/// - **S5** `commit` is cumulative, idempotent and confirmed by the broker. After an error the position is the old one or
///   the new one, and a later commit repairs it. Where the broker can compare, a slower replica of the same group never
///   moves the position back.
/// - **S6** `next` is cancel safe.
/// - **S7** Neither `close` nor drop commits, and both return promptly, also with the broker gone. Dropping is the same
///   as crashing.
/// - **S8** When opening returns, a new group's start is fixed: whatever is sent from then on will be seen, also by the
///   next session.
/// - **S9** Groups are independent; two live readers of one group both see every record.
/// - **S10** After a transient error `next` may be called again and loses nothing. A source never ends silently.
/// - **S11** Any number of uncommitted records may be outstanding.
/// - **S12** Where the log was trimmed, deleted or recreated under the position, the session says so once, by an error of
///   kind [`Lost`](crate::ErrorKind::Lost) from `next`, begins again at the earliest record there is, and does not count
///   as resumed. `commit` and `remaining` never say so: a commit of what is gone moves nothing and succeeds.
///   A position is a place in a log that has an identity: a log that was recreated, truncated or restored is lost also where it
///   has grown past the position again, for a session that is open as for the next one.
/// - **S13** Contact: while `next` waits, the source knows that it would hear of the next record. Within the contact time
///   ([`DEFAULT_CONTACT_TIME`](crate::transport::DEFAULT_CONTACT_TIME) unless set) after it no longer would, also of one partition
///   alone, `next` returns [`Unavailable`](crate::ErrorKind::Unavailable), and again until contact is back. Then reading goes on
///   by itself, if need be with a new client.
/// - **S14** What passes does not end: once a session is open, the broker's answers (*not found*, *denied*, *limit reached*, an
///   unknown error, a refused handshake) are `Unavailable`, with the kind that they would have at opening as
///   [`cause`](crate::Error::cause). Opening is strict.
/// - **S15** Counts are kept by partition: [`remaining`](Self::remaining) speaks of every partition of the log, so that what
///   comes later in one does not stand for what is still outstanding in another. Within a partition everything comes in the
///   log's order, whatever application it is about.
/// - **S16** A position belongs to one application: see [`claim`](Self::claim).
pub trait EventSource: Send {
    /// The next record in log order; waits until there is one. `None` means that the log has ended for good.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe (S6): a future that is dropped before it is ready has taken nothing from the log.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable): call again later, nothing is lost (S10).
    /// [`Lost`](crate::ErrorKind::Lost): said once, call again (S12). Any other kind is permanent: the source was closed, or the
    /// program has a fault (S14).
    fn next(&mut self) -> impl Future<Output = Result<Option<Record>>> + Send;

    /// Moves the group's durable position behind everything that `next` has returned so far (S4, S5).
    ///
    /// It takes no position on purpose: with one record at a time, "all that `next` returned" is exact.
    ///
    /// # Cancel safety
    ///
    /// After dropping the future the position is the old one or the new one; a later commit repairs it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when it may help to try again, any other kind when it will not.
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Whether this session began at a position that an earlier session committed. False again after
    /// [`Lost`](crate::ErrorKind::Lost).
    fn resumed(&self) -> bool;

    /// How many records the log holds beyond the last one that `next` returned, partition by partition (S15). A log without
    /// partitions returns its count `.into()`.
    ///
    /// May count too many (records that turn out not to be there, such as gaps), never too few, and comes down to 0 once
    /// `next` has nothing more to return.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; it moves nothing.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next), except `Lost` (S12).
    fn remaining(&mut self) -> impl Future<Output = Result<Remaining>> + Send;

    /// Binds the group's position to an application (S16). Two applications whose services share a group by mistake would
    /// commit past each other's running operations.
    ///
    /// A source of a group notes the application beside the position, now and with every commit, and returns an error when
    /// another one is noted there. A position that was committed without a note takes it. Observers, and transports whose
    /// broker holds nothing beside a position, do nothing: that is the default.
    ///
    /// Asked at most once, before the first `next`.
    ///
    /// # Cancel safety
    ///
    /// After dropping the future the position may be bound or not; ask again.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) when the group belongs to another application, naming both;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when it may help to try again.
    fn claim(&mut self, application: &str) -> impl Future<Output = Result<()>> + Send {
        let _ = application;
        async { Ok(()) }
    }

    /// Allows the source to leave out what others write, if that saves it work: for any number of such records in a row, `next`
    /// may return a single [`Record::left_out`], which counts them and stands for each of them in every clause of the contract. It
    /// may as well return them one by one, which is what it does in a transport that says nothing else.
    ///
    /// Asked at most once, before the first `next`.
    fn leave_out(&mut self, others: Others) {
        drop(others);
    }

    /// Ends the session without committing anything (S7). Dropping the source is as good: that is all it
    /// does in a transport that has nothing to say goodbye to.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the source.
    ///
    /// # Errors
    ///
    /// What the client library reports while it disconnects.
    fn close(self) -> impl Future<Output = Result<()>> + Send
    where
        Self: Sized,
    {
        async move {
            drop(self);
            Ok(())
        }
    }
}

/// How many records a log holds that have not come yet, partition by partition (S15).
///
/// ```
/// use backup_tracker::{Position, Remaining};
///
/// let stream = Remaining::from(3);
/// assert_eq!((stream.total(), stream.at(Position::Offset(42))), (3, 3));
///
/// let topic = Remaining::in_partitions([3, 0, 5]);
/// let third = Position::Partition { partition: 2, offset: 42 };
/// assert_eq!((topic.total(), topic.at(third)), (8, 5));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remaining(Vec<u64>);

impl Remaining {
    /// The counts of partition 0, 1, and so on.
    pub fn in_partitions(counts: impl IntoIterator<Item = u64>) -> Self {
        Self(counts.into_iter().collect())
    }

    /// The counts of all partitions together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// The count of the partition in which this position is.
    #[must_use]
    pub fn at(&self, position: Position) -> u64 {
        self.0.get(position.partition()).copied().unwrap_or(0)
    }

    pub(crate) fn counts(&self) -> &[u64] {
        &self.0
    }

    /// So many records of this partition have come.
    pub(crate) fn came(&mut self, position: Position, count: u64) {
        if let Some(left) = self.0.get_mut(position.partition()) {
            *left = left.saturating_sub(count);
        }
    }
}

/// Of a log without partitions.
impl From<u64> for Remaining {
    fn from(count: u64) -> Self {
        Self(vec![count])
    }
}

/// Where a group starts that has no position yet, and where a source without a group begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StartAt {
    /// At the earliest record that the log holds. The default: an operation that began before the group existed is seen.
    #[default]
    Earliest,
    /// Behind the latest record that the log holds when the source is opened. What the application was doing before that
    /// stays unknown until its primary speaks again.
    Latest,
}
