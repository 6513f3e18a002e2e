//! The clauses of the contract, by name.

use std::fmt;

macro_rules! clauses {
    ($($name:ident $meaning:literal,)*) => {
        /// A clause of the contract of sinks (K), sources (S) and trackers (T), as the traits and trackers of
        /// [`backup_tracker`] document them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Clause {
            $(#[doc = $meaning] $name,)*
        }

        impl Clause {
            /// Every clause, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The clause's name, for example `S4`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it asks for, in a line.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }
        }
    };
}

clauses! {
    S1 "one application's events come in order",
    S2 "nothing comes twice within a session",
    S3 "a session starts right after its group's last commit, the uncommitted first and at once",
    S4 "commit covers what next returned, and nothing else",
    S5 "commit is cumulative, idempotent and confirmed",
    S6 "next is cancel safe",
    S7 "neither close nor drop commits, and both are prompt",
    S8 "a new group's start is fixed when opening returns",
    S9 "groups are independent, and two readers of one group both see everything",
    S10 "an error that passes loses nothing, and a source never ends silently",
    S11 "any number of records may be uncommitted",
    S12 "a log that was trimmed, recreated or truncated says so, once, and from next",
    S13 "a source that is out of contact with its log says so in time, and reads on by itself",
    S14 "what passes ends no session, and has a cause",
    S15 "counts and order are kept by partition, whatever application a record is about",
    S16 "a position belongs to one application",
    K1 "Ok means durable",
    K2 "sends of one sink keep their order, also those whose outcome is unknown",
    K3 "an error says whether the event may be in the log",
    K4 "an event that is too large is refused before any I/O",
    K5 "key, payload and headers come back unchanged",
    K6 "a sink heals",
    K7 "credentials are read again for each connection",
    T1 "only the own application's events have an effect",
    T2 "on Ready: commit, then apply, then listeners, or listeners first if asked",
    T3 "nothing is committed while the application is not Ready",
    T4 "a resumed session starts in Ready",
    T5 "a secondary adopts the target of every legal transition, and reports gaps",
    T6 "what cannot be decoded is skipped and counted",
    T7 "a primary announces first and changes its state after",
    T8 "listeners see every transition in order, and one that fails does not stop the others",
    T9 "a secondary never dies silently",
    T10 "synced returns when everything that the log held at opening is applied",
    T11 "an id is applied once, however often the log holds it",
    T12 "state and gate wait for nothing but the log",
    T13 "a service can choose to be shut in silence",
    T14 "after a loss the gate is shut until a step says where the application is",
    F1 "an end names its operation, and ends no other",
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
