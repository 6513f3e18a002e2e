//! What stands at a place of the log, so that another log is not taken for the same one (S12).

use rdkafka::Message;

/// How much of a payload counts. With key, time stamp and length it is enough: an event's key is its own id.
const BEGINNING: usize = 32;

/// A record that was read: where it stands, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) offset: i64,
    print: u64,
}

impl Seen {
    pub(crate) fn of(message: &impl Message) -> Self {
        let time = message.timestamp().to_millis().unwrap_or_default();
        let payload = message.payload();
        let length = payload.map_or(u64::MAX, |payload| payload.len() as u64);
        let mut print = Print::new();
        print.word(time.cast_unsigned());
        print.word(length);
        print.bytes(message.key().unwrap_or_default());
        print.bytes(payload.map_or(&[], |payload| &payload[..payload.len().min(BEGINNING)]));
        Self { offset: message.offset(), print: print.0 }
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let (offset, print) = text.split_once(':')?;
        let offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
        let print = u64::from_str_radix(print, 16).ok().filter(|_| print.len() == 16)?;
        Some(Self { offset, print })
    }

    pub(crate) fn write(self) -> String {
        let Self { offset, print } = self;
        format!("{offset}:{print:016x}")
    }
}

/// FNV-1a's steps, each with eight bytes, because it is taken of every record. The result is stored: it must not change.
struct Print(u64);

impl Print {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    const fn word(&mut self, word: u64) {
        // The high bits reach the low ones, which multiplication alone keeps apart from them.
        let mixed = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::Seen;

    fn message(key: &str, payload: Option<&str>, time: i64, offset: i64) -> OwnedMessage {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let time = Timestamp::CreateTime(time);
        OwnedMessage::new(payload.map(bytes), Some(bytes(key)), "backups".into(), time, 0, offset, None)
    }

    #[test]
    fn it_is_stored_and_stays_the_same_in_every_release() {
        let seen = Seen::of(&message("9f0c", Some("{}"), 1_752_228_000_000, 42));
        assert_eq!(seen.write(), "42:9174e8a2e27de833");
        assert_eq!(Seen::read(&seen.write()), Some(seen));
        for other in
            ["", "42", "42:", "42:9", "-1:0000000000000000", "x:0000000000000000", "42:000000000000000g"]
        {
            assert_eq!(Seen::read(other), None, "{other}");
        }
    }

    #[test]
    fn whatever_differs_makes_another_one() {
        let all = [
            message("9f0c", Some("{}"), 1, 42),
            message("9f0d", Some("{}"), 1, 42),
            message("9f0c", Some("[]"), 1, 42),
            message("9f0c", Some("{}\0"), 1, 42),
            message("9f0c", Some(""), 1, 42),
            message("9f0c", None, 1, 42),
            message("9f0c", Some("{}"), 2, 42),
            message("9f0c", Some("{}"), 1, 43),
            message("9f0c{}", Some(""), 1, 42),
        ];
        let seen = all.each_ref().map(Seen::of);
        for (number, one) in seen.iter().enumerate() {
            assert!(!seen[..number].contains(one), "{number}");
        }
    }
}
