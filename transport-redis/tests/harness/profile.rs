//! What varies between transports, as it is with Redis.

use std::time::Duration;

use backup_tracker_conformance::{Ability, Profile};

/// Small, so that the suite need not send much to exceed it.
pub(crate) const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Short, so that an outage shows soon.
pub(crate) const CONTACT_TIME: Duration = Duration::from_secs(3);

pub(crate) fn profile() -> Profile {
    Profile::new(MAX_EVENT_BYTES)
        .with_contact_time(CONTACT_TIME)
        .lacks(Ability::End, "a stream never ends")
        .not_shown(Ability::PartialBlackHole, "each lane has one server")
        .not_shown(Ability::Roll, "each lane has one server")
}
