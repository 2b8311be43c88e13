//! Bulk writes over one stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use configapi_command_service::committer::Limits;
use configapi_proto::v1::{SetManyRequest, SetManyResponse, SetRequest};
use configapi_proto::{ApiError, Reason};
use tokio::sync::mpsc::Sender;
use tokio_stream::StreamExt;
use tonic::codec::CompressionEncoding;
use tonic::{Status, Streaming};

use crate::faulty_log::FaultyLog;
use crate::support::{TestServer, memory_log, set_request, start, start_on};

fn item(request: SetRequest) -> SetManyRequest {
    SetManyRequest { set: Some(request) }
}

async fn send(server: &TestServer, items: Vec<SetManyRequest>) -> Vec<SetManyResponse> {
    let answers = server.client.clone().set_many(tokio_stream::iter(items)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().collect().await;
    answers.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn thousands_of_items_are_written_in_order_and_acknowledged_in_windows() {
    let server = start().await;
    let items = (0..5_000).map(|i| item(set_request(&format!("k{}", i % 100), &i.to_string())));
    let answers = send(&server, items.collect()).await;
    let last = answers.last().unwrap();
    assert_eq!((last.settled_items, last.durable_items), (5_000, 5_000));
    assert_eq!(last.token, "1-5000");
    assert!(answers.len() > 2, "more than one window");
    assert!(answers.windows(2).all(|pair| pair[0].settled_items <= pair[1].settled_items));
    let events = server.events().await;
    let values: Vec<_> =
        events.iter().map(|e| e.event.content().unwrap().value.as_str().to_owned()).collect();
    assert_eq!(values, (0..5_000).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_refused_item_is_named_and_does_not_stop_the_others() {
    let server = start().await;
    let wrong = SetRequest { expected_version: Some(5), ..set_request("b", "1") };
    let items = vec![
        item(set_request("a", "1")),
        item(wrong),
        SetManyRequest { set: None },
        item(set_request("..", "1")),
        item(set_request("c", "1")),
    ];
    let answers = send(&server, items).await;
    let failures: Vec<_> = answers
        .iter()
        .flat_map(|a| &a.failures)
        .map(|failure| (failure.index, failure.reason.as_str()))
        .collect();
    let expected = [(1, "VERSION_CONFLICT"), (2, "INVALID_ARGUMENT"), (3, "INVALID_ARGUMENT")];
    assert_eq!(failures, expected);
    let last = answers.last().unwrap();
    assert_eq!((last.settled_items, last.durable_items), (5, 2));
    assert_eq!(server.events().await.len(), 2);
}

#[tokio::test]
async fn a_broken_stream_is_sent_again_with_the_same_ids_and_nothing_is_doubled() {
    let server = start().await;
    let keyed = |i: usize| {
        let request_id = format!("import-{i}");
        item(SetRequest { request_id, ..set_request(&format!("k{i}"), "1") })
    };
    send(&server, (0..300).map(keyed).collect()).await;
    let answers = send(&server, (0..600).map(keyed).collect()).await;
    let last = answers.last().unwrap();
    assert_eq!((last.settled_items, last.durable_items), (600, 600));
    assert_eq!(server.events().await.len(), 600);
}

#[tokio::test]
async fn the_token_covers_what_was_written_before_a_repeat() {
    let server = start().await;
    let old = item(SetRequest { request_id: "old".to_owned(), ..set_request("a", "1") });
    send(&server, vec![old.clone()]).await;
    let answers = send(&server, vec![item(set_request("b", "1")), old]).await;
    let last = answers.last().unwrap();
    assert_eq!((last.settled_items, last.durable_items), (2, 2));
    assert_eq!(last.token, "1-2");
}

#[tokio::test]
async fn a_shutdown_settles_what_was_begun_and_says_that_it_ends() {
    let server = start().await;
    let (items, receiver) = tokio::sync::mpsc::channel(8);
    let outbound = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let answers = server.client.clone().set_many(outbound).await.unwrap();
    let mut answers = answers.into_inner();
    items.send(item(set_request("a", "1"))).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    assert_eq!(first.durable_items, 1);
    server.life.begin_shutdown("the test is over");
    let status = loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn many_streams_on_a_slow_log_wait_for_each_other_and_leave_room_for_others() {
    let limits = Limits { queue_submissions: 64, ..Limits::default() };
    let log = FaultyLog::new(memory_log());
    let server = Arc::new(start_on(log.clone(), limits).await);
    server.set("warm-up", "1").await.unwrap();
    log.close_gate().await;
    let streams: Vec<_> = (0..10)
        .map(|stream| {
            let server = Arc::clone(&server);
            let items = (0..100).map(|i| item(set_request(&format!("s{stream}/{i}"), "1")));
            let items = items.collect();
            tokio::spawn(async move { send(&server, items).await })
        })
        .collect();
    let others = tokio::spawn({
        let server = Arc::clone(&server);
        async move {
            for i in 0..20 {
                server.set("other", &i.to_string()).await.unwrap();
            }
        }
    });
    let slow_log = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            loop {
                log.append_waits().await;
                log.let_one_through();
            }
        }
    });
    for stream in streams {
        let answers = stream.await.unwrap();
        let failures: Vec<_> = answers.iter().flat_map(|answer| &answer.failures).collect();
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(answers.last().unwrap().durable_items, 100);
    }
    others.await.unwrap();
    slow_log.abort();
    assert_eq!(server.events().await.len(), 1 + 1_000 + 20);
}

/// More items than are taken of a client that reads no answers.
const MANY: usize = 20_000;

/// A stream of items that are refused, of which nobody reads the answers, once the server takes no more of it.
async fn stuck(server: &TestServer) -> Streaming<SetManyResponse> {
    let (items, unread) = begin(server).await.unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    tokio::spawn({
        let sent = Arc::clone(&sent);
        // What is refused is told at length, so that answers pile up.
        let refused =
            SetRequest { expected_version: Some(5), ..set_request(&"x".repeat(200), "1") };
        async move {
            while items.send(item(refused.clone())).await.is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let taken = async {
        // Until the server takes no more of that stream, and for a while after.
        let (mut seen, mut rounds) = (0, 0);
        while rounds < 50 && seen < MANY {
            let answers = send(server, vec![item(set_request("a", "1"))]).await;
            assert_eq!(answers.last().unwrap().durable_items, 1, "{answers:?}");
            let before = std::mem::replace(&mut seen, sent.load(Ordering::Relaxed));
            rounds = if seen == before { rounds + 1 } else { 0 };
        }
        seen
    };
    let taken = tokio::time::timeout(Duration::from_mins(1), taken).await.unwrap();
    assert!(taken < MANY, "the stream was to be held back");
    unread
}

#[tokio::test]
async fn a_client_that_reads_no_answers_keeps_no_room_from_others() {
    let limits = Limits { queue_submissions: 64, ..Limits::default() };
    let server = start_on(memory_log(), limits).await;
    stuck(&server).await;
}

#[tokio::test]
async fn large_items_wait_in_the_client_while_those_before_them_are_under_way() {
    const MANY: usize = 200;
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), Limits::default()).await;
    log.close_gate().await;
    let large = "x".repeat(500_000);
    let (items, receiver) = tokio::sync::mpsc::channel(1);
    let outbound = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let answers = server.client.clone().set_many(outbound).await.unwrap().into_inner();
    let sent = Arc::new(AtomicUsize::new(0));
    let sending = tokio::spawn({
        let sent = Arc::clone(&sent);
        async move {
            for i in 0..MANY {
                items.send(item(set_request(&format!("k{i}"), &large))).await.unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let nothing_more_is_taken = async {
        let (mut seen, mut rounds) = (0, 0);
        while seen == 0 || rounds < 50 {
            // Refused without a look at the log.
            server.client.clone().set(set_request("..", "1")).await.unwrap_err();
            let before = std::mem::replace(&mut seen, sent.load(Ordering::Relaxed));
            rounds = if seen == before { rounds + 1 } else { 0 };
        }
        seen
    };
    let taken = tokio::time::timeout(Duration::from_mins(1), nothing_more_is_taken).await.unwrap();
    assert!(taken < 24, "{taken} of {MANY} items of half a megabyte were taken");
    log.open_gate();
    sending.await.unwrap();
    let answers: Vec<_> = answers.collect().await;
    let last = answers.into_iter().map(Result::unwrap).last().unwrap();
    assert_eq!((last.durable_items, last.failures.len()), (MANY as u64, 0));
}

/// What it was unpacked into would be kept for as long as the stream is open.
#[tokio::test]
async fn an_item_that_is_larger_than_any_lawful_one_ends_its_stream() {
    let server = start().await;
    let client = server.client.clone().send_compressed(CompressionEncoding::Gzip);
    let lawful = item(set_request("a", &"x".repeat(1_000_000)));
    let too_large = item(set_request("b", &"x".repeat(1_100_000)));
    let after = item(set_request("c", "1"));
    let items = tokio_stream::iter([lawful, too_large, after]);
    let answers = client.clone().set_many(items).await.unwrap().into_inner();
    let answers: Vec<_> = answers.collect().await;
    let refused = answers.last().unwrap().as_ref().unwrap_err();
    let error = ApiError::from_status(refused);
    assert_eq!(error.reason, Reason::InvalidArgument, "{error:?}");
    assert!(refused.message().contains("too large"), "{refused:?}");
    assert_eq!(server.events().await.len(), 1);
}

type Open = (Sender<SetManyRequest>, Streaming<SetManyResponse>);

/// A stream that has sent nothing yet.
async fn begin(server: &TestServer) -> Result<Open, Status> {
    let (items, receiver) = tokio::sync::mpsc::channel(1);
    let outbound = tokio_stream::wrappers::ReceiverStream::new(receiver);
    Ok((items, server.client.clone().set_many(outbound).await?.into_inner()))
}

/// As many as a server takes.
async fn begin_all(server: &TestServer) -> Vec<Open> {
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(begin(server).await.unwrap());
    }
    open
}

#[tokio::test]
async fn no_more_streams_are_open_than_a_server_takes_until_one_ends() {
    let server = start().await;
    let mut open = begin_all(&server).await;
    let refusal = ApiError::from_status(&begin(&server).await.unwrap_err());
    assert_eq!(refusal.reason, Reason::LimitExceeded);
    assert!(refusal.message.starts_with("64 SetMany streams are open"), "{refusal}");

    let (items, mut answers) = open.pop().unwrap();
    drop(items);
    while answers.message().await.unwrap().is_some() {}
    begin(&server).await.unwrap();
}

/// However short the time is that a client may be silent if others want its place.
fn impatient() -> Limits {
    Limits { bulk_idle: Duration::ZERO, ..Limits::default() }
}

#[tokio::test]
async fn who_has_been_silent_for_longest_gives_its_place_to_another() {
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), impatient()).await;
    let mut open = begin_all(&server).await;
    open[1].0.send(item(set_request("heard", "1"))).await.unwrap();
    assert_eq!(open[1].1.message().await.unwrap().unwrap().durable_items, 1);
    log.close_gate().await;
    open[0].0.send(item(set_request("under-way", "1"))).await.unwrap();
    log.append_waits().await;

    let mut others = Vec::new();
    for (_, silent) in open.iter_mut().skip(2) {
        others.push(begin(&server).await.unwrap());
        let told = silent.message().await.unwrap().unwrap();
        assert_eq!(told.settled_items, 0);
        let error = ApiError::from_status(&silent.message().await.unwrap_err());
        assert_eq!(error.reason, Reason::LimitExceeded);
        assert!(error.message.contains("another needed the place of this one"), "{error}");
        assert!(error.retry_after.is_some());
    }
    // Last of all the one that was heard.
    others.push(begin(&server).await.unwrap());
    open[1].1.message().await.unwrap().unwrap();
    open[1].1.message().await.unwrap_err();
    // But not the one that waits for us, though nobody has waited for longer.
    others.push(begin(&server).await.unwrap());
    others[0].1.message().await.unwrap().unwrap();
    others[0].1.message().await.unwrap_err();

    log.open_gate();
    assert_eq!(open[0].1.message().await.unwrap().unwrap().durable_items, 1);
    others[1].0.send(item(set_request("other", "1"))).await.unwrap();
    assert_eq!(others[1].1.message().await.unwrap().unwrap().durable_items, 1);
}

#[tokio::test]
async fn whose_item_waits_for_room_keeps_its_place() {
    // Room for one item of all streams together.
    let limits = Limits { queue_submissions: 4, ..impatient() };
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), limits).await;
    let mut open = begin_all(&server).await;
    log.close_gate().await;
    open[1].0.send(item(set_request("under-way", "1"))).await.unwrap();
    log.append_waits().await;
    open[0].0.send(item(set_request("waits", "1"))).await.unwrap();
    for _ in 0..50 {
        // Refused without a look at the log, by a server that has read what was sent before.
        server.client.clone().set(set_request("..", "1")).await.unwrap_err();
    }
    let _another = begin(&server).await.unwrap();
    log.open_gate();
    for busy in [1, 0] {
        assert_eq!(open[busy].1.message().await.unwrap().unwrap().durable_items, 1);
    }
    open[2].1.message().await.unwrap().unwrap();
    open[2].1.message().await.unwrap_err();
}

/// What it has sent is done, and it is its client that is waited for.
#[tokio::test]
async fn who_reads_no_answers_gives_its_place_to_another_and_finds_them_all() {
    let server = start_on(memory_log(), impatient()).await;
    let mut unread = stuck(&server).await;
    let mut others = begin_all(&server).await;
    // It is there as long as nobody reads what it was told, and has no second place to give.
    others.push(begin(&server).await.unwrap());
    let next = others[0].1.message();
    let told = tokio::time::timeout(Duration::from_mins(1), next).await.unwrap().unwrap();
    assert_eq!(told.unwrap().settled_items, 0);
    others[0].1.message().await.unwrap_err();
    let mut told = SetManyResponse::default();
    let mut failures = 0;
    let end = loop {
        match unread.message().await {
            Ok(response) => told = response.expect("it tells why it ends"),
            Err(status) => break status,
        }
        failures += told.failures.len();
    };
    assert_eq!(ApiError::from_status(&end).reason, Reason::LimitExceeded);
    assert_eq!((told.settled_items, told.durable_items), (failures as u64, 0));
}
