//! What the server does in one step: Lua, because it has to compare before it moves.

use redis::{Cmd, ToRedisArgs};

/// A script is made of parts, and has none that it does not use: the server hashes all of it each time.
macro_rules! script {
    ($($part:literal)+) => {
        concat!($(include_str!(concat!("lua/", $part, ".lua"))),+)
    };
}

pub(crate) const OPEN: &str = script!("server" "stream" "identifiers" "open");
pub(crate) const LOOK: &str = script!("server" "stream" "look");
pub(crate) const FETCH: &str = script!("server" "fetch");
const OBSERVE: &str = script!("server" "stream" "observe");
pub(crate) const COMMIT: &str = script!("server" "stream" "identifiers" "bind" "commit");
pub(crate) const CLAIM: &str = script!("server" "bind" "claim");
pub(crate) const REGISTER: &str = script!("server" "stream" "register");
pub(crate) const APPEND: &str = script!("server" "append");

/// The key of the hash beside the stream.
pub(crate) fn side_key(topic: &str) -> String {
    format!("{topic}:backup-tracker")
}

/// The command that runs a script on a topic's two keys. The server keeps compiled scripts by their hash, so that sending
/// the text costs no more than its bytes, and no answer can be that the script is unknown.
pub(crate) fn run(script: &str, topic: &str) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(2).arg(topic).arg(side_key(topic));
    command
}

/// The command that looks at a topic's stream alone, and at what stands at a place in it, and that the server lets write nothing.
pub(crate) fn observe(topic: &str, place: &str) -> Cmd {
    read_only(OBSERVE, topic, &[place])
}

/// The command that runs a script which writes nothing, for an observer: on the stream alone.
pub(crate) fn read_only(script: &str, topic: &str, arguments: &[impl ToRedisArgs]) -> Cmd {
    let mut command = redis::cmd("EVAL_RO");
    command.arg(script).arg(1).arg(topic).arg(arguments);
    command
}

/// As [`run`], with arguments.
pub(crate) fn run_with(script: &str, topic: &str, arguments: &[impl ToRedisArgs]) -> Cmd {
    let mut command = run(script, topic);
    command.arg(arguments);
    command
}
