//! Signals that come to `run`.

use std::io::Write;

use rustix::process::{Signal, kill_process};

use crate::bench::Bench;
use crate::process::ends;
use crate::ready::terminal;
use crate::started::SLEEPER;

/// Says which signals come, and waits for more.
const LISTENER: &str = "
    trap 'echo int' INT; trap 'echo quit' QUIT; trap 'echo usr1' USR1
    sleep 1000 & echo up; while :; do wait; done";

#[test]
fn signals_reach_the_command_and_what_it_started_and_the_end_is_announced() {
    let bench = Bench::new();
    for (signal, status) in [(Signal::INT, 130), (Signal::QUIT, 131), (Signal::USR1, 138)] {
        let run = bench.start(&SLEEPER);
        let command = run.pid();
        run.signal(signal);
        assert_eq!(run.status(), Some(status), "{signal:?}");
        ends(command);
    }
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let run = bench.start(&["sh", "-c", "sleep 1000 & echo $!; wait"]);
        let grandchild = run.pid();
        run.signal(signal);
        assert_eq!(run.status(), Some(status), "{signal:?}");
        ends(grandchild);
        assert_eq!(bench.state(), "READY");
    }
    let run = bench.start(&[
        "sh",
        "-c",
        "trap 'echo heard; exit 9' TERM; sleep 1000 & echo up; while :; do wait; done",
    ]);
    assert_eq!(run.line(), "up");
    run.signal(Signal::TERM);
    assert_eq!(run.line(), "heard");
    assert_eq!(run.status(), Some(9));
    assert_eq!(bench.steps(), ["BACKING_UP ended"; 6]);
}

#[test]
fn on_a_terminal_a_key_reaches_the_command_once_and_so_does_a_signal_that_somebody_sends() {
    let bench = Bench::new();
    let (mut ours, theirs) = terminal();
    let run = bench.start_on(theirs, &["sh", "-c", LISTENER]);
    assert_eq!(run.line(), "up");
    for (key, signal, heard) in [(b"\x03", Signal::INT, "int"), (b"\x1c", Signal::QUIT, "quit")] {
        ours.write_all(key).unwrap();
        assert_eq!(run.line(), heard);
        // Whatever the program passes on comes in order.
        run.signal(Signal::USR1);
        assert_eq!(run.line(), "usr1");
        run.signal(signal);
        assert_eq!(run.line(), heard);
        run.signal(Signal::USR1);
        assert_eq!(run.line(), "usr1");
    }
    run.signal(Signal::TERM);
    assert_eq!(run.status(), Some(143));
    assert_eq!(bench.steps(), ["BACKING_UP ended"]);
}

#[test]
fn what_is_ignored_when_it_begins_stays_so_for_it_and_for_the_command() {
    let bench = Bench::new();
    // A signal interrupts the reading.
    let command = "trap 'echo usr1' USR1; echo $$; read line || read line || exit 3; echo $line";
    for (by, signal) in [
        (&["nohup"][..], Signal::HUP),
        (&["env", "--ignore-signal=INT"], Signal::INT),
        (&["env", "--ignore-signal=QUIT"], Signal::QUIT),
    ] {
        let run = bench.start_by(by, &["sh", "-c", command]);
        let pid = run.pid();
        run.signal(signal);
        run.signal(Signal::USR1);
        assert_eq!(run.line(), "usr1");
        kill_process(pid, signal).unwrap();
        run.write("still here");
        assert_eq!(run.line(), "still here");
        assert_eq!(run.status(), Some(0));
    }
}
