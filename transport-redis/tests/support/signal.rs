//! A server that hangs, and goes on.

use backup_tracker_test_servers::Redis as Server;

fn signal(server: &Server, name: &str) {
    let id = server.id().unwrap().to_string();
    let status = std::process::Command::new("kill").args([name, &id]).status().unwrap();
    assert!(status.success());
}

/// Keeps its connections, and takes new ones, and answers nothing.
pub(crate) fn hang(server: &Server) {
    signal(server, "-STOP");
}

pub(crate) fn go_on(server: &Server) {
    signal(server, "-CONT");
}
