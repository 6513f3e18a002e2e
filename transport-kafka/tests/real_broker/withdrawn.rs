//! Permissions and passwords that are taken away from clients at work, and given back.

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::BackupState::{BackingUp, Ready};
use backup_tracker::{
    BackupState, BackupTracker, Error, ErrorKind, EventSource, Health, PrimaryBackupTracker,
    SecondaryBackupTracker, Secret, Sink,
};
use backup_tracker_kafka::Kafka;
use uuid::Uuid;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::secured::{SASL, password, says, with_password};
use crate::support::{event, send, soon, texts};

cases! {
    Shared, Needs::Own;
    a_permission_that_is_taken_away_shows_at_the_next_send_and_commit,
    a_secondary_that_may_not_read_any_more_is_in_trouble_until_it_may,
    a_secondary_that_may_not_keep_its_position_any_more_is_in_trouble_until_it_may,
    a_primary_that_may_not_write_any_more_is_denied_and_stays_in_its_state,
    a_password_that_is_withdrawn_is_trouble_until_there_is_a_new_one,
}

/// The primary's connection is asked for its password within three seconds, and a send that nobody takes has ten.
const DENIED: Duration = Duration::from_secs(60);

fn name() -> String {
    format!("test-{}", Uuid::new_v4())
}

async fn a_permission_that_is_taken_away_shows_at_the_next_send_and_commit(shared: Arc<Shared>) {
    let (topic, group, secured) = (name(), format!("{}-g", name()), shared.secured());
    secured.create(&topic).await;
    secured.may("--add", &["--operation", "All", "--topic", &topic, "--group", &group], "leaver").await;
    let kafka = secured.as_user("leaver", &topic);
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    let mut source = soon(kafka.source(&group).open()).await.unwrap();
    send(&mut sink, "app", "one").await;
    assert_eq!(texts(&mut source, 1).await, ["one"]);
    soon(source.commit()).await.unwrap();
    secured.may("--remove", &["--operation", "All", "--topic", &topic, "--group", &group], "leaver").await;
    // Removed is not yet known everywhere.
    let refused = soon(async {
        loop {
            match sink.send(&event("app", "two")).await {
                Ok(()) => {}
                Err(error) if error.is_transient() => {}
                Err(error) => return error,
            }
        }
    });
    let error = refused.await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    says(&error, &[&format!("`Write` on the topic `{topic}`")]);
    let error = soon(source.commit()).await.unwrap_err();
    assert_eq!((error.is_transient(), error.cause()), (true, Some(ErrorKind::Denied)), "{error}");
    assert!(error.to_string().contains(&topic) || error.to_string().contains(&group), "{error}");
    says(&error, &["`Read` on the"]);
}

/// A primary and a secondary of one application, which are both Ready.
struct Pair {
    primary: PrimaryBackupTracker,
    secondary: SecondaryBackupTracker,
}

impl Pair {
    async fn open(announcing: &Kafka, reading: &Kafka, group: &str) -> Self {
        let sink = soon(announcing.sink().open()).await.unwrap();
        let primary = PrimaryBackupTracker::builder("shop", sink).build().unwrap();
        let source = soon(reading.source(group).open()).await.unwrap();
        let secondary = SecondaryBackupTracker::builder("shop", source).build().unwrap();
        soon(primary.startup_complete()).await.unwrap();
        in_state(&secondary, Ready).await;
        soon(secondary.synced()).await.unwrap();
        assert!(secondary.gate().is_open());
        Self { primary, secondary }
    }

    /// The secondary is in trouble, because it is refused, and everybody can see why. State and gate stay as they are.
    async fn secondary_is_denied(&self) -> Error {
        let before = (self.secondary.state(), self.secondary.gate().is_open());
        let is_denied =
            |health: &Health| health.error().is_some_and(|error| error.cause() == Some(ErrorKind::Denied));
        let health = soon(self.secondary.health_is(is_denied)).await;
        let error = health.error().unwrap().clone();
        eprintln!("{error}");
        assert!(error.is_transient(), "{error}");
        assert_eq!((self.secondary.state(), self.secondary.gate().is_open()), before);
        error
    }

    /// The secondary follows again, by itself.
    async fn secondary_follows(&self) {
        let step = async {
            match self.primary.state() {
                BackingUp => self.primary.finish_backup().await,
                _ => self.primary.start_backup().await,
            }
        };
        soon(step).await.unwrap();
        in_state(&self.secondary, self.primary.state()).await;
        soon(self.secondary.health_is(Health::is_healthy)).await;
    }

