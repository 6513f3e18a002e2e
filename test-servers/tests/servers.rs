//! The servers start, die, come back on the same port with the same data, and leave nothing behind.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test program without the standard harness is not seen as a test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use backup_tracker_test_servers::{Kafka, KafkaCluster, Nats, NatsCluster, Redis};

const KILLED: &str = "TEST_THAT_IS_KILLED";

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

/// Runs this program again, as a test that starts a server and is killed.
fn a_server_ends_with_a_test_that_is_killed() {
    let mut test = Command::new(std::env::current_exe().unwrap())
        .env(KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(test.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address: SocketAddr = address.trim().parse().unwrap();
    TcpStream::connect(address).unwrap();
    test.kill().unwrap();
    test.wait().unwrap();
    let begin = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(10), "the server lives on");
    }
}

fn the_test_that_is_killed() -> ! {
    let server = Redis::start().unwrap();
    println!("{}", server.address());
    loop {
        std::thread::park();
    }
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
    cluster.stop().unwrap();
    assert!(cluster.nodes().iter().all(|node| node.id().is_none()));
    cluster.restart().unwrap();
}

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

fn topics(server: &Kafka, arguments: &[&str]) -> String {
    let servers = server.servers();
    server.tool(TOPICS, &[&["--bootstrap-server", &servers], arguments].concat()).unwrap()
}

fn kafka_survives() {
    let builder = Kafka::builder().property("num.partitions", "7").listener("OTHER", "PLAINTEXT");
    let mut server = builder.start().unwrap();
    topics(&server, &["--create", "--topic", "backups"]);
    TcpStream::connect(("127.0.0.1", server.port_of("OTHER").unwrap())).unwrap();
    assert_eq!(server.port_of("THIRD"), None);
    let port = server.port();
    for end in [Kafka::kill, Kafka::stop] {
        end(&mut server).unwrap();
        assert_eq!(server.id(), None);
        TcpStream::connect(server.address()).unwrap_err();
        server.restart().unwrap();
        assert_eq!(server.port(), port);
    }
    let described = topics(&server, &["--describe", "--topic", "backups"]);
    assert!(described.contains("PartitionCount: 7"), "{described}");
    let (address, folder) = (server.address(), server.folder().to_owned());
    drop(server);
    TcpStream::connect(address).unwrap_err();
    assert!(!folder.exists());
}

fn kafka_says_why_it_does_not_start() {
    let error = Kafka::builder().property("num.io.threads", "none").start().unwrap_err();
    assert!(error.to_string().contains("num.io.threads"), "{error}");
}

fn a_kafka_tool_says_why_it_fails() {
    let server = Kafka::start().unwrap();
    let error = server.tool(TOPICS, &["--no-such-option"]).unwrap_err();
    assert!(error.to_string().contains("no-such-option"), "{error}");
}

fn a_kafka_cluster_survives_the_loss_of_a_node() {
    let mut cluster = KafkaCluster::start(3).unwrap();
    assert_eq!(cluster.servers().split(',').count(), 3);
    topics(&cluster.nodes()[0], &["--create", "--topic", "backups"]);
    cluster.nodes_mut()[0].kill().unwrap();
    let described = topics(&cluster.nodes()[1], &["--describe", "--topic", "backups"]);
    assert!(described.contains("ReplicationFactor: 3"), "{described}");
    cluster.nodes_mut()[0].restart().unwrap();
    for node in cluster.nodes_mut() {
        node.kill().unwrap();
    }
    cluster.restart().unwrap();
    cluster.stop().unwrap();
    assert!(cluster.nodes().iter().all(|node| node.id().is_none()));
    cluster.restart().unwrap();
    let described = topics(&cluster.nodes()[2], &["--describe", "--topic", "backups"]);
    assert!(described.contains("ReplicationFactor: 3"), "{described}");
}

fn main() -> std::process::ExitCode {
    if std::env::var_os(KILLED).is_some() {
        the_test_that_is_killed();
    }
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
    let kafka = || Kafka::find().err().map(|missing| missing.reason);
    let trials = vec![
        trial("redis_survives", redis(), redis_survives),
        trial("redis_says_why_it_does_not_start", redis(), redis_says_why_it_does_not_start),
        trial("a_server_ends_with_a_test_that_is_killed", redis(), a_server_ends_with_a_test_that_is_killed),
        trial("nats_survives", nats(), nats_survives),
        trial(
            "a_nats_cluster_survives_the_loss_of_a_node",
            nats(),
            a_nats_cluster_survives_the_loss_of_a_node,
        ),
        trial("kafka_survives", kafka(), kafka_survives),
        trial("kafka_says_why_it_does_not_start", kafka(), kafka_says_why_it_does_not_start),
        trial("a_kafka_tool_says_why_it_fails", kafka(), a_kafka_tool_says_why_it_fails),
        trial(
            "a_kafka_cluster_survives_the_loss_of_a_node",
            kafka(),
            a_kafka_cluster_survives_the_loss_of_a_node,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
