//! What genuinely varies between transports, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use backup_tracker::transport::DEFAULT_CONTACT_TIME;

use crate::harness::Isolation;

/// What a transport or its harness may lack. What is not in this list cannot be declared away: order, durability, replay,
/// cancel safety, independence of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ability {
    /// [`Lane::append_raw`](crate::Lane::append_raw) with a payload.
    Raw,
    /// A record without a value can exist in the log.
    Tombstones,
    /// A header's value may be any bytes. Without it, values are ASCII text, possibly empty.
    BinaryHeaders,
    /// A slower replica of a group cannot move its position back: the broker compares (S5).
    MonotonicPosition,
    /// [`Lane::trim`](crate::Lane::trim).
    Trim,
    /// [`Lane::recreate`](crate::Lane::recreate).
    Recreate,
    /// A log that was recreated is told from the old one even when it is longer than the position.
    TellsRecreated,
    /// A live session notices that its log was recreated under it ([`Lane::recreate`](crate::Lane::recreate)), and its commits
    /// do not reach into the new log. Where the new log is longer than the session's place, that also takes
    /// [`TellsRecreated`](Self::TellsRecreated).
    RecreateLive,
    /// [`Lane::delete`](crate::Lane::delete): a log can be away for a while.
    Delete,
    /// [`Lane::truncate`](crate::Lane::truncate): a log can lose its newest records, and a source tells the records that come in their
    /// places from those that it knew.
    Truncate,
    /// [`Lane::renew_credentials`](crate::Lane::renew_credentials).
    RenewsCredentials,
    /// The broker can hold a word with a position, and the source binds a group to its application
    /// ([`EventSource::claim`](backup_tracker::EventSource::claim), S16).
    BindsGroups,
    /// [`Lane::observer`](crate::Lane::observer): a source may have no group.
    Observers,
    /// An event that was acknowledged at its only send is in the log once, also when the client library repeated a request
    /// over a new connection: the broker tells the repetition from another event.
    StoresOnce,
    /// [`Lane::end`](crate::Lane::end): the log can end for good.
    End,
    /// [`Fault::Cut`](crate::Fault::Cut).
    Cut,
    /// [`Fault::BlackHole`](crate::Fault::BlackHole).
    BlackHole,
    /// [`Fault::LostAnswers`](crate::Fault::LostAnswers).
    LostAnswers,
    /// [`Fault::Kill`](crate::Fault::Kill).
    Kill,
    /// [`Fault::Stop`](crate::Fault::Stop).
    Stop,
    /// [`Fault::RestartOne`](crate::Fault::RestartOne).
    RestartOne,
    /// [`Fault::Roll`](crate::Fault::Roll).
    Roll,
    /// [`Fault::Delay`](crate::Fault::Delay).
    Delay,
    /// [`Fault::PartialBlackHole`](crate::Fault::PartialBlackHole).
    PartialBlackHole,
    /// [`Fault::Deny`](crate::Fault::Deny).
    Deny,
}

impl Ability {
    /// Every ability.
    pub const ALL: [Self; 25] = [
        Self::Raw,
        Self::Tombstones,
        Self::BinaryHeaders,
        Self::MonotonicPosition,
        Self::Trim,
        Self::Recreate,
        Self::TellsRecreated,
        Self::RecreateLive,
        Self::Delete,
        Self::Truncate,
        Self::RenewsCredentials,
        Self::BindsGroups,
        Self::Observers,
        Self::StoresOnce,
        Self::End,
        Self::Cut,
        Self::BlackHole,
        Self::LostAnswers,
        Self::Kill,
        Self::Stop,
        Self::RestartOne,
        Self::Roll,
        Self::Delay,
        Self::PartialBlackHole,
        Self::Deny,
    ];

    /// What a case that needs it disturbs.
    pub(crate) const fn isolation(self) -> Isolation {
        match self {
            Self::Kill | Self::Stop | Self::RestartOne | Self::Roll => Isolation::Own,
            Self::Cut | Self::BlackHole | Self::LostAnswers | Self::Delay | Self::PartialBlackHole => {
                Isolation::Proxied
            }
            Self::Deny | Self::RenewsCredentials => Isolation::Secured,
            _ => Isolation::Shared,
        }
    }
}

/// What a transport or its harness lacks, each with a reason, and the limits within which the suite works.
///
/// ```
/// use backup_tracker_conformance::{Ability, Profile};
///
/// let profile = Profile::new(1_000_000)
///     .lacks(Ability::MonotonicPosition, "the broker overwrites a group's offset without comparing")
///     .lacks(Ability::End, "a topic never ends");
/// assert!(profile.reason(Ability::End).is_some());
/// assert!(profile.reason(Ability::Trim).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    lacks: BTreeMap<Ability, String>,
    not_shown: BTreeMap<Ability, String>,
    max_event_bytes: usize,
    patience: Duration,
    quiet: Duration,
    idle: Duration,
    contact_time: Duration,
    at_once: usize,
}

