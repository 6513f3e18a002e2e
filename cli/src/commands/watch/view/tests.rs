use backup_tracker::{BoxSource, Error, ErrorKind, EventSource, Record, Remaining, Result};

use super::*;

/// Nothing ever comes, and nobody knows how much there is; or it is denied.
struct Silent {
    denied: bool,
}

impl EventSource for Silent {
    async fn next(&mut self) -> Result<Option<Record>> {
        std::future::pending().await
    }

    async fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    fn resumed(&self) -> bool {
        true
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        if self.denied {
            return Err(Error::new(ErrorKind::Denied, "look", "ask for permission"));
        }
        std::future::pending().await
    }
}

fn view(denied: bool) -> View {
    let view = View::new("shop", Arc::new(Feed::new()), None);
    let source = BoxSource::new(Silent { denied });
    view.tracker.set(SecondaryBackupTracker::builder("shop", source).build().unwrap()).unwrap();
    view
}

#[tokio::test]
async fn before_the_log_is_read_to_its_end_it_is_unready_whatever_the_state() {
    let view = view(false);
    assert_eq!(view.unready().unwrap().0, "not_synced");
    assert_eq!(view.failure(), None);
    let state = view.state();
    assert_eq!(
        (&state["state"], &state["synced"], &state["ready"]),
        (&json!("READY"), &json!(false), &json!(false))
    );
    assert_eq!(state["unready_because"], "not_synced");
    // Nothing was announced in this session that the state could rest on.
    assert_eq!(state["since"], Value::Null);
}

#[tokio::test]
async fn a_failure_for_good_is_the_reason_before_all_others() {
    let view = view(true);
    view.set_closing();
    let tracker = view.tracker.get().unwrap();
    tracker.health_is(|health| matches!(health, Health::Failed { .. })).await;
    assert_eq!(view.unready().unwrap().0, "failed");
    assert!(view.failure().unwrap().contains("denied"));
    assert_eq!(view.state()["health"]["status"], "failed");
}

#[tokio::test]
async fn before_the_source_is_open_the_obstacle_is_told() {
    let view = View::new("shop", Arc::new(Feed::new()), None);
    assert_eq!(view.unready().unwrap().0, "connecting");
    view.set_obstacle("no route".to_owned());
    assert_eq!(view.unready().unwrap(), ("connecting", "no route".to_owned()));
    assert_eq!(view.state()["health"], json!({ "status": "connecting", "error": "no route" }));
    view.set_closing();
    assert_eq!(view.unready().unwrap().0, "closing");
}
