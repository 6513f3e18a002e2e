//! librdkafka's debugging lines, which a user asks for by a property.

#![allow(clippy::unwrap_used, reason = "these are the tests' own steps")]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use support::{cluster, soon};
use tracing::subscriber;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn has(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.0.lock().unwrap()).contains(words)
    }
}

#[tokio::test]
async fn sources_and_sinks_debug_when_they_are_asked_to() {
    let lines = Lines::default();
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(lines.clone());
    // librdkafka's lines come on threads of its own.
    subscriber::set_global_default(all.finish()).unwrap();
    let cluster = cluster(1);
    let silent = soon(cluster.kafka().source("silent").open()).await.unwrap();
    assert!(!lines.has("METADATA"));
    drop(silent);
    let kafka = cluster.kafka().property("debug", "metadata");
    let source = soon(kafka.source("search").open()).await.unwrap();
    soon(async {
        while !lines.has("METADATA") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(source);
    lines.0.lock().unwrap().clear();
    let _sink = soon(kafka.sink().open()).await.unwrap();
    soon(async {
        while !lines.has("METADATA") {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
