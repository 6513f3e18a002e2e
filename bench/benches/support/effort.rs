//! How much a run measures.

/// What the arguments ask for, by the rules that criterion follows too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// `cargo bench`: numbers that mean something.
    Full,
    /// `cargo test --benches`: everything once, to see that it runs. Its numbers mean nothing.
    Smallest,
    /// Somebody only wants to know what there is.
    None,
}

impl Effort {
    pub(crate) fn of_arguments() -> Self {
        let has = |flag: &str| std::env::args().any(|argument| argument == flag);
        if has("--list") || has("--help") {
            Self::None
        } else if has("--bench") && !has("--test") {
            Self::Full
        } else {
            Self::Smallest
        }
    }
}
