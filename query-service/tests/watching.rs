//! Watches: exactly the matching slice of the log, over any chain of resumes, and a definite end.

use std::sync::Arc;

use configapi_domain::ConfigKey;
use configapi_event_log::Recorded;
use configapi_proto::v1::{
    Config, WatchRequest, WatchResponse, watch_request, watch_request::InitialState, watch_response,
};
use configapi_query_service::{Limits, QuerySettings};
use proptest::prelude::*;

use crate::oracle;
use crate::support::{Frames, Op, Server, Writer, at_least, key, memory_log, quick};

pub const STREAMS: [&str; 5] = ["default/a", "default/ab", "default/b", "other/a", "other/c"];

pub fn after_position(position: u64) -> WatchRequest {
    WatchRequest {
        all_namespaces: true,
        start: Some(watch_request::Start::AfterPosition(position)),
        ..WatchRequest::default()
    }
}

fn positions(log: &[Recorded], matches: impl Fn(&ConfigKey) -> bool) -> Vec<u64> {
    log.iter().filter(|it| matches(&it.key)).map(|it| it.position.0).collect()
}

/// A server with frames so small that applies are spread over several of them.
pub fn small_frames(frame_items: usize) -> QuerySettings {
    let limits = Limits { frame_items, frame_visits: 3, ..quick().limits };
    QuerySettings { limits, ..quick() }
}

pub type Filter = (WatchRequest, fn(&ConfigKey) -> bool);

pub fn filters() -> Vec<Filter> {
    let all = WatchRequest { all_namespaces: true, ..WatchRequest::default() };
    let prefix = |prefix: &str| Some(watch_request::Selection::Prefix(prefix.to_owned()));
    let name = |name: &str| Some(watch_request::Selection::Name(name.to_owned()));
    vec![
        (all.clone(), |_| true),
        (WatchRequest::default(), |key| key.namespace() == "default"),
        (WatchRequest { selection: prefix("a"), ..all }, |key| key.name().starts_with('a')),
        (WatchRequest { selection: name("a"), ..WatchRequest::default() }, |key| {
            key.stream() == "default/a"
        }),
        (
            WatchRequest {
                namespace: "other".to_owned(),
                selection: prefix("c"),
                ..WatchRequest::default()
            },
            |key| key.stream() == "other/c",
        ),
    ]
}

#[derive(Debug, Clone)]
struct Plan {
    commands: Vec<Vec<(usize, u8)>>,
    filter: usize,
    start: u64,
    frame_items: usize,
    /// After how many frames the client leaves and comes back, again and again.
    leave_after: usize,
}

