//! The project's front page says of this transport what its profile says.

#[path = "harness/profile.rs"]
mod profile;

use backup_tracker::WireFormat;

#[test]
fn the_table_of_the_transports_has_this_profiles_row() {
    let row =
        profile::profile().table_row("[Kafka](transport-kafka)", "1,000,000 bytes", WireFormat::BackupJson);
    backup_tracker_conformance::check_row(include_str!("../../README.md"), &row).unwrap();
}
