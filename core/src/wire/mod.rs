//! The formats of a transition on the wire.

/// How a transition is written. Every reader understands all of them and tells them apart by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WireFormat {
    /// The JSON of the Java module `backup-tracker`.
    BackupJson,
    /// The JSON of the released Java module `action-tracker`.
    ActionJson,
    /// A CBOR map with deterministic encoding.
    Cbor,
}
