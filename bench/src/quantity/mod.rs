//! What is measured, one file each.

pub(crate) mod announcement;
pub(crate) mod catching_up;
pub(crate) mod parts;
pub(crate) mod start;
