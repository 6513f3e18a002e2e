//! On NATS: a stream for the events, and a bucket for the positions, which is a stream, too.

use std::fmt;

use backup_tracker::Result;
use backup_tracker_nats::async_nats::jetstream::context::DeleteStreamErrorKind;
use backup_tracker_nats::async_nats::jetstream::{self, ErrorCode};
use backup_tracker_nats::async_nats::{ConnectOptions, ServerAddr};
use backup_tracker_nats::{CreateStream, Nats, NatsSink, NatsSource};
use percent_encoding::percent_decode_str;

use super::super::broker::PATIENCE;
use super::super::trouble::Trouble;
use super::{FIRST_GROUP, Left, REMOVAL_LIMIT, finds_nothing, fresh_name, limited};

#[derive(Clone)]
pub(in super::super) struct NatsLog {
    nats: Nats,
    name: String,
    bucket: String,
    /// Without user and password.
    servers: Vec<ServerAddr>,
    options: ConnectOptions,
}

impl NatsLog {
    /// A log on the servers at this address, or several separated by commas; `None` when that is no address.
    pub(in super::super) fn at(url: &str) -> Option<Self> {
        let mut servers = Vec::new();
        let mut options = ConnectOptions::new().name("backup-tracker demo");
        let mut signs_in = false;
        for address in url.split(',') {
            let mut address = address.trim().parse::<ServerAddr>().ok()?.into_inner();
            address.host_str().filter(|host| !host.is_empty())?;
            let user = decoded(address.username());
            if !(user.is_empty() || signs_in) {
                signs_in = true;
                options = match address.password() {
                    Some(password) => options.user_and_password(user, decoded(password)),
                    None => options.token(user),
                };
            }
            // The client's own logs show addresses.
            address.set_username("").ok()?;
            address.set_password(None).ok()?;
            servers.push(ServerAddr::from_url(address).ok()?);
        }
        let (name, addresses) =
            (fresh_name(), servers.iter().map(ServerAddr::as_url_str).collect::<Vec<_>>());
        let bucket = format!("{name}_positions");
        let nats = Nats::new(addresses.join(","), &*name)
            .connect_options(options.clone())
            .stream(&*name)
            .positions_bucket(&*bucket)
            .open_timeout(PATIENCE);
        Some(Self { nats, name, bucket, servers, options })
    }

    pub(in super::super) fn describe(&self) -> String {
        format!("stream `{}` of the NATS server at {}", self.name, self.shown())
    }

    fn shown(&self) -> String {
        let shown = |server: &ServerAddr| format!("{}:{}", server.host(), server.port());
        self.servers.iter().map(shown).collect::<Vec<_>>().join(",")
    }

    pub(in super::super) async fn check(&self) -> std::result::Result<(), Trouble> {
        finds_nothing(self.source(FIRST_GROUP).await, self.describe())?;
        let removed = limited(self.remove()).await;
        removed.map_err(|why| Trouble::MayNotRemove { server: self.shown(), why })
    }

    pub(in super::super) async fn create(&self) -> std::result::Result<(), Trouble> {
        let nats = self.nats.clone().create_stream(CreateStream::new(1));
        drop(nats.source(FIRST_GROUP).open().await?);
        Ok(())
    }

    pub(in super::super) async fn sink(&self) -> Result<NatsSink> {
        self.nats.sink().send_timeout(PATIENCE).open().await
    }

    pub(in super::super) async fn source(&self, group: &str) -> Result<NatsSource> {
        self.nats.source(group).request_timeout(PATIENCE).open().await
    }

    /// Removes stream and bucket, where they are.
    pub(in super::super) async fn remove(&self) -> std::result::Result<(), String> {
        let options = self.options.clone().connection_timeout(REMOVAL_LIMIT);
        // The client's futures are large.
        let client = Box::pin(options.connect(&self.servers)).await.map_err(|error| error.to_string())?;
        let context = jetstream::context::ContextBuilder::new().timeout(REMOVAL_LIMIT / 2).build(client);
        for stream in [&self.name, &format!("KV_{}", self.bucket)] {
            match context.delete_stream(stream).await {
                Ok(_) => {}
                Err(error) if is_not_found(error.kind()) => {}
                Err(error) => {
                    return Err(format!("`$JS.API.STREAM.DELETE.{stream}` was not answered well: {error}"));
                }
            }
        }
        Ok(())
    }

    pub(in super::super) fn left(&self, why: String) -> Left {
        let Self { name, bucket, .. } = self;
        let mend = format!("nats stream rm --force {name}; nats kv del --force {bucket}");
        Left { what: self.describe(), why, mend }
    }
}

fn is_not_found(kind: DeleteStreamErrorKind) -> bool {
    matches!(kind, DeleteStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// The text that is percent-encoded in an address.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl fmt::Debug for NatsLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsLog").field("nats", &self.nats).finish_non_exhaustive()
    }
}
