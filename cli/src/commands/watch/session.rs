//! The run from start to end: what goes on at the same time, and in which order it ends.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::feed::Feed;
use super::follow::follow;
use super::hook::{self, Hooks, Settings, Worker};
use super::http::{self, Server};
use super::report::Report;
use super::show::Show;
use super::signals::Signals;
use super::view::View;
use super::{Arguments, OnFailure};
use crate::commands::reading::say;
use crate::exit::Exit;
use crate::options::OpenError;

/// How long the tracker and the broker's client may take to close.
const CLOSING: Duration = Duration::from_secs(5);

struct Session<'a> {
    view: Arc<View>,
    worker: Option<Worker>,
    server: Option<Server>,
    signals: Signals,
    reports: mpsc::UnboundedReceiver<Report>,
    show: Show,
    out: &'a mut (dyn Write + Send),
}

pub(super) async fn run(arguments: Arc<Arguments>, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    // `watch::run` has looked at it.
    let application = arguments.application.given().unwrap_or_default().to_owned();
    let signals = Signals::listen()?;
    // Unbounded: transitions are rare, and neither hooks nor readers over HTTP are to wait for who reads the output.
    let (sender, reports) = mpsc::unbounded_channel();
    // Before anything emits.
    let metrics = arguments.http.map(|_address| http::Metrics::install());
    let (hooks, worker) = start_hooks(&arguments, &application, &sender).unzip();
    let view = Arc::new(View::new(&application, Arc::new(Feed::new()), hooks));
    let mut server = None;
    if let (Some(address), Some(metrics)) = (arguments.http, metrics) {
        let started = match metrics {
            Ok(metrics) => {
                http::start(address, view.clone(), metrics).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error),
        };
        match started {
            Ok(started) => {
                drop(sender.send(Report::Listening { address: started.address }));
                server = Some(started);
            }
            Err(error) => {
                say::error(format_args!("--http {address}: {error}; choose another address or port"));
                return Ok(Exit::Failure);
            }
        }
    }
    let show = if arguments.json { Show::Json } else { Show::Human };
    let following = tokio::spawn(follow(arguments, view.clone(), sender));
    let mut session = Session { view, worker, server, signals, reports, show, out };
    let exit = session.watch(following).await;
    // The output's reader may be gone; hooks end in good order all the same.
    let ended = session.end().await;
    exit.and_then(|exit| ended.map(|()| exit))
}

fn start_hooks(
    arguments: &Arguments,
    application: &str,
    reports: &mpsc::UnboundedSender<Report>,
) -> Option<(Hooks, Worker)> {
    let settings = Settings {
        command: arguments.exec.clone()?,
        limit: arguments.exec_timeout,
        end_on_failure: arguments.on_exec_failure == OnFailure::Exit,
    };
    Some(hook::start(settings, application, reports.clone()))
}

impl Session<'_> {
    /// Until something ends it.
    async fn watch(&mut self, mut following: JoinHandle<Result<(), OpenError>>) -> io::Result<Exit> {
        let Self { view, worker, signals, reports, show, out, .. } = self;
        loop {
            tokio::select! {
                biased;
                exit = signals.next() => return Ok(exit),
                Some(report) = reports.recv() => show.report(*out, &report)?,
                () = hooks_end(worker) => {
                    view.set_failure("a hook failed, and --on-exec-failure is exit");
                    say::error(format_args!("a hook failed, and --on-exec-failure is exit"));
                    return Ok(Exit::Failure);
                }
                ended = &mut following => {
                    let exit = match ended {
                        // Nobody else closes the tracker.
                        Ok(Ok(())) => Exit::Success,
                        Ok(Err(error)) => {
                            view.set_failure(&error.to_string());
                            say::failed(&error)
                        }
                        Err(error) => {
                            say::error(format_args!("the following ended early: {error}"));
                            view.set_failure(&error.to_string());
                            Exit::Failure
                        }
                    };
                    return Ok(exit);
                }
            }
        }
    }

    /// The hook that runs may come to its end, or to its time limit; a second signal ends it at once. Then the tracker, without
    /// a commit, and whatever is left to print.
    async fn end(&mut self) -> io::Result<()> {
        self.view.set_closing();
        let mut written = Ok(());
        if let Some(mut worker) = self.worker.take() {
            worker.stop();
            loop {
                tokio::select! {
                    biased;
                    _again = self.signals.next() => worker.abandon(),
                    Some(report) = self.reports.recv(), if written.is_ok() => {
                        written = self.show.report(self.out, &report);
                    }
                    () = worker.ended() => break,
                }
            }
            self.say_what_is_left();
            close(&self.view, Some(&worker)).await;
        } else {
            close(&self.view, None).await;
        }
        self.view.feed.close();
        if let Some(server) = self.server.take() {
            server.close().await;
        }
        while let Ok(report) = self.reports.try_recv() {
            if written.is_ok() {
                written = self.show.report(self.out, &report);
            }
        }
        written
    }

    fn say_what_is_left(&self) {
        let waiting = self.view.hooks.as_ref().map_or(0, Hooks::waiting);
        if waiting > 0 {
            say::warning(format_args!("--exec: {waiting} more hooks were due, and are not run"));
        }
    }
}

/// The closing is asked for before hooks that were never run are released: nothing is committed in between.
async fn close(view: &View, worker: Option<&Worker>) {
    let Some(tracker) = view.tracker.get() else { return };
    let closing = tracker.close();
    if let Some(worker) = worker {
        worker.release();
    }
    match timeout(CLOSING, closing).await {
        // What had ended it before has been said.
        Ok(_ended) => {}
        Err(_late) => {
            say::warning(format_args!(
                "the connection to the broker did not close in {CLOSING:?}; leaving it"
            ));
        }
    }
}

/// When hooks have come to their end by themselves; never, without hooks.
async fn hooks_end(worker: &mut Option<Worker>) {
    match worker {
        Some(worker) => worker.ended().await,
        None => std::future::pending().await,
    }
}