    /// The primary's next step is denied, and not taken. What was taken away is not yet known everywhere, so that a few may come
    /// before.
    async fn primary_is_denied(&self) -> Error {
        let announcing = async {
            loop {
                let before = self.primary.state();
                let step = match before {
                    BackingUp => self.primary.finish_backup().await,
                    _ => self.primary.start_backup().await,
                };
                if let Err(error) = step {
                    assert_eq!(self.primary.state(), before);
                    return error;
                }
            }
        };
        let error = tokio::time::timeout(DENIED, announcing).await.unwrap();
        eprintln!("{error}");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        error
    }
}

async fn in_state(secondary: &SecondaryBackupTracker, state: BackupState) {
    soon(secondary.watch().wait_for(|now| *now == state)).await.unwrap();
}

async fn a_secondary_that_may_not_read_any_more_is_in_trouble_until_it_may(shared: Arc<Shared>) {
    let (topic, group, secured) = (name(), name(), shared.secured());
    secured.create(&topic).await;
    let read = ["--operation", "Read", "--topic", &topic];
    secured.may("--add", &read, "leaver").await;
    secured.may("--add", &["--operation", "Read", "--group", &group], "leaver").await;
    let pair = Pair::open(&secured.as_user("root", &topic), &secured.as_user("leaver", &topic), &group).await;
    secured.may("--remove", &read, "leaver").await;
    says(&pair.secondary_is_denied().await, &[&format!("`Read` on the topic `{topic}`")]);
    secured.may("--add", &read, "leaver").await;
    pair.secondary_follows().await;
}

async fn a_secondary_that_may_not_keep_its_position_any_more_is_in_trouble_until_it_may(shared: Arc<Shared>) {
    let (topic, group, secured) = (name(), name(), shared.secured());
    secured.create(&topic).await;
    let keep = ["--operation", "Read", "--group", &group];
    secured.may("--add", &["--operation", "Read", "--topic", &topic], "leaver").await;
    secured.may("--add", &keep, "leaver").await;
    let pair = Pair::open(&secured.as_user("root", &topic), &secured.as_user("leaver", &topic), &group).await;
    secured.may("--remove", &keep, "leaver").await;
    soon(pair.primary.start_backup()).await.unwrap();
    in_state(&pair.secondary, BackingUp).await;
    // The position is due at Ready.
    soon(pair.primary.finish_backup()).await.unwrap();
    says(&pair.secondary_is_denied().await, &[&format!("`Read` on the group `{group}`")]);
    secured.may("--add", &keep, "leaver").await;
    in_state(&pair.secondary, Ready).await;
    pair.secondary_follows().await;
}

async fn a_primary_that_may_not_write_any_more_is_denied_and_stays_in_its_state(shared: Arc<Shared>) {
    let (topic, secured) = (name(), shared.secured());
    secured.create(&topic).await;
    let write = ["--operation", "Write", "--topic", &topic];
    secured.may("--add", &write, "leaver").await;
    let pair =
        Pair::open(&secured.as_user("leaver", &topic), &secured.as_user("root", &topic), &name()).await;
    secured.may("--remove", &write, "leaver").await;
    says(&pair.primary_is_denied().await, &[&format!("`Write` on the topic `{topic}`")]);
    // Nobody was told of it.
    in_state(&pair.secondary, pair.primary.state()).await;
}

/// A connection outlives its password until it has to prove it again, which this listener asks for with this mechanism alone.
async fn a_password_that_is_withdrawn_is_trouble_until_there_is_a_new_one(shared: Arc<Shared>) {
    let (topic, group, secured) = (name(), name(), shared.secured());
    secured.create(&topic).await;
    secured.may("--add", &["--operation", "All", "--topic", &topic, "--group", &group], "dismissed").await;
    let through = secured.through(SASL, &topic);
    let file = secured.file("password of the dismissed");
    std::fs::write(&file, password("dismissed")).unwrap();
    let kafka = with_password(through, "SCRAM-SHA-512", "dismissed", "")
        .secret_property("sasl.password", Secret::file(&file));
    let pair = Pair::open(&kafka, &kafka, &group).await;
    secured.withdraw("SCRAM-SHA-512", "dismissed").await;
    says(&pair.secondary_is_denied().await, &["`sasl.password`"]);
    says(&pair.primary_is_denied().await, &["`sasl.password`"]);
    secured.set_password("SCRAM-SHA-512", "dismissed", "a-new-secret").await;
    // Nobody is started again (K7).
    std::fs::write(&file, "a-new-secret").unwrap();
    soon(async { while pair.primary.startup_complete().await.is_err() {} }).await;
    in_state(&pair.secondary, Ready).await;
    pair.secondary_follows().await;
}
