//! The end of processes that may be somebody else's children.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Waits until the process has ended, whether or not somebody has waited for it.
pub(crate) fn ends(pid: Pid) {
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => {
            let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE)).unwrap();
            assert_eq!(ended, 1, "{pid:?} still runs");
        }
        Err(error) => assert_eq!(error, Errno::SRCH),
    }
}

#[allow(dead_code, reason = "each test program uses a part")]
pub(crate) fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
    ends(pid);
}