fn plans() -> impl Strategy<Value = Plan> {
    let command = prop::collection::vec((0..STREAMS.len(), 0..4_u8), 1..6);
    (prop::collection::vec(command, 2..20), 0..5_usize, 0..30_u64, 1..4_usize, 1..5_usize).prop_map(
        |(commands, filter, start, frame_items, leave_after)| Plan {
            commands,
            filter,
            start,
            frame_items,
            leave_after,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_chain_of_resumes_gives_exactly_the_matching_slice(plan in plans()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow_the_plan(plan));
    }
}

async fn follow_the_plan(plan: Plan) {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let (early, late) = plan.commands.split_at(plan.commands.len() / 2);
    write(&mut writer, early).await;
    let server = Server::start(log, &small_frames(plan.frame_items));
    server.until_ready().await;

    let start = plan.start.min(writer.head.position.0);
    let (request, matches) = &filters()[plan.filter];
    let request =
        WatchRequest { start: Some(watch_request::Start::AfterPosition(start)), ..request.clone() };
    // An event at the very end that matches, so that there is something to wait for.
    let last = STREAMS.into_iter().find(|stream| matches(&key(stream))).unwrap();
    let (seen, writer) =
        tokio::join!(read_with_interruptions(&server, request, plan.leave_after), async move {
            write(&mut writer, late).await;
            writer.commit(vec![(key(last), Op::Delete)]).await;
            writer.commit(vec![(key(last), Op::Restore(None))]).await;
            writer.commit(vec![(key(last), Op::Set("the end".to_owned()))]).await;
            writer
        });
    let expected: Vec<_> = writer
        .written
        .iter()
        .filter(|it| it.position.0 > start && matches(&it.key))
        .map(oracle::event)
        .collect();
    assert_eq!(seen, expected);
}

async fn write(writer: &mut Writer, commands: &[Vec<(usize, u8)>]) {
    for command in commands {
        let ops = command.iter().map(|(index, kind)| {
            let op = match kind {
                0 => Op::Delete,
                1 => Op::Restore(None),
                value => Op::Set(value.to_string()),
            };
            (key(STREAMS[*index]), op)
        });
        writer.commit(ops.collect()).await;
        tokio::task::yield_now().await;
    }
}

/// What a client keeps that leaves after some frames, forgets what is not complete, and resumes.
async fn read_with_interruptions(
    server: &Server,
    mut request: WatchRequest,
    leave_after: usize,
) -> Vec<configapi_proto::v1::Event> {
    let mut kept = Vec::new();
    loop {
        let mut frames = server.watch(request.clone()).await.unwrap();
        let mut token = frames.started().await.token;
        let mut pending = Vec::new();
        let mut safe = 0;
        for _ in 0..leave_after {
            let (events, frame) = frames.events().await;
            assert!(frame.position >= safe, "the safe position went back");
            safe = frame.position;
            token = frame.token;
            pending.extend(events);
            let complete = pending.iter().take_while(|event| event.position <= safe).count();
            kept.extend(pending.drain(..complete));
            if kept.last().is_some_and(is_the_end) {
                return kept;
            }
        }
        request.start = Some(watch_request::Start::AfterToken(token));
        if !pending.is_empty() && leave_after == 1 {
            // Whoever always leaves within an Apply never gets through it, by design.
            return read_to_the_end(server, request, kept).await;
        }
        if pending.len() >= leave_after {
            return read_to_the_end(server, request, kept).await;
        }
    }
}

async fn read_to_the_end(
    server: &Server,
    request: WatchRequest,
    mut kept: Vec<configapi_proto::v1::Event>,
) -> Vec<configapi_proto::v1::Event> {
    let mut frames = server.watch(request).await.unwrap();
    frames.started().await;
    while !kept.last().is_some_and(is_the_end) {
        kept.extend(frames.events().await.0);
    }
    kept
}

fn is_the_end(event: &configapi_proto::v1::Event) -> bool {
    matches!(&event.change, Some(configapi_proto::v1::event::Change::ValueSet(set))
        if set.value == "the end")
}

#[tokio::test]
async fn an_apply_that_fits_into_a_frame_is_never_torn() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let set = |stream: &str| (key(stream), Op::Set("1".to_owned()));
    for _ in 0..6 {
        writer.commit(vec![set("default/a"), set("default/b"), set("other/c")]).await;
    }
    let server = Server::start(log, &small_frames(4));
    server.until_ready().await;
    let mut frames = server.watch(after_position(0)).await.unwrap();
    frames.started().await;
    for number in 1..=6 {
        let (events, frame) = frames.events().await;
        assert_eq!(events.len(), 3);
        assert_eq!(frame.position, number * 3);
        let last: Vec<_> = events.iter().map(|event| event.last_of_command).collect();
        assert_eq!(last, [false, false, true]);
    }
}

#[tokio::test]
async fn a_large_apply_is_spread_and_its_position_comes_last() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/before", "1").await;
    let ops = (0..10).map(|n| (key(&format!("default/{n}")), Op::Set("1".to_owned()))).collect();
    writer.commit(ops).await;
    let server = Server::start(log, &small_frames(4));
    server.until_ready().await;
    let mut frames = server.watch(after_position(0)).await.unwrap();
    frames.started().await;
    let mut told = Vec::new();
    while told.last().is_none_or(|(position, _)| *position < 11) {
        let (events, frame) = frames.events().await;
        told.push((frame.position, events.len()));
    }
    assert_eq!(told, [(1, 1), (1, 4), (1, 4), (11, 2)]);
}

