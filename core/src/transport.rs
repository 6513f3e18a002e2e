//! What authors of transports need again and again.
//!
//! ```
//! use std::time::Duration;
//!
//! use backup_tracker::transport::{not_blank, not_zero};
//!
//! not_blank("topic", "backups")?;
//! let error = not_zero("open timeout", Duration::ZERO).unwrap_err();
//! assert_eq!(error.to_string(), "configure: wrong setting: open timeout: it is less than a millisecond");
//! # backup_tracker::Result::<()>::Ok(())
//! ```
//!
//! A sink or a source keeps a [`Place`], and makes its errors with it:
//!
//! ```
//! use backup_tracker::ErrorKind;
//! use backup_tracker::transport::Place;
//!
//! let place = Place::new("backups").with_group("search");
//! let error = place.error(ErrorKind::Unavailable, "commit", "the broker did not answer within 10s");
//! assert_eq!(
//!     error.to_string(),
//!     "commit: unavailable: the broker did not answer within 10s (topic `backups`, group `search`)"
//! );
//!
//! let error = Place::new("backups").too_large(70_000, 65_536, "`max_payload` of the server");
//! assert_eq!(
//!     error.message(),
//!     "the event has 70000 bytes with its headers, and 65536 is the most (`max_payload` of the server)"
//! );
//! ```

use std::time::Duration;

use crate::error::{Delivery, Error, ErrorKind, Result};

/// Within which time a source reports that it is out of contact with its log (S13), unless a transport's builder sets another.
pub const DEFAULT_CONTACT_TIME: Duration = Duration::from_secs(10);

/// What a sink or a source is about, so that each of its errors names it.
///
/// What a client library's own errors mean is a transport's business; a private trait with methods for `Place` is a good
/// home for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The topic (stream, log).
    pub topic: String,
    /// The group; `None` for a sink, and for a source without one.
    pub group: Option<String>,
}

impl Place {
    /// A topic, without a group.
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), group: None }
    }

    /// The place with this group.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// An error that names topic and group.
    pub fn error(&self, kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Error {
        let error = Error::new(kind, operation, message).with_topic(&*self.topic);
        match &self.group {
            Some(group) => error.with_group(&**group),
            None => error,
        }
    }

    /// A group that another application has claimed (S16): [`Config`](ErrorKind::Config), naming both. `remedy` says how the group
    /// is made a new one, where something can be typed for that.
    ///
    /// ```
    /// use backup_tracker::transport::Place;
    ///
    /// let place = Place::new("backups").with_group("search");
    /// let error = place.claimed_by("claim", "maps", "shop", Some("`forget search`"));
    /// assert_eq!(
    ///     error.message(),
    ///     "group `search` belongs to application `maps`, not to `shop`; choose another group for this service, or, once no service \
    ///      of `maps` uses it, make the group a new one: `forget search`"
    /// );
    /// ```
    pub fn claimed_by(
        &self,
        operation: &'static str,
        owner: &str,
        application: &str,
        remedy: Option<&str>,
    ) -> Error {
        let group = self.group.as_deref().unwrap_or_default();
        let mut message = format!(
            "group `{group}` belongs to application `{owner}`, not to `{application}`; choose another group for this service"
        );
        if let Some(remedy) = remedy {
            message.push_str(&format!(
                ", or, once no service of `{owner}` uses it, make the group a new one: {remedy}"
            ));
        }
        self.error(ErrorKind::Config, operation, message)
    }

    /// An event that is refused before anything is sent: [`Rejected`](ErrorKind::Rejected) and
    /// [`NotSent`](Delivery::NotSent).
    pub fn rejected(&self, message: impl Into<String>) -> Error {
        self.error(ErrorKind::Rejected, "send", message).with_delivery(Delivery::NotSent)
    }

    /// As [`rejected`](Self::rejected), for an event that is too large (K4): both in bytes, and whose limit it is, so that
    /// the message says what could be raised. Where [`Event::size`](crate::Event::size) is what counts,
    /// [`Event::check_size`](crate::Event::check_size) does it in one step.
    pub fn too_large(&self, size: usize, limit: usize, whose: &str) -> Error {
        self.rejected(format!(
            "the event has {size} bytes with its headers, and {limit} is the most ({whose})"
        ))
    }
}

/// Refuses a setting that is empty or all white space.
///
/// # Errors
///
/// [`Config`](crate::ErrorKind::Config), naming the setting.
pub fn not_blank(setting: &str, value: &str) -> Result<()> {
    if value.trim().is_empty() {
        return Err(Error::config(setting, "it is blank"));
    }
    Ok(())
}

/// Refuses a time limit that no broker could keep.
///
/// # Errors
///
/// [`Config`](crate::ErrorKind::Config), naming the setting, when it is less than a millisecond.
pub fn not_zero(setting: &str, value: Duration) -> Result<()> {
    if value < Duration::from_millis(1) {
        return Err(Error::config(setting, "it is less than a millisecond"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_topic_and_the_group_where_there_is_one() {
        let error = |place: Place| place.error(ErrorKind::Denied, "open the source", "no");
        let (topic, group) =
            (error(Place::new("backups")), error(Place::new("backups").with_group("search")));
        assert_eq!((topic.topic(), topic.group()), (Some("backups"), None));
        assert_eq!((group.topic(), group.group()), (Some("backups"), Some("search")));
        assert_eq!(group.kind(), ErrorKind::Denied);
    }

    #[test]
    fn what_is_refused_is_certainly_not_sent() {
        let error = Place::new("backups").too_large(11, 10, "`max_event_bytes`");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Rejected, Delivery::NotSent));
        assert!(error.message().contains("11") && error.message().contains("10"), "{error}");
        // What is not known stays unknown.
        assert_eq!(
            Place::new("backups").error(ErrorKind::Unavailable, "send", "").delivery(),
            Delivery::Unknown
        );
    }
}
