//! What varies between transports, as it is with NATS.

use backup_tracker_conformance::{Ability, Profile};

/// Small, so that the suite need not send much to exceed it.
pub(crate) const MAX_EVENT_BYTES: i32 = 64 * 1024;

pub(crate) fn profile() -> Profile {
    Profile::new(MAX_EVENT_BYTES as usize)
        .lacks(Ability::Tombstones, "a NATS message always has a payload, if an empty one")
        .lacks(Ability::End, "a stream never ends")
        .not_shown(
            Ability::PartialBlackHole,
            "each lane has one server; the tests of a cluster cut off one of three",
        )
        .not_shown(
            Ability::Truncate,
            "no request removes a stream's newest messages; the tests of identity put back an older copy of its files",
        )
        .not_shown(Ability::Roll, "each lane has one server; the tests of a cluster restart three")
}
