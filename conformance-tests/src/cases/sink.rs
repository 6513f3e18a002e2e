//! K1 to K5, as far as no fault is needed.

use backup_tracker::{Delivery, ErrorKind, Event, Sink};
use bytes::Bytes;
use uuid::Uuid;

use super::cases;
use crate::bench::{Bench, Outcome, PROMPT, describe, ensure, equal, failure};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, Oracle, events};
use crate::reader::poll_times;

cases! {
    what_send_acknowledged_outlives_the_sink: K1;
    what_send_acknowledged_is_in_the_log_at_once: K1;
    closing_a_sink_keeps_what_was_acknowledged: K1;
    sends_of_one_sink_keep_their_order: K2 S1;
    sinks_side_by_side_each_keep_their_order: K2;
    a_dropped_send_leaves_the_sink_usable_and_the_order_intact: K2 K3;
    an_event_that_is_too_large_is_refused_and_not_sent: K3 K4;
    an_event_of_half_the_limit_fits: K4;
    every_byte_of_a_payload_comes_back: K5;
    an_empty_payload_comes_back_empty: K5;
    headers_come_back_in_order_with_duplicates_and_empty_values: K5;
    headers_come_back_with_any_bytes: K5, needs BinaryHeaders;
    the_same_event_sent_twice_is_in_the_log_with_one_id: K5 T11;
}

async fn what_send_acknowledged_outlives_the_sink<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    for event in &events {
        let mut writer = bench.writer().await?;
        writer.send(event).await?;
        bench.drop_promptly("dropping a sink", writer.sink).await?;
    }
    bench.reader("g").await?.expect_only(&events).await
}

async fn what_send_acknowledged_is_in_the_log_at_once<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    let (mut writer, mut reader) = (bench.writer().await?, bench.reader("g").await?);
    for (number, event) in (1_u64..).zip(&events) {
        writer.send(event).await?;
        let remaining = reader.remaining().await?;
        ensure(
            remaining >= number,
            format_args!("at least {number} events in the log right after so many acknowledgements"),
            remaining,
        )?;
    }
    reader.expect_only(&events).await
}

async fn closing_a_sink_keeps_what_was_acknowledged<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    let mut writer = bench.writer().await?;
    writer.send_all(&events).await?;
    if let Err(error) = writer.close().await? {
        return Err(failure("closing a sink succeeds", describe(&error)));
    }
    bench.reader("g").await?.expect_only(&events).await
}

async fn sends_of_one_sink_keep_their_order<L: Lane>(bench: Bench<L>) -> Outcome {
    // One application: one order for all of it.
    let events = events(&APPLICATIONS[..1], 200);
    bench.send(&events).await?;
    bench.reader("g").await?.expect_only(&events).await
}

async fn sinks_side_by_side_each_keep_their_order<L: Lane>(bench: Bench<L>) -> Outcome {
    let (first, second) = (events(&["shop"], 50), events(&["shop"], 50));
    let (mut one, mut two) = (bench.writer().await?, bench.writer().await?);
    let (sent_one, sent_two) = tokio::join!(one.send_all(&first), two.send_all(&second));
    sent_one.and(sent_two)?;

    let mut reader = bench.reader("g").await?;
    let (mut of_first, mut of_second) = (Oracle::new(&first), Oracle::new(&second));
    for _ in 0..100 {
        let record = reader.next().await?;
        let by_first = first.iter().any(|event| Some(event.key) == record.key);
        let oracle = if by_first { &mut of_first } else { &mut of_second };
        oracle.check(&record)?;
    }
    reader.nothing().await
}

async fn a_dropped_send_leaves_the_sink_usable_and_the_order_intact<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&["shop"], 60);
    let mut writer = bench.writer().await?;
    let mut surely = Vec::new();
    for (number, event) in events.iter().enumerate() {
        if number % 2 == 1 {
            writer.send(event).await?;
            surely.push(event.key);
        } else if let Some(sent) = poll_times(writer.sink.send(event), number / 2 % 6).await {
            sent.map_err(|error| failure("the send to succeed", describe(&error)))?;
            surely.push(event.key);
        }
    }
    // A dropped event may be missing, but not out of its place, and only it may be missing.
    let mut reader = bench.reader("g").await?;
    let mut coming = events.iter();
    while surely.last().is_some_and(|last| coming.as_slice().iter().any(|event| event.key == *last)) {
        let record = reader.next().await?;
        let skipped = coming.by_ref().take_while(|event| Some(event.key) != record.key);
        for event in skipped {
            ensure(
                !surely.contains(&event.key),
                format_args!("the acknowledged event {} in its place", event.key),
                crate::oracle::show(&record),
            )?;
        }
    }
    Ok(())
}

