//! A sink whose default format is the one that the user chose.

use backup_tracker::{BoxSink, Event, Result, Sink, WireFormat};

#[derive(Debug)]
pub(crate) struct Formatted {
    sink: BoxSink,
    format: WireFormat,
}

impl Formatted {
    pub(crate) const fn new(sink: BoxSink, format: WireFormat) -> Self {
        Self { sink, format }
    }
}

impl Sink for Formatted {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.sink.send(event).await
    }

    fn wire_format(&self) -> WireFormat {
        self.format
    }

    async fn close(self) -> Result<()> {
        self.sink.close().await
    }
}
