//! Where a property comes from: what it is called in an error, and what wins over it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Properties by name.
pub(super) type Properties = BTreeMap<String, Property>;

#[derive(Clone)]
pub(super) struct Property {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// The later wins.
#[derive(Clone)]
pub(super) enum Origin {
    File { path: Arc<str>, line: usize },
    Option,
}

impl Origin {
    /// Whether a property of this origin stays as it is when the other is offered in its place.
    pub(super) const fn holds_against(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Option, _) | (Self::File { .. }, Self::File { .. }))
    }

    /// The option, and which part of it.
    pub(super) fn option<'a>(&'a self, property: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| match self {
            Self::File { path, line } => write!(f, "--kafka-properties {path}:{line}: {property}"),
            Self::Option => write!(f, "--kafka-property {property}"),
        })
    }
}
