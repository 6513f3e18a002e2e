//! What is noted beside a group's offset, in its metadata: whether it is only a start, whose position it is (S16), and which
//! record stands before it (S12).

use std::fmt;

use crate::seen::Seen;

/// Of an offset that only fixes a new group's start. Any other, also that of another program, is a commit.
const START: &str = "start";
/// Of an offset that a user committed.
const COMMITTED: &str = "committed";
/// What comes before the application, at the end: its name may hold anything.
const OF: &str = " application=";
/// What comes before the record, which follows the word at once. Earlier versions, which do not know it, read such a note as a
/// commit that nobody has claimed, and claim it.
const BEHIND: &str = " behind=";

/// The longest name that is noted whole, in bytes. A broker takes 4096 bytes of metadata unless `offset.metadata.max.bytes`
/// says otherwise, for each partition of a group; nobody needs so much.
const LONGEST: usize = 255;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) is_start: bool,
    /// `None` where nobody has claimed the position yet.
    pub(crate) owner: Option<Owner>,
    /// The last record before the offset. `None` for a start, and where it is not known.
    pub(crate) behind: Option<Seen>,
}

impl Mark {
    /// Of an offset that only fixes where a new group starts.
    pub(crate) const START: Self = Self { is_start: true, owner: None, behind: None };

    pub(crate) fn read(metadata: &str) -> Self {
        if let Some(owner) = metadata.strip_prefix(START).and_then(owner) {
            return Self { owner, ..Self::START };
        }
        let committed = metadata.strip_prefix(COMMITTED).and_then(|rest| {
            let (behind, rest) = match rest.strip_prefix(BEHIND) {
                Some(rest) => {
                    let (behind, _) = rest.split_once(' ').unwrap_or((rest, ""));
                    (Some(Seen::read(behind)?), &rest[behind.len()..])
                }
                None => (None, rest),
            };
            Some((behind, owner(rest)?))
        });
        let (behind, owner) = committed.unwrap_or_default();
        Self { is_start: false, owner, behind }
    }

    pub(crate) fn write(&self) -> String {
        let mut text = if self.is_start { START } else { COMMITTED }.to_owned();
        if let Some(behind) = self.behind.filter(|_| !self.is_start) {
            text = text + BEHIND + &behind.write();
        }
        if let Some(owner) = &self.owner {
            text = text + OF + &owner.0;
        }
        text
    }
}

/// What follows the words: an application or nothing, or something that we did not write.
fn owner(rest: &str) -> Option<Option<Owner>> {
    match rest.strip_prefix(OF) {
        Some(owner) => Some(Some(Owner(owner.to_owned()))),
        None => rest.is_empty().then_some(None),
    }
}

/// An application as it is noted: its name, or of a long one its beginning and a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner(String);

impl Owner {
    pub(crate) fn of(application: &str) -> Self {
        if application.len() <= LONGEST {
            return Self(application.to_owned());
        }
        // Longer than any name that is noted whole, so that it is taken for none.
        let beginning = &application[..application.floor_char_boundary(LONGEST)];
        Self(format!("{beginning}…{:016x}", fnv(application.as_bytes())))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// FNV-1a with 64 bits. It tells names apart that nobody chose in order to deceive, and is the same in every release.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Mark, Owner, Seen, fnv};

    #[test]
    fn what_is_written_is_read() {
        for is_start in [false, true] {
            for owner in [None, Some(Owner::of("shop")), Some(Owner::of("a committed application=b\n"))] {
                for behind in [None, Seen::read("41:00000000deadbeef")] {
                    let mark = Mark { is_start, owner: owner.clone(), behind: behind.filter(|_| !is_start) };
                    assert_eq!(Mark::read(&mark.write()), mark);
                }
            }
        }
        let behind = Seen::read("41:00000000deadbeef");
        let mark = Mark { is_start: false, owner: Some(Owner::of("shop")), behind };
        assert_eq!(mark.write(), "committed behind=41:00000000deadbeef application=shop");
    }

    #[test]
    fn an_offset_without_a_word_and_that_of_another_program_belong_to_nobody() {
        assert_eq!(Mark::read("start"), Mark::START);
        let nobodys = Mark { is_start: false, ..Mark::START };
        let foreign =
            ["committed", "", "startled", "committed by hand", "application=shop", "committed behind=x"];
        for metadata in foreign.into_iter().chain(["committed behind=41:00000000deadbeef by hand"]) {
            assert_eq!(Mark::read(metadata), nobodys, "{metadata}");
        }
    }

    #[test]
    fn long_names_are_cut_and_still_told_apart() {
        let long = "ä".repeat(2000);
        let names = [long.clone(), format!("{long}1"), format!("{long}2"), "ä".repeat(LONGEST / 2)];
        let owners = names.map(|name| Owner::of(&name));
        for (number, owner) in owners.iter().enumerate() {
            assert!(owner.to_string().len() < LONGEST + 20);
            assert!(owners[..number].iter().all(|other| other != owner), "{owner}");
        }
        // Nor is a name taken for a long one because it looks like one that was cut.
        assert_ne!(Owner::of(&owners[0].to_string()), owners[0]);
    }

    #[test]
    fn fnv_gives_the_known_values() {
        for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c)] {
            assert_eq!(fnv(text.as_bytes()), hash);
        }
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
