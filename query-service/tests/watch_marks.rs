//! The marks of progress in a watch: they say what was delivered, and nothing beyond it.

use std::time::Duration;

use configapi_proto::v1::{WatchRequest, watch_request, watch_response};

use crate::support::{Server, Writer, memory_log};
use crate::watching::small_frames;

#[tokio::test]
async fn an_idle_watch_shows_life_and_its_marks_are_complete() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let server = Server::ready(log).await;
    let request = WatchRequest {
        namespace: "quiet".to_owned(),
        progress_interval: Some(prost_types::Duration { seconds: 0, nanos: 1 }),
        ..WatchRequest::default()
    };
    let mut frames = server.watch(request).await.unwrap();
    frames.started().await;
    writer.set("default/a", "1").await;
    let token = writer.set("default/a", "2").await;
    loop {
        let frame = frames.frame().await;
        let Some(watch_response::Frame::Progress(progress)) = frame.frame else {
            panic!("nothing matches");
        };
        let state = progress.state.unwrap();
        assert_eq!((state.position, &state.token), (frame.position, &frame.token));
        assert_eq!(state.recorded_at.is_some(), state.position > 0);
        if frame.token == token {
            break;
        }
    }
}

#[tokio::test]
async fn a_progress_is_never_ahead_of_an_event_that_is_not_delivered() {
    /// The shortest that there is.
    const INTERVAL: Duration = Duration::from_millis(100);
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    for number in 0..12 {
        writer.set(&format!("default/{number}"), "1").await;
    }
    let token = writer.set("rare/a", "1").await;
    let server = Server::start(log, &small_frames(4));
    server.until_ready().await;
    let request = WatchRequest {
        namespace: "rare".to_owned(),
        start: Some(watch_request::Start::AfterPosition(0)),
        progress_interval: Some(INTERVAL.try_into().unwrap()),
        ..WatchRequest::default()
    };
    let mut frames = server.watch(request).await.unwrap();
    frames.started().await;
    let mut marks = 0;
    loop {
        // A client so slow that a mark is due each time that it comes for a frame.
        tokio::time::sleep(INTERVAL).await;
        let frame = frames.frame().await;
        match frame.frame {
            Some(watch_response::Frame::Progress(progress)) => {
                let state = progress.state.unwrap();
                assert!(state.position <= frame.position, "{state:?} beyond {}", frame.position);
                assert_eq!(state.token, frame.token);
                marks += 1;
            }
            Some(watch_response::Frame::Events(events)) => {
                assert_eq!((events.events.len(), &frame.token), (1, &token));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(marks > 0, "no mark was due before the event");
}