/// Reads the initial state of a watch.
async fn initial(frames: &mut Frames) -> (Vec<Config>, WatchResponse) {
    let mut configs = Vec::new();
    loop {
        let frame = frames.frame().await;
        match &frame.frame {
            Some(watch_response::Frame::InitialConfigs(part)) => {
                assert_eq!((frame.position, frame.token.as_str()), (0, ""));
                configs.extend(part.configs.clone());
            }
            Some(watch_response::Frame::InitialStateComplete(complete)) => {
                assert_eq!(complete.configs, configs.len() as u64);
                return (configs, frame);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_initial_state_is_of_one_position_and_the_events_follow_it() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    for number in 0..20 {
        writer.set(&format!("default/{number}"), "old").await;
    }
    writer.delete("default/7").await;
    let server = Server::start(log, &small_frames(3));
    server.until_ready().await;
    let start = Some(watch_request::Start::InitialState(InitialState {}));
    let mut frames = server.watch(WatchRequest { start, ..WatchRequest::default() }).await.unwrap();
    let started = frames.started().await;
    assert_eq!((started.position, started.token.as_str()), (0, ""));

    // Written while the initial state is under way: comes after it, and is not in it.
    writer.set("default/0", "new").await;
    let token = writer.set("default/99", "new").await;
    server.value("default/99", &token).await;
    let (configs, complete) = initial(&mut frames).await;
    let expected: Vec<_> = oracle::configs(&writer.written, 21).into_values().collect();
    assert_eq!(configs, expected);
    assert_eq!((complete.position, complete.token.as_str()), (21, "1-21"));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(frames.events().await.0.iter().map(|event| event.position));
    }
    assert_eq!(seen, [22, 23]);
}

#[tokio::test]
async fn the_initial_state_of_one_name_is_that_config_alone() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    writer.set("default/a", "1").await;
    writer.set("default/ab", "2").await;
    let server = Server::ready(log).await;
    let request = WatchRequest {
        selection: Some(watch_request::Selection::Name("a".to_owned())),
        start: Some(watch_request::Start::InitialState(InitialState {})),
        ..WatchRequest::default()
    };
    let mut frames = server.watch(request).await.unwrap();
    frames.started().await;
    let (configs, _) = initial(&mut frames).await;
    let told: Vec<_> = configs.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect();
    assert_eq!(told, [("a", "1")]);
}

#[tokio::test]
async fn the_initial_state_comes_in_frames_that_are_no_larger_than_they_may_be() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    for number in 0..8 {
        writer.set(&format!("default/{number}"), &"v".repeat(400)).await;
    }
    let limits = Limits { frame_bytes: 2_000, ..quick().limits };
    let server = Server::start(log, &QuerySettings { limits, ..quick() });
    server.until_ready().await;
    let start = Some(watch_request::Start::InitialState(InitialState {}));
    let mut frames = server.watch(WatchRequest { start, ..WatchRequest::default() }).await.unwrap();
    frames.started().await;
    let mut sizes = Vec::new();
    while let Some(watch_response::Frame::InitialConfigs(part)) = frames.frame().await.frame {
        sizes.push(part.configs.len());
    }
    assert!(sizes.iter().all(|configs| *configs <= 2_000 / 400), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 8);
}

#[tokio::test]
async fn a_watch_waits_until_the_log_is_where_it_begins() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let server = Server::ready(log).await;
    let watch = async {
        let mut frames = server.watch(after_position(2)).await.unwrap();
        let started = frames.started().await;
        assert_eq!(started.position, 2);
        let Some(watch_response::Frame::Started(told)) = &started.frame else { unreachable!() };
        assert!(told.state.as_ref().is_some_and(|state| state.position >= 2), "{told:?}");
        frames.events().await.0[0].position
    };
    let (next, ()) = tokio::join!(watch, async {
        for value in ["1", "2", "3"] {
            writer.set("default/a", value).await;
        }
    });
    assert_eq!(next, 3);
}

#[tokio::test]
async fn a_watch_of_now_begins_after_the_state_it_tells() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let token = writer.set("default/a", "old").await;
    let server = Server::ready(log).await;
    let request = WatchRequest { consistency: Some(at_least(&token)), ..WatchRequest::default() };
    let mut frames = server.watch(request).await.unwrap();
    let started = frames.started().await;
    assert_eq!((started.position, started.token.as_str()), (1, "1-1"));
    writer.set("default/a", "new").await;
    assert_eq!(frames.events().await.0[0].position, 2);
}

#[tokio::test]
async fn many_watchers_each_get_all_while_one_of_them_sleeps() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let server = Arc::new(Server::ready(log).await);
    let mut sleeper = server.watch(after_position(0)).await.unwrap();
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let mut frames = server.watch(after_position(0)).await.unwrap();
                frames.started().await;
                let mut seen = Vec::new();
                while seen.len() < 300 {
                    seen.extend(frames.events().await.0.iter().map(|event| event.position));
                }
                seen
            })
        })
        .collect();
    for number in 0..300 {
        writer.set(STREAMS[number % 5], &number.to_string()).await;
    }
    let expected = positions(&writer.written, |_| true);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), expected);
    }
    sleeper.started().await;
    let mut seen = Vec::new();
    while seen.len() < 300 {
        seen.extend(sleeper.events().await.0.iter().map(|event| event.position));
    }
    assert_eq!(seen, expected);
}
