//! Where the lanes of the suite get their brokers from.

use std::future::Future;
use std::io;

use backup_tracker::Result;
use backup_tracker_conformance::{Ability, Isolation};

/// One broker or several, ours or not.
pub(crate) trait Brokers: Send + Sync + 'static {
    /// What a lane holds as long as it lives.
    type Lent: Lent;

    /// The name in the report.
    fn name(&self) -> &str;

    /// How many brokers keep a topic.
    fn replicas(&self) -> u16;

    /// How many cases they stand at once.
    fn at_once(&self) -> usize;

    /// What is not done to them, and why.
    fn spared(&self) -> &[(Ability, &str)];

    /// Brokers that are up, and nobody else's where the lane may kill them.
    fn lend(&self, isolation: Isolation) -> impl Future<Output = Result<Self::Lent>> + Send;
}

/// The brokers of a lane.
pub(crate) trait Lent: Send + Sync + 'static {
    /// The bootstrap servers of all.
    fn servers(&self) -> String;

    /// The port of the one that leads the partition of the application `shop`.
    fn leader(&self, topic: &str) -> impl Future<Output = Result<u16>> + Send;

    /// Kills so many that nothing is confirmed any more.
    fn kill(&self) -> io::Result<()>;

    /// Asks all of them to end. Done when they have.
    fn stop(&self) -> impl Future<Output = Result<()>> + Send;

    /// Stops the one that leads the partition of the application `shop`, and starts it again.
    fn restart_one(&self, topic: &str) -> impl Future<Output = Result<()>> + Send;

    /// Stops each and starts it again before the next.
    fn roll(&self) -> impl Future<Output = Result<()>> + Send;

    /// Starts whoever is down.
    fn restart(&self) -> impl Future<Output = Result<()>> + Send;
}
