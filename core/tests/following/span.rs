//! What listeners log belongs to the tracker's span, also on threads for blocking work.

use backup_tracker::BackupTracker;
use tokio::sync::mpsc;
use tracing::{Metadata, info_span};

use crate::support::{World, within};

fn current() -> Option<&'static str> {
    tracing::Span::current().metadata().map(Metadata::name)
}

#[tokio::test]
async fn every_kind_of_listener_runs_inside_the_trackers_span() {
    // For threads for blocking work it must be everybody's. The other tests of this program do not look.
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    let world = World::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let (of_async, of_notice) = (tell.clone(), tell.clone());
    let _secondary = info_span!("service").in_scope(|| {
        world
            .builder()
            .on_change(move |_, _| tell.send(current()))
            .on_change_async(move |_, _| {
                let sent = of_async.send(current());
                async move { sent }
            })
            .on_notice(move |_, _| of_notice.send(current()))
            .build()
            .unwrap()
    });
    world.primary.startup_complete().await.unwrap();
    for _ in 0..3 {
        assert_eq!(within(told.recv()).await, Some(Some("secondary")));
    }
}
