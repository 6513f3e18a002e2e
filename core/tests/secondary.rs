//! The secondary's driver, over the memory transport.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use backup_tracker::wire::Others;
use backup_tracker::{
    BackupState, BackupTracker, BoxSource, Error, ErrorKind, EventSource, GateState, Health,
    PrimaryBackupTracker, Record, Remaining, Result, SecondaryBackupTracker,
};
use backup_tracker_memory::MemorySource;
use support::{World, reaches, within};

use BackupState::{BackingUp, Ready, Restoring, Starting};

#[tokio::test]
async fn it_follows_and_moves_state_watch_gate_and_last_transition() {
    let world = World::new();
    let secondary = world.builder().build().unwrap();
    assert_eq!(secondary.state(), Starting);
    assert!(!secondary.gate().is_open(), "not synced yet");
    within(secondary.synced()).await.unwrap();
    assert!(secondary.gate().is_open());
    for state in [Ready, BackingUp, Ready, Restoring] {
        let announced = match (secondary.state(), state) {
            (BackingUp, _) => world.primary.finish_backup().await,
            (_, BackingUp) => world.primary.start_backup().await,
            (_, Restoring) => world.primary.start_restore().await,
            _ => world.primary.startup_complete().await,
        };
        reaches(&secondary, state).await;
        assert_eq!(secondary.state(), state);
        assert_eq!(secondary.last_transition().unwrap(), announced.unwrap());
        assert_eq!(secondary.gate().is_open(), !state.is_operation());
    }
    let stats = secondary.stats();
    assert_eq!((stats.received, stats.applied, stats.commits, stats.gaps), (4, 4, 2, 0));
}

#[tokio::test]
async fn who_sees_the_state_of_an_operation_finds_the_gate_shut() {
    let world = World::new();
    let secondary = world.secondary().await;
    let (gate, mut states) = (secondary.gate(), secondary.watch());
    let watcher = tokio::spawn(async move {
        for _ in 0..100 {
            let state = *states.wait_for(|state| state.is_operation()).await.unwrap();
            assert!(!gate.is_open(), "open in {state}");
            states.wait_for(|state| !state.is_operation()).await.unwrap();
        }
    });
    while !watcher.is_finished() {
        world.primary.start_backup().await.unwrap();
        reaches(&secondary, BackingUp).await;
        tokio::task::yield_now().await;
        world.primary.finish_backup().await.unwrap();
        reaches(&secondary, Ready).await;
        tokio::task::yield_now().await;
    }
    watcher.await.unwrap();
}

#[tokio::test]
async fn t9_a_broker_that_is_gone_is_trouble_and_its_return_ends_it() {
    let world = World::new();
    let secondary = world.secondary().await;
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackingUp).await;
    world.log.set_available(false);
    let health =
        within(secondary.health_is(|health| matches!(health, Health::Troubled { attempts: 3.., .. }))).await;
    assert_eq!(health.error().unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(secondary.state(), BackingUp);
    assert!(!secondary.gate().is_open());
    world.log.set_available(true);
    within(secondary.health_is(Health::is_healthy)).await;
    world.primary.finish_backup().await.unwrap();
    reaches(&secondary, Ready).await;
    assert!(secondary.stats().troubles >= 3);
}

