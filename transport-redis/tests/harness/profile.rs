//! What varies between transports, as it is with Redis.

use backup_tracker_conformance::{Ability, Profile};

/// Small, so that the suite need not send much to exceed it.
pub(crate) const MAX_EVENT_BYTES: usize = 64 * 1024;

pub(crate) fn profile() -> Profile {
    Profile::new(MAX_EVENT_BYTES)
        .lacks(Ability::End, "a stream never ends")
        .not_shown(Ability::PartialBlackHole, "each lane has one server")
        .not_shown(Ability::Truncate, "not written yet")
        .not_shown(Ability::Deny, "not written yet")
        .not_shown(Ability::RenewsCredentials, "not written yet")
        .not_shown(Ability::Roll, "each lane has one server")
}
