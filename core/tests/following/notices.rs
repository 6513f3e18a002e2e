//! What listeners hear besides steps, and in which span.

use backup_tracker::{BackupState, BackupTracker, Notice};
use tokio::sync::mpsc;

use crate::support::{World, reaches, within};
use BackupState::{Ready, Starting};

#[tokio::test]
async fn the_beginning_with_its_state_a_loss_and_the_end_come_in_order_with_the_steps() {
    let world = World::new();
    world.primary.startup_complete().await.unwrap();
    for resumed in [false, true] {
        let (tell, mut told) = mpsc::unbounded_channel();
        let also = tell.clone();
        let secondary = world
            .builder()
            .on_notice(move |notice, _| {
                tell.send(match notice {
                    Notice::Begun { state, resumed } => format!("begun {state} {resumed}"),
                    Notice::Lost { .. } => "lost".to_owned(),
                    Notice::Closed => "closed".to_owned(),
                    other => format!("{other}"),
                })
            })
            .on_change(move |change, _| also.send(change.transition.to.to_string()))
            .build()
            .unwrap();
        let state = if resumed { Ready } else { Starting };
        assert_eq!(within(told.recv()).await, Some(format!("begun {state} {resumed}")));
        if !resumed {
            assert_eq!(within(told.recv()).await.as_deref(), Some("READY"));
        }
        within(secondary.synced()).await.unwrap();
        if resumed {
            world.log.recreate();
            assert_eq!(within(told.recv()).await.as_deref(), Some("lost"));
            world.primary.startup_complete().await.unwrap();
            assert_eq!(within(told.recv()).await.as_deref(), Some("READY"));
        }
        within(secondary.close()).await.unwrap();
        assert_eq!(within(told.recv()).await.as_deref(), Some("closed"));
        drop(secondary);
        assert_eq!(within(told.recv()).await, None);
    }
}

#[tokio::test]
async fn a_failure_is_told_and_the_watch_ends_with_the_following() {
    let world = World::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let secondary =
        world.builder().on_notice(move |notice, _| tell.send(notice.to_string())).build().unwrap();
    let mut states = secondary.watch();
    world.primary.startup_complete().await.unwrap();
    reaches(&secondary, Ready).await;
    world.log.end();
    let ended = async { while states.changed().await.is_ok() {} };
    within(ended).await;
    assert_eq!(*states.borrow(), Ready, "the last one");
    assert!(within(secondary.watch().changed()).await.is_err());
    assert!(within(told.recv()).await.unwrap().contains("begins in STARTING"));
    assert!(within(told.recv()).await.unwrap().contains("the log has ended for good"));
}
