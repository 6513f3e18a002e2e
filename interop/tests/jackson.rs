//! What Java's Jackson makes of our vectors and of what we write.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test program without the standard harness is not seen as a test"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backup_tracker::wire::{Decoded, decode, encode};
use backup_tracker::{BackupState, BackupTransition, Position, Record, WireFormat};
use backup_tracker_interop::Jackson;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

const TRANSITIONS: usize = 1000;

type Test = fn(&Jackson) -> Result<(), Failed>;

const TESTS: [(&str, Test); 4] = [
    ("jackson_does_with_every_vector_what_the_vector_says", vectors),
    ("jackson_reads_the_backup_json_that_we_write_and_writes_the_same", |jackson| same(jackson, BACKUP)),
    ("jackson_reads_the_action_json_that_we_write_and_writes_the_same", |jackson| same(jackson, ACTION)),
    ("jackson_reads_our_cbor_and_we_read_its_cbor", cbor),
];

const BACKUP: (&str, WireFormat) = ("backup-json", WireFormat::BackupJson);
const ACTION: (&str, WireFormat) = ("action-json", WireFormat::ActionJson);
const CBOR: (&str, WireFormat) = ("cbor", WireFormat::Cbor);

fn main() -> ExitCode {
    let found = Jackson::find();
    let trials = TESTS.into_iter().map(|(name, test)| {
        let found = found.clone();
        Trial::ignorable_test(name, move || match found {
            Ok(jackson) => test(&jackson).map(|()| Completion::Completed),
            Err(missing) => Ok(Completion::ignored_with(missing)),
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn vectors(jackson: &Jackson) -> Result<(), Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/wire-vectors");
    let files: Vec<PathBuf> = folder
        .read_dir()?
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    check(files.len() == 4, || format!("{files:?}"))?;
    let output = jackson.vectors(&files)?;
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    check(output.status.success(), || format!("{printed}{errors}"))
}

fn same(jackson: &Jackson, format: (&'static str, WireFormat)) -> Result<(), Failed> {
    for Mirrored { sent, written, answer } in mirrored(jackson, format)? {
        check(written == answer, || {
            let (ours, theirs) = (String::from_utf8_lossy(&written), String::from_utf8_lossy(&answer));
            format!("{sent:?}\nours:   {ours}\ntheirs: {theirs}")
        })?;
    }
    Ok(())
}

/// Jackson writes maps of indefinite length, so that only the meaning can be the same.
fn cbor(jackson: &Jackson) -> Result<(), Failed> {
    for Mirrored { sent, answer, .. } in mirrored(jackson, CBOR)? {
        let read = decode(&Record::new(Position::Offset(0)).payload(Some(answer.into())))?;
        check(read == Decoded::Transition(sent.clone()), || format!("{read:?} and not {sent:?}"))?;
    }
    Ok(())
}

struct Mirrored {
    sent: BackupTransition,
    /// By us.
    written: Vec<u8>,
    /// What Jackson writes when it has read that.
    answer: Vec<u8>,
}

fn mirrored(jackson: &Jackson, (name, format): (&'static str, WireFormat)) -> Result<Vec<Mirrored>, Failed> {
    let transitions = transitions();
    let write = |sent: &BackupTransition| (name, encode(sent, format).payload.to_vec());
    let values: Vec<_> = transitions.iter().map(write).collect();
    let answers = jackson.mirror(&values)?;
    let mut mirrored = Vec::new();
    for ((sent, (_, written)), answer) in transitions.into_iter().zip(values).zip(answers) {
        let answer = answer.map_err(|refusal| format!("Jackson refuses {sent:?}: {refusal}"))?;
        mirrored.push(Mirrored { sent, written, answer });
    }
    Ok(mirrored)
}

/// Legal ones, the same in every run: any state, id and time, and names of any characters, some longer than the buffers of a
/// reader or writer.
fn transitions() -> Vec<BackupTransition> {
    let mut runner = TestRunner::deterministic();
    let states = prop::sample::select(BackupState::ALL.to_vec());
    let name = prop_oneof![17 => "(?s).{0,40}[^\\s]", 2 => "[ -~]{1,20}x", 1 => "(?s).{2000,9000}x"];
    let time =
        prop_oneof![0..=BackupTransition::MAX_TIMESTAMP_MILLIS, 1_600_000_000_000..1_900_000_000_000_u64];
    let any = (any::<u128>(), name, time, states.clone(), states)
        .prop_filter("legal", |(_, _, _, from, to)| from.can_become(*to))
        .prop_map(|(id, application, time, from, to)| {
            BackupTransition::new(Uuid::from_u128(id), application, time, from, to)
        });
    (0..TRANSITIONS).map(|_| any.new_tree(&mut runner).unwrap().current()).collect()
}

fn check(sound: bool, complaint: impl FnOnce() -> String) -> Result<(), Failed> {
    if sound { Ok(()) } else { Err(complaint().into()) }
}
