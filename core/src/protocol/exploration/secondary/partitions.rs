//! Records of two partitions, mixed in every way.

use super::*;

#[test]
fn what_is_newer_in_another_partition_opens_no_gate() {
    use BackupState::{BackingUp, Ready};
    let own = [(Ready, BackingUp), (BackingUp, Ready), (Ready, BackingUp)];
    for (older, newer) in [(1, 5), (2, 2), (3, 3)] {
        // Every way to mix the older records of one partition with the newer ones of another.
        for mix in 0..1u32 << (older + newer) {
            if mix.count_ones() as usize != newer {
                continue;
            }
            let mut machine = Secondary::new("app".into(), settings_of_a_quiet_one(), true);
            machine.handle(Input::Begin);
            machine.handle(Input::Remaining(Remaining::in_partitions([older as u64, 0])));
            let mut read = 0;
            for turn in 0..older + newer {
                let now = Duration::from_nanos(turn as u64);
                if mix >> turn & 1 == 1 {
                    let position = Position::Partition { partition: 1, offset: turn as u64 };
                    machine.handle(Input::Others { position, count: 1, now });
                } else {
                    let (from, to) = own[read];
                    let step = BackupTransition::new(Uuid::from_u128(read as u128), "app", 0, from, to);
                    let position = Position::Partition { partition: 0, offset: read as u64 };
                    machine.handle(Input::Record { position, decoded: Ok(Decoded::Transition(step)), now });
                    if to == Ready {
                        machine.handle(Input::Committed { now });
                    }
                    read += 1;
                }
                let view = machine.view();
                assert_eq!(view.synced, read == older, "{mix:b} at {turn}");
                assert!(!view.gate_open || view.synced);
            }
        }
    }
}
