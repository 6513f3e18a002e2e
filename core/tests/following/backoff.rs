//! Only what failed resets what it waits for (T9).

use std::time::Duration;

use backup_tracker::{ErrorKind, Health, RetryPolicy, SecondaryBackupTracker};
use tokio::time::Instant;

use crate::faulty::{Goes, faulty};
use crate::support::{World, within};

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_read_but_counted_is_tried_less_and_less_often() {
    let world = World::new();
    let (source, faults) = faulty(&world.log);
    // As long as something remains it is counted again and again, which succeeds.
    faults.set(|calls| calls.next = Goes::Fails(ErrorKind::Unavailable));
    world.log.append_raw(None, Vec::new(), Some("noise".into()));
    let secondary = SecondaryBackupTracker::builder("app", source).build().unwrap();
    within(secondary.health_is(|health| !health.is_healthy())).await;
    let since = Instant::now();
    let mut seen = 0;
    while since.elapsed() < Duration::from_secs(60) {
        let Health::Troubled { attempts, .. } = secondary.health() else { panic!("it flaps") };
        assert!(attempts >= seen);
        seen = attempts;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let failed = faults.now().failed;
    assert!((25..=65).contains(&failed), "{failed} attempts in a minute");
    assert!(seen + 1 >= failed, "{seen} shown of {failed}");

    faults.set(|calls| calls.next = Goes::Well);
    within(secondary.health_is(Health::is_healthy)).await;
    assert_eq!(secondary.stats().received, 1);
}

#[tokio::test(start_paused = true)]
async fn a_policy_without_waits_is_no_hot_loop() {
    let world = World::new();
    let (source, faults) = faulty(&world.log);
    faults.set(|calls| calls.next = Goes::Fails(ErrorKind::Unavailable));
    let policy = RetryPolicy::new().first(Duration::ZERO).longest(Duration::ZERO);
    let secondary = SecondaryBackupTracker::builder("app", source).retry(policy).build().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(faults.now().failed <= 1001, "{} attempts in a second", faults.now().failed);
    assert!(!secondary.health().is_healthy());
}

#[tokio::test(start_paused = true)]
async fn s14_trouble_with_a_cause_is_put_up_with_forever_or_for_as_long_as_the_user_says() {
    const LIMIT: Duration = Duration::from_secs(60);
    for limit in [None, Some(LIMIT)] {
        let world = World::new();
        let (source, faults) = faulty(&world.log);
        faults.set(|calls| calls.next = Goes::FailsBecause(ErrorKind::Denied));
        let mut builder = SecondaryBackupTracker::builder("app", source);
        if let Some(limit) = limit {
            builder =
                builder.give_up_on(ErrorKind::Denied, limit).give_up_on(ErrorKind::NotFound, Duration::ZERO);
        }
        let secondary = builder.build().unwrap();
        within(secondary.health_is(|health| matches!(health, Health::Troubled { .. }))).await;
        assert_eq!(secondary.health().error().unwrap().cause(), Some(ErrorKind::Denied));
        assert!(secondary.health().to_string().contains("denied"), "{}", secondary.health());
        let ended = tokio::time::timeout(2 * LIMIT, secondary.closed()).await;
        assert_eq!(ended.is_ok(), limit.is_some());
        if let Ok(ended) = ended {
            assert_eq!(ended.unwrap_err().kind(), ErrorKind::Denied);
        }
    }
}
