//! Writing and reading a step, in each format, against the format's own library on a struct of the same fields.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use backup_tracker::wire::{decode, encode};
use backup_tracker::{BackupState, BackupTransition, Position, Record, WireFormat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::direct::{Action, ActionState, Backup};
use crate::support::{Contender, Duel, Effort};

const ID: Uuid = Uuid::from_u128(0x3f2b_8a5e_7c1d_4e6f_9a0b_1c2d_3e4f_5a6b);
const APPLICATION: &str = "your-app-id";
const TIMESTAMP: u64 = 1_752_230_923_000;

/// A step, and what it is in one format.
pub(crate) struct Case {
    pub(crate) format: WireFormat,
    step: BackupTransition,
    record: Record,
}

impl Case {
    pub(crate) fn all() -> [Self; 3] {
        WireFormat::ALL.map(|format| {
            let (from, to) = (BackupState::Ready, BackupState::BackingUp);
            let step = BackupTransition::new(ID, APPLICATION, TIMESTAMP, from, to);
            let event = encode(&step, format);
            let record =
                Record::new(Position::Offset(0)).key(event.key).headers(event.headers).payload(event.payload);
            Self { format, step, record }
        })
    }

    pub(crate) fn encode(&self) {
        black_box(encode(black_box(&self.step), self.format));
    }

    pub(crate) fn decode(&self) {
        black_box(decode(black_box(&self.record)).unwrap());
    }

    pub(crate) fn encode_directly(&self) -> Box<dyn Fn()> {
        match self.format {
            WireFormat::ActionJson => {
                let value = action();
                Box::new(move || drop(black_box(to_json(black_box(&value)))))
            }
            WireFormat::BackupJson => {
                let value = backup();
                Box::new(move || drop(black_box(to_json(black_box(&value)))))
            }
            _ => {
                let value = backup();
                Box::new(move || drop(black_box(to_cbor(black_box(&value)))))
            }
        }
    }

    pub(crate) fn decode_directly(&self) -> Box<dyn Fn() + '_> {
        let payload = self.record.payload.as_deref().unwrap();
        match self.format {
            WireFormat::ActionJson => Box::new(|| drop(black_box(of_json::<Action>(black_box(payload))))),
            WireFormat::BackupJson => Box::new(|| drop(black_box(of_json::<Backup>(black_box(payload))))),
            _ => Box::new(|| drop(black_box(of_cbor::<Backup>(black_box(payload))))),
        }
    }

    /// The library that is used directly.
    pub(crate) const fn library(&self) -> &'static str {
        match self.format {
            WireFormat::BackupJson | WireFormat::ActionJson => "serde_json",
            _ => "ciborium",
        }
    }
}

pub(crate) fn ratios(effort: Effort) -> io::Result<()> {
    for case in Case::all() {
        assert_the_same(&case);
        let encode = Contender::new("encode", timed(|| case.encode()));
        let directly = Contender::new(case.library(), timed(case.encode_directly()));
        Duel::new(format!("write, {:?}", case.format), encode).against(directly).settle(effort)?;
        let decode = Contender::new("decode", timed(|| case.decode()));
        let directly = Contender::new(case.library(), timed(case.decode_directly()));
        Duel::new(format!("read, {:?}", case.format), decode).against(directly).settle(effort)?;
    }
    Ok(())
}

/// Both ways must write the same bytes, or they would not be compared.
fn assert_the_same(case: &Case) {
    let directly = match case.format {
        WireFormat::ActionJson => to_json(&action()),
        WireFormat::BackupJson => to_json(&backup()),
        _ => to_cbor(&backup()),
    };
    assert_eq!(case.record.payload.as_deref(), Some(&directly[..]), "{:?}", case.format);
}

pub(crate) fn timed(work: impl Fn()) -> impl FnMut(u64) -> Duration {
    move |times| {
        let begun = Instant::now();
        for _ in 0..times {
            work();
        }
        begun.elapsed()
    }
}

fn backup() -> Backup {
    let (from, to) = (BackupState::Ready, BackupState::BackingUp);
    Backup { id: ID, application: APPLICATION.to_owned(), timestamp: TIMESTAMP, from, to }
}

fn action() -> Action {
    Action {
        id: ID,
        application: APPLICATION.to_owned(),
        action: Some("backup".to_owned()),
        timestamp: TIMESTAMP,
        from: ActionState::Ready,
        to: ActionState::Processing,
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn to_cbor(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn of_json<T: DeserializeOwned>(payload: &[u8]) -> T {
    serde_json::from_slice(payload).unwrap()
}

fn of_cbor<T: DeserializeOwned>(payload: &[u8]) -> T {
    ciborium::from_reader(payload).unwrap()
}
