//! What a case has done so far and waits for, so that one that does not end says where it stands.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use backup_tracker::Result;
use tokio::time::timeout;

use super::pause;

thread_local! {
    /// Of the case that runs on this thread, from its beginning.
    static STEPS: RefCell<Steps> = RefCell::new(Steps::default());
}

#[derive(Debug)]
struct Steps {
    begin: Instant,
    /// What was done, and when.
    done: Vec<(Duration, String)>,
    /// What is waited for, since when, and the last error that came instead.
    waits: Vec<Wait>,
}

#[derive(Debug)]
struct Wait {
    what: String,
    since: Duration,
    errors: u32,
    last: Option<String>,
}

impl Default for Steps {
    fn default() -> Self {
        Self { begin: Instant::now(), done: Vec::new(), waits: Vec::new() }
    }
}

/// A case begins.
pub(crate) fn begin() {
    STEPS.with_borrow_mut(|steps| *steps = Steps::default());
}

/// Something is done.
pub(crate) fn step(what: impl Into<String>) {
    STEPS.with_borrow_mut(|steps| steps.done.push((steps.begin.elapsed(), what.into())));
}

/// What was done, and what is waited for.
pub(crate) fn told() -> String {
    STEPS.with_borrow(|steps| {
        let mut text = format!("{:.1?} since the beginning", steps.begin.elapsed());
        for (at, what) in &steps.done {
            write!(text, "\n  at {at:.1?}: {what}").unwrap();
        }
        for Wait { what, since, errors, last } in &steps.waits {
            write!(text, "\n  waits since {since:.1?}: {what}").unwrap();
            if let Some(last) = last {
                write!(text, "; {errors} errors, the last one: {last}").unwrap();
            }
        }
        text
    })
}

/// Tries until it succeeds, after errors that pass at most.
pub(crate) async fn at_last<T>(
    within: Duration,
    what: impl Into<String>,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> T {
    let what = what.into();
    let trying = async {
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(error) => {
                    assert!(error.is_transient(), "{what}: {error}");
                    failed(&what, &error.to_string());
                }
            }
            pause().await;
        }
    };
    wait(&what);
    let done = timeout(within, trying).await;
    let done = done.unwrap_or_else(|_| panic!("nothing within {within:?}: {what}; {}", told()));
    finished(&what);
    done
}

fn wait(what: &str) {
    STEPS.with_borrow_mut(|steps| {
        let since = steps.begin.elapsed();
        steps.waits.push(Wait { what: what.to_owned(), since, errors: 0, last: None });
    });
}

fn failed(what: &str, error: &str) {
    STEPS.with_borrow_mut(|steps| {
        if let Some(wait) = steps.waits.iter_mut().find(|wait| wait.what == what) {
            wait.errors += 1;
            wait.last = Some(error.to_owned());
        }
    });
}

/// What had to be waited for at length is remembered.
fn finished(what: &str) {
    STEPS.with_borrow_mut(|steps| {
        let now = steps.begin.elapsed();
        if let Some(place) = steps.waits.iter().position(|wait| wait.what == what) {
            let Wait { what, since, errors, last } = steps.waits.remove(place);
            if let Some(last) = last {
                let text =
                    format!("{what}, after {:.1?} and {errors} errors, the last one: {last}", now - since);
                steps.done.push((now, text));
            }
        }
    });
}
