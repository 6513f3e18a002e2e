//! Whether two clocks agree.

use std::time::{Duration, SystemTime};

use super::super::reading::time;
use super::finding::Finding;

/// How far clocks may be apart before it is worth mentioning.
const TOLERANCE: Duration = Duration::from_secs(2);

/// The broker's clock against this machine's, which stood at `asked` and `answered` around it.
pub(super) fn judge(broker: SystemTime, asked: SystemTime, answered: SystemTime) -> Finding {
    // The broker looked at its clock somewhere in between.
    let ahead = broker.duration_since(answered).unwrap_or_default();
    let behind = asked.duration_since(broker).unwrap_or_default();
    let apart = ahead.max(behind);
    if apart <= TOLERANCE {
        return Finding::ok(
            "clock",
            format!("the broker's and this machine's are at most {} apart", time::brief(TOLERANCE)),
        );
    }
    let which = if ahead > behind { "ahead of" } else { "behind" };
    Finding::warning(
        "clock",
        format!("the broker's is {} {which} this machine's", time::brief(apart)),
        "set both by NTP: how long an operation lasts, and what retention removes, is told by clocks",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn clocks_may_be_a_little_apart_and_the_way_to_the_broker_is_not_held_against_them() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let second = Duration::from_secs(1);
        let verdict = |broker, asked, answered| judge(broker, asked, answered).verdict;
        assert_eq!(verdict(now, now, now), Verdict::Ok);
        assert_eq!(verdict(now + 2 * second, now, now), Verdict::Ok);
        assert_eq!(verdict(now + 3 * second, now, now), Verdict::Warning);
        assert_eq!(verdict(now - 3 * second, now, now), Verdict::Warning);
        assert_eq!(verdict(now + 8 * second, now, now + 9 * second), Verdict::Ok);
        assert!(judge(now + 90 * second, now, now).seen.contains("1m 30s ahead"));
        assert!(judge(now - 90 * second, now, now).seen.contains("1m 30s behind"));
    }
}
