//! How many may ask at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::runtime::Builder;

use crate::bench::{Bench, PATIENCE, eventually};
use crate::http::get;

/// The limits, as `watch --help` gives them.
const CONNECTIONS: usize = 512;
const READERS: usize = 256;
/// How long nothing must happen for the test to believe that nothing happens.
const QUIET: Duration = Duration::from_millis(300);

/// From an address that no mock cluster listens at: so many connections might well take the port of a broker
/// that is down for a moment.
fn connect(url: &str) -> TcpStream {
    let to = url.strip_prefix("http://").unwrap().parse().unwrap();
    let stream = Builder::new_current_thread().enable_io().build().unwrap().block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection on which this was asked for, and the status of the answer.
fn ask(url: &str, path: &str) -> (TcpStream, String) {
    let mut stream = connect(url);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut status = String::new();
    BufReader::new(&stream).read_line(&mut status).unwrap();
    (stream, status.trim().to_owned())
}

#[test]
fn more_connections_than_there_may_be_wait_for_their_turn() {
    let bench = Bench::new();
    let mut program = bench.watch(&["--json", "--http", "127.0.0.1:0"]);
    let url = program.url();
    // They send nothing, and are sent away only after 10 s.
    let mut taken: Vec<_> = (0..CONNECTIONS).map(|_| connect(&url)).collect();
    let mut one_more = connect(&url);
    one_more.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    one_more.set_read_timeout(Some(QUIET)).unwrap();
    one_more.read_exact(&mut answer).unwrap_err();
    taken.pop();
    one_more.set_read_timeout(Some(PATIENCE)).unwrap();
    one_more.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(taken);
    program.terminate();
}

#[test]
fn readers_of_events_keep_neither_each_other_nor_probes_out() {
    let bench = Bench::new();
    let mut program = bench.watch(&["--json", "--http", "127.0.0.1:0"]);
    let url = program.url();
    let mut readers: Vec<_> = (0..READERS).map(|_| ask(&url, "/events")).collect();
    for (_, status) in &readers {
        assert_eq!(status, "HTTP/1.1 200 OK");
    }
    let (status, why) = get(&format!("{url}/events"));
    assert_eq!((status, why.contains("too many readers")), (503, true), "{why}");
    assert_eq!(get(&format!("{url}/livez")).0, 200);
    readers.pop();
    eventually("a place for another reader", || ask(&url, "/events").1 == "HTTP/1.1 200 OK");
    drop(readers);
    program.terminate();
}