impl Profile {
    /// [`Profile::at_once`], unless it is set. Cases wait more than they work, so that more of them may run at once than there
    /// are cores.
    pub const DEFAULT_AT_ONCE: usize = 8;
    /// [`Profile::patience`], unless it is set.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);
    /// [`Profile::quiet`], unless it is set.
    pub const DEFAULT_QUIET: Duration = Duration::from_millis(300);
    /// [`Profile::idle`], unless it is set.
    pub const DEFAULT_IDLE: Duration = Duration::from_secs(5);

    /// The profile of a transport that has every ability, and refuses an event whose payload is larger than so many bytes
    /// (K4). Half as much must fit. The suite sends one event of that size, so a harness does well to configure a small
    /// limit.
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            lacks: BTreeMap::new(),
            not_shown: BTreeMap::new(),
            max_event_bytes,
            patience: Self::DEFAULT_PATIENCE,
            quiet: Self::DEFAULT_QUIET,
            idle: Self::DEFAULT_IDLE,
            contact_time: DEFAULT_CONTACT_TIME,
            at_once: Self::DEFAULT_AT_ONCE,
        }
    }

    /// Declares that the transport lacks an ability. The cases that need it show as ignored, with the reason.
    #[must_use]
    pub fn lacks(mut self, ability: Ability, reason: impl Into<String>) -> Self {
        self.lacks.insert(ability, reason.into());
        self
    }

    /// Declares that the transport has an ability which this harness cannot show, for example because the broker that it
    /// runs on is a mock. The cases that need it show as ignored, with the reason.
    #[must_use]
    pub fn not_shown(mut self, ability: Ability, reason: impl Into<String>) -> Self {
        self.not_shown.insert(ability, reason.into());
        self
    }

    /// How long the suite waits for what must come. It only costs time when something is wrong.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long nothing must come for the suite to believe that nothing comes. It is spent in every case that asks.
    /// Make it longer than a record takes from one end to the other on a bad day, or a case may pass that should not.
    #[must_use]
    pub const fn with_quiet(mut self, quiet: Duration) -> Self {
        self.quiet = quiet;
        self
    }

    /// How long a source is left without an event in the case about long idling. Make it longer than the client's
    /// shortest time limit: a response timeout, a heartbeat, an idle connection's end. Thirty seconds at most.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Within which time the lanes' sources report that they are out of contact with the log (S13), as the harness opens them. Cases
    /// wait as long, and for [`patience`](Self::patience) in addition at most.
    #[must_use]
    pub const fn with_contact_time(mut self, contact_time: Duration) -> Self {
        self.contact_time = contact_time;
        self
    }

    /// How many cases run at once, at least one. Fewer are right for brokers that keep the processor busy: each case has a time
    /// limit, and they would only wait for each other.
    #[must_use]
    pub const fn with_at_once(mut self, cases: usize) -> Self {
        self.at_once = if cases == 0 { 1 } else { cases };
        self
    }

    /// Why the ability is lacking, or not shown; `None` when it is neither.
    #[must_use]
    pub fn reason(&self, ability: Ability) -> Option<&str> {
        self.lacks.get(&ability).or_else(|| self.not_shown.get(&ability)).map(String::as_str)
    }

    /// What the transport itself lacks, and why.
    pub fn lacking(&self) -> impl Iterator<Item = (Ability, &str)> {
        self.lacks.iter().map(|(ability, reason)| (*ability, reason.as_str()))
    }

    /// The largest payload that is not refused.
    #[must_use]
    pub const fn max_event_bytes(&self) -> usize {
        self.max_event_bytes
    }

    /// How long the suite waits for what must come. [`DEFAULT_PATIENCE`](Self::DEFAULT_PATIENCE) unless set.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// How long nothing must come. [`DEFAULT_QUIET`](Self::DEFAULT_QUIET) unless set.
    #[must_use]
    pub const fn quiet(&self) -> Duration {
        self.quiet
    }

    /// Within which time sources report that they are out of contact. [`DEFAULT_CONTACT_TIME`] unless set.
    #[must_use]
    pub const fn contact_time(&self) -> Duration {
        self.contact_time
    }

    /// How many cases run at once. [`DEFAULT_AT_ONCE`](Self::DEFAULT_AT_ONCE) unless set.
    #[must_use]
    pub const fn at_once(&self) -> usize {
        self.at_once
    }

    /// How long a source idles. [`DEFAULT_IDLE`](Self::DEFAULT_IDLE) unless set.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }
}