#[tokio::test]
async fn t9_a_log_that_ends_is_a_visible_failure_and_shuts_the_gate_for_good() {
    let world = World::new();
    let secondary = world.secondary().await;
    world.log.end();
    let error = within(secondary.closed()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
    assert!(matches!(secondary.health(), Health::Failed { .. }));
    let gate = secondary.gate();
    assert_eq!(gate.state(), GateState::Ended);
    assert!(gate.try_enter().is_none());
    let error = within(gate.enter()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.message().contains("the log has ended for good"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(cause.kind(), ErrorKind::Lost);
}

/// Fails as told, at opening or at the first commit.
struct Broken {
    inner: MemorySource,
    remaining: Option<Error>,
    commit: Option<Error>,
}

impl EventSource for Broken {
    async fn next(&mut self) -> Result<Option<Record>> {
        self.inner.next().await
    }

    async fn commit(&mut self) -> Result<()> {
        match self.commit.take() {
            Some(error) => Err(error),
            None => self.inner.commit().await,
        }
    }

    fn resumed(&self) -> bool {
        self.inner.resumed()
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        match self.remaining.take() {
            Some(error) => Err(error),
            None => self.inner.remaining().await,
        }
    }

    async fn close(self) -> Result<()> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn t9_permission_that_is_missing_ends_the_following_and_everybody_who_waits_hears_of_it() {
    let world = World::new();
    let denied = || Error::new(ErrorKind::Denied, "commit", "no permission on the group");
    for (remaining, commit) in [(Some(denied()), None), (None, Some(denied()))] {
        let inner = world.log.source("denied").unwrap();
        let before_synced = remaining.is_some();
        let source = Broken { inner, remaining, commit };
        let secondary = SecondaryBackupTracker::builder("app", source).build().unwrap();
        world.primary.startup_complete().await.unwrap();
        let error = within(secondary.closed()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        if before_synced {
            assert_eq!(within(secondary.synced()).await.unwrap_err().kind(), ErrorKind::Denied);
        }
        assert_eq!(secondary.close().await.unwrap_err().kind(), ErrorKind::Denied);
    }
}

#[tokio::test]
async fn t2_a_commit_that_fails_for_a_while_holds_ready_back_and_is_repeated() {
    let world = World::new();
    let trouble = Error::new(ErrorKind::Unavailable, "commit", "the coordinator moves");
    let source = Broken { inner: world.log.source("g").unwrap(), remaining: None, commit: Some(trouble) };
    let secondary = SecondaryBackupTracker::builder("app", source).build().unwrap();
    within(secondary.synced()).await.unwrap();
    let mut states = secondary.watch();
    world.primary.start_backup().await.unwrap();
    world.primary.finish_backup().await.unwrap();
    within(states.wait_for(|state| *state == Ready)).await.unwrap();
    assert_eq!(world.log.committed("g"), Some(2));
    let stats = secondary.stats();
    assert_eq!((stats.troubles, stats.commits), (1, 1));
}

#[tokio::test]
async fn s12_a_loss_while_running_is_counted_and_followed_from_the_earliest() {
    let world = World::new();
    let secondary = world.secondary().await;
    world.primary.startup_complete().await.unwrap();
    reaches(&secondary, Ready).await;
    world.log.recreate();
    reaches(&secondary, Starting).await;
    assert_eq!(secondary.stats().losses, 1);
    within(secondary.synced()).await.unwrap();
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackingUp).await;
}

#[tokio::test]
async fn closing_commits_nothing_and_shuts_the_gate() {
    let world = World::new();
    let secondary = world.secondary().await;
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackingUp).await;
    within(secondary.close()).await.unwrap();
    within(secondary.close()).await.unwrap();
    assert!(matches!(secondary.health(), Health::Closed));
    assert!(!secondary.gate().is_open());
    assert_eq!(world.log.committed("search"), None);
    assert_eq!(within(world.builder().build().unwrap().close()).await.map_err(|error| error.kind()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn t3_other_applications_events_are_committed_while_ready_but_seldom() {
    let world = World::new();
    let busy = PrimaryBackupTracker::builder("busy", world.log.sink()).build().unwrap();
    let secondary = world.secondary().await;
    world.primary.startup_complete().await.unwrap();
    reaches(&secondary, Ready).await;
    for _ in 0..100 {
        busy.startup_complete().await.unwrap();
    }
    let received = async {
        while secondary.stats().received < 101 {
            tokio::task::yield_now().await;
        }
    };
    received.await;
    assert_eq!(secondary.stats().commits, 1);
    tokio::time::advance(SecondaryBackupTracker::DEFAULT_COMMIT_INTERVAL).await;
    let committed = async {
        while world.log.committed("search") != Some(101) {
            tokio::task::yield_now().await;
        }
    };
    committed.await;
    assert_eq!(secondary.stats().commits, 2);
    tokio::time::advance(SecondaryBackupTracker::DEFAULT_KEEP_ALIVE).await;
    let kept_alive = async {
        while secondary.stats().commits < 3 {
            tokio::task::yield_now().await;
        }
    };
    kept_alive.await;
}

/// Leaves out all that others write, as far as it is there.
struct LeavesOut {
    inner: MemorySource,
    others: Option<Others>,
    held: Option<Record>,
}

impl EventSource for LeavesOut {
    async fn next(&mut self) -> Result<Option<Record>> {
        if let Some(record) = self.held.take() {
            return Ok(Some(record));
        }
        let mut left_out: Option<Record> = None;
        loop {
            let Some(record) = self.inner.next().await? else { return Ok(None) };
            let others = self.others.as_ref().unwrap();
            if !record.payload.as_ref().is_some_and(|payload| others.wrote(payload)) {
                self.held = left_out.is_some().then(|| record.clone());
                return Ok(left_out.or(Some(record)));
            }
            let count = left_out.map_or(0, |before| before.left_out) + 1;
            left_out = Some(Record::left_out(record.position, count));
            if self.inner.remaining().await?.total() == 0 {
                return Ok(left_out);
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        self.inner.commit().await
    }

    fn resumed(&self) -> bool {
        self.inner.resumed()
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        Ok((self.inner.remaining().await?.total() + u64::from(self.held.is_some())).into())
    }

    fn leave_out(&mut self, others: Others) {
        self.others = Some(others);
    }
}

#[tokio::test]
async fn t1_a_source_may_leave_out_what_others_write_also_behind_a_box() {
    let world = World::new();
    let other = PrimaryBackupTracker::builder("other", world.log.sink()).build().unwrap();
    for _ in 0..2 {
        other.start_backup().await.unwrap();
        other.finish_backup().await.unwrap();
    }
    world.primary.start_backup().await.unwrap();
    let source = LeavesOut { inner: world.log.source("g").unwrap(), others: None, held: None };
    let secondary = SecondaryBackupTracker::builder("app", BoxSource::new(source)).build().unwrap();
    reaches(&secondary, BackingUp).await;
    within(secondary.synced()).await.unwrap();
    let stats = secondary.stats();
    assert_eq!((stats.received, stats.other_application), (5, 4), "{stats:?}");
    world.primary.finish_backup().await.unwrap();
    reaches(&secondary, Ready).await;
    assert_eq!(world.log.committed("g"), Some(6));
}

#[tokio::test]
async fn bad_settings_are_refused_by_name() {
    let world = World::new();
    let source = || world.log.source("g").unwrap();
    let blank = SecondaryBackupTracker::builder("\t", source()).build().unwrap_err();
    assert!(blank.to_string().contains("application"), "{blank}");
    let zero =
        SecondaryBackupTracker::builder("app", source()).keep_alive(Duration::ZERO).build().unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::Config);
    assert!(zero.to_string().contains("keep alive"), "{zero}");
}
