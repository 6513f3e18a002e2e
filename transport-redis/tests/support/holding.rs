//! A way to the server on which the first connection can be held up, while the others pass.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::PATIENCE;

pub(crate) struct Holding {
    pub(crate) address: SocketAddr,
    hold: watch::Sender<bool>,
    answer: Option<oneshot::Receiver<String>>,
}

impl Holding {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (hold, holding) = watch::channel(false);
        let (tell, answer) = oneshot::channel();
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(first(client, target, holding, tell));
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(target).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            }
        });
        Self { address, hold, answer: Some(answer) }
    }

    /// From now on the server does not get what is written on the first connection.
    pub(crate) fn hold(&self) {
        self.hold.send_replace(true);
    }

    /// The server gets it, although the client has left. Returns what the server answers.
    pub(crate) async fn release(&mut self) -> String {
        self.hold.send_replace(false);
        let answer = self.answer.take().unwrap();
        tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap()
    }
}

async fn first(
    mut client: TcpStream,
    target: SocketAddr,
    mut hold: watch::Receiver<bool>,
    tell: oneshot::Sender<String>,
) {
    let mut server = TcpStream::connect(target).await.unwrap();
    let (mut asked, mut answered) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let length = client.read(&mut asked).await.unwrap();
        let held = *hold.borrow();
        hold.wait_for(|hold| !hold).await.unwrap();
        server.write_all(&asked[..length]).await.unwrap();
        // A request and its answer at a time: that is how a sink talks.
        let length = server.read(&mut answered).await.unwrap();
        if held {
            tell.send(String::from_utf8_lossy(&answered[..length]).into_owned()).unwrap();
            return;
        }
        client.write_all(&answered[..length]).await.unwrap();
    }
}
