//! What listeners log belongs to the tracker's span, also on threads for blocking work.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use backup_tracker::BackupTracker;
use tokio::sync::mpsc;
use tracing::span::{Attributes, Current, Id, Record};
use tracing::{Event, Metadata, Subscriber, info_span};

use crate::support::{World, within};

/// Knows which span each thread is in, and nothing else.
struct Spans;

static KNOWN: Mutex<Vec<&'static Metadata<'static>>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(1);
thread_local!(static INSIDE: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) });

impl Subscriber for Spans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut known = KNOWN.lock().unwrap();
        known.push(span.metadata());
        assert_eq!(NEXT.fetch_add(1, Ordering::SeqCst), known.len() as u64);
        Id::from_u64(known.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(id.clone()));
    }

    fn exit(&self, _: &Id) {
        INSIDE.with_borrow_mut(|inside| drop(inside.pop()));
    }

    fn current_span(&self) -> Current {
        let id = INSIDE.with_borrow(|inside| inside.last().cloned());
        id.map_or(Current::none(), |id| {
            let metadata = KNOWN.lock().unwrap()[usize::try_from(id.into_u64()).unwrap() - 1];
            Current::new(id, metadata)
        })
    }
}

fn current() -> Option<&'static str> {
    tracing::Span::current().metadata().map(Metadata::name)
}

#[tokio::test]
async fn every_kind_of_listener_runs_inside_the_trackers_span() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| tracing::subscriber::set_global_default(Spans).unwrap());
    let world = World::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let (of_async, of_notice) = (tell.clone(), tell.clone());
    let outer = info_span!("service");
    let _secondary = outer.in_scope(|| {
        world
            .builder()
            .on_change(move |_, _| tell.send(current()))
            .on_change_async(move |_, _| {
                let sent = of_async.send(current());
                async { sent }
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
