//! What varies between transports, as it is with Kafka, whatever broker the harness runs on.

use std::time::Duration;

use backup_tracker_conformance::{Ability, Profile};

pub(crate) const MAX_EVENT_BYTES: usize = 100_000;

/// Within which time a source reports that it is out of contact.
pub(crate) const CONTACT_TIME: Duration = Duration::from_secs(3);

pub(crate) fn profile() -> Profile {
    Profile::new(MAX_EVENT_BYTES)
        .with_contact_time(CONTACT_TIME)
        .lacks(Ability::MonotonicPosition, "OffsetCommit overwrites a group's offset without comparing")
        .lacks(
            Ability::Recreate,
            "a broker deletes a group's offsets with the topic, and the group is new again",
        )
        .lacks(Ability::End, "a topic never ends")
        .not_shown(Ability::Truncate, "it takes an unclean election, which this harness cannot make")
}
