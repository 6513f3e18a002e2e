//! What varies between transports, as it is in memory.

use std::time::Duration;

use backup_tracker_conformance::Profile;

pub(crate) const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Within which time a source reports that nothing can come.
pub(crate) const CONTACT_TIME: Duration = Duration::from_millis(150);

/// Nothing is lacking.
pub(crate) fn profile() -> Profile {
    Profile::new(MAX_EVENT_BYTES)
        .with_quiet(Duration::from_millis(40))
        .with_idle(Duration::from_millis(200))
        .with_contact_time(CONTACT_TIME)
}
