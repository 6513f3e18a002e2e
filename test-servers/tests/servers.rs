//! The servers start, die, come back on the same port with the same data, and leave nothing behind.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

use std::io::{Read, Write};
use std::net::TcpStream;

use backup_tracker_test_servers::{Nats, NatsCluster, Redis};

fn redis(server: &Redis, command: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 256];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn redis_survives() {
    let mut server = Redis::start_with(&[("maxclients", "50")]).unwrap();
    assert_eq!(redis(&server, "SET key value"), "+OK\r\n");
    assert!(redis(&server, "CONFIG GET maxclients").contains("50"));
    let port = server.port();
    for end in [Redis::kill, Redis::stop] {
        end(&mut server).unwrap();
        assert_eq!(server.id(), None);
        TcpStream::connect(server.address()).unwrap_err();
        server.restart().unwrap();
        assert_eq!(server.port(), port);
        assert_eq!(redis(&server, "GET key"), "$5\r\nvalue\r\n");
    }
    let (address, folder) = (server.address(), server.folder().to_owned());
    drop(server);
    TcpStream::connect(address).unwrap_err();
    assert!(!folder.exists());
}

fn redis_says_why_it_does_not_start() {
    let error = Redis::start_with(&[("no-such-setting", "1")]).unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

fn nats_survives() {
    let mut server = Nats::start().unwrap();
    let port = server.port();
    for end in [Nats::kill, Nats::stop] {
        end(&mut server).unwrap();
        assert_eq!(server.id(), None);
        TcpStream::connect(server.address()).unwrap_err();
        server.restart().unwrap();
        assert_eq!(server.port(), port);
    }
    let (address, folder) = (server.address(), server.folder().to_owned());
    drop(server);
    TcpStream::connect(address).unwrap_err();
    assert!(!folder.exists());
}

fn a_nats_cluster_survives_the_loss_of_a_node() {
    let mut cluster = NatsCluster::start(3).unwrap();
    assert_eq!(cluster.urls().len(), 3);
    cluster.nodes_mut()[0].kill().unwrap();
    cluster.nodes_mut()[0].restart().unwrap();
    for node in cluster.nodes_mut() {
        node.kill().unwrap();
    }
    cluster.restart().unwrap();
}

fn main() -> std::process::ExitCode {
    use libtest_mimic::{Arguments, Completion, Failed, Trial};

    let trial = |name, missing: Option<String>, test: fn()| {
        Trial::ignorable_test(name, move || match missing {
            Some(reason) => Ok::<_, Failed>(Completion::ignored_with(reason)),
            None => {
                test();
                Ok(Completion::Completed)
            }
        })
    };
    let redis = || Redis::find().err().map(|missing| missing.reason);
    let nats = || Nats::find().err().map(|missing| missing.reason);
    let trials = vec![
        trial("redis_survives", redis(), redis_survives),
        trial("redis_says_why_it_does_not_start", redis(), redis_says_why_it_does_not_start),
        trial("nats_survives", nats(), nats_survives),
        trial(
            "a_nats_cluster_survives_the_loss_of_a_node",
            nats(),
            a_nats_cluster_survives_the_loss_of_a_node,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