async fn an_event_that_is_too_large_is_refused_and_not_sent<L: Lane>(bench: Bench<L>) -> Outcome {
    let around = events(&["shop"], 2);
    let limit = bench.profile.max_event_bytes();
    let large = Event::new(Uuid::new_v4(), "shop", vec![b'x'; limit + 1]);
    let mut writer = bench.writer().await?;
    writer.send(&around[0]).await?;
    refused(writer.sink.send(&large), &bench).await?;
    writer.send(&around[1]).await?;
    bench.reader("g").await?.expect_only(&around).await
}

/// Fails unless the send is refused as too large, at once.
pub(super) async fn refused<L: Lane>(
    send: impl Future<Output = backup_tracker::Result<()>> + Send,
    bench: &Bench<L>,
) -> Outcome {
    let expected = "a refusal as Rejected and NotSent";
    match bench.clock.within(expected, PROMPT, send).await? {
        Ok(()) => Err(failure(expected, "the send succeeded")),
        Err(error) => ensure(
            error.kind() == ErrorKind::Rejected && error.delivery() == Delivery::NotSent,
            expected,
            describe(&error),
        ),
    }
}

async fn an_event_of_half_the_limit_fits<L: Lane>(bench: Bench<L>) -> Outcome {
    let half = bench.profile.max_event_bytes() / 2;
    let pattern: Vec<u8> = (0..=u8::MAX).cycle().take(half).collect();
    let events = [Event::new(Uuid::new_v4(), "shop", pattern)];
    bench.send(&events).await?;
    bench.reader("g").await?.expect_only(&events).await
}

async fn every_byte_of_a_payload_comes_back<L: Lane>(bench: Bench<L>) -> Outcome {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let payloads: [&[u8]; 7] = [
        &all,
        b"\0",
        b"\r\n\r\n",
        b"{\"type\":\"transition\"}",
        &[0xff; 1000],
        " \u{feff}é".as_bytes(),
        b"*3\r\n$5\r\nXADD\r\n",
    ];
    let applications = APPLICATIONS.iter().cycle();
    let event = |(payload, application): (&&[u8], &&str)| {
        Event::new(Uuid::new_v4(), *application, Bytes::copy_from_slice(payload))
    };
    let events: Vec<Event> = payloads.iter().zip(applications).map(event).collect();
    bench.send(&events).await?;
    bench.reader("g").await?.expect_only(&events).await
}

async fn an_empty_payload_comes_back_empty<L: Lane>(bench: Bench<L>) -> Outcome {
    let events =
        [Event::new(Uuid::new_v4(), "shop", Bytes::new()), Event::new(Uuid::new_v4(), "shop", "not empty")];
    bench.send(&events).await?;
    bench.reader("g").await?.expect_only(&events).await
}

async fn headers_come_back_in_order_with_duplicates_and_empty_values<L: Lane>(bench: Bench<L>) -> Outcome {
    let plain = || Event::new(Uuid::new_v4(), "shop", "payload");
    let events = [
        plain(),
        plain()
            .header("content-type", "application/cbor")
            .header("trace", "2")
            .header("empty", "")
            .header("Content-Type", "the case of names matters")
            .header("trace", "1")
            .header("a", "comes last"),
        plain(),
    ];
    bench.send(&events).await?;
    bench.reader("g").await?.expect_only(&events).await
}

async fn headers_come_back_with_any_bytes<L: Lane>(bench: Bench<L>) -> Outcome {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let events = [Event::new(Uuid::new_v4(), "shop", "payload")
        .header("bytes", all)
        .header("lines", "one\r\ntwo\0")
        .header("größe", "groß")];
    bench.send(&events).await?;
    bench.reader("g").await?.expect_only(&events).await
}

async fn the_same_event_sent_twice_is_in_the_log_with_one_id<L: Lane>(bench: Bench<L>) -> Outcome {
    let [first, other] = [events(&["shop"], 1), events(&["shop"], 1)].map(|mut one| one.remove(0));
    let mut writer = bench.writer().await?;
    writer.send(&first).await?;
    writer.send(&first).await?;
    writer.send(&other).await?;
    // A broker may drop the second one, which has the same id. What comes must carry it.
    let mut reader = bench.reader("g").await?;
    let record = reader.next().await?;
    equal("the first record's key", &Some(first.key), &record.key)?;
    let mut record = reader.next().await?;
    if record.key == Some(first.key) {
        record = reader.next().await?;
    }
    equal("the last record's key", &Some(other.key), &record.key)?;
    reader.nothing().await
}
