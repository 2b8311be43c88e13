//! A client whose library puts each small message into a frame of its own, as many do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use configapi_command_service::committer::Limits;
use configapi_proto::v1::{SetManyRequest, SetManyResponse};
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::{BodyStream, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::TcpStream;

use crate::faulty_log::FaultyLog;
use crate::support::{TestServer, memory_log, set_request, start_on};

/// Far more than a server may hold, in frames and in bytes.
const ITEMS: usize = 60_000;
/// Streams on one connection.
const STREAMS: usize = 3;

/// A message as it travels: not compressed, with its length.
fn framed(item: usize) -> Bytes {
    let set = Some(set_request(&format!("k{}", item % 100), "1"));
    let message = SetManyRequest { set }.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put_slice(&message);
    framed.freeze()
}

/// The items that the last answer of a stream says are in the log.
async fn durable_items(answer: Response<Incoming>) -> Result<u64, hyper::Error> {
    let mut durable = 0;
    let mut frames = BodyStream::new(answer.into_body());
    let mut received = BytesMut::new();
    while let Some(frame) = frames.next().await {
        received.extend_from_slice(&frame?.into_data().unwrap_or_default());
        while received.len() >= 5 && received.len() >= 5 + length(&received) {
            let mut message = received.split_to(5 + length(&received));
            message.advance(5);
            durable = SetManyResponse::decode(message).unwrap().durable_items;
        }
    }
    Ok(durable)
}

fn length(framed: &[u8]) -> usize {
    u32::from_be_bytes(framed[1..5].try_into().unwrap()) as usize
}

/// Returns when nothing more of what is sent is taken.
async fn until_nothing_is_taken(server: &TestServer, sent: &AtomicUsize) {
    let (mut seen, mut rounds) = (0, 0);
    while seen == 0 || rounds < 50 {
        // Refused without a look at the log.
        server.client.clone().set(set_request("..", "1")).await.unwrap_err();
        let before = std::mem::replace(&mut seen, sent.load(Ordering::Relaxed));
        rounds = if seen == before { rounds + 1 } else { 0 };
    }
}

#[tokio::test]
async fn a_connection_full_of_small_frames_waits_for_a_slow_log_and_is_kept() {
    let log = FaultyLog::new(memory_log());
    let server = start_on(log.clone(), Limits::default()).await;
    log.close_gate().await;
    let connection = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(connection)).await.unwrap();
    tokio::spawn(connection);
    let sent = Arc::new(AtomicUsize::new(0));
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let sent = Arc::clone(&sent);
            let items = stream::iter(0..ITEMS / STREAMS).map(move |item| {
                sent.fetch_add(1, Ordering::Relaxed);
                Ok::<_, hyper::Error>(Frame::data(framed(item)))
            });
            let request = Request::post("http://test/configapi.v1.CommandService/SetMany")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(StreamBody::new(items))
                .unwrap();
            tokio::spawn(sender.clone().send_request(request))
        })
        .collect();
    let wait = until_nothing_is_taken(&server, &sent);
    tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap();
    let taken = sent.load(Ordering::Relaxed);
    assert!(taken < ITEMS, "the streams were to be held back");

    log.open_gate();
    for stream in streams {
        let answer = stream.await.unwrap().unwrap();
        assert_eq!(durable_items(answer).await.unwrap(), (ITEMS / STREAMS) as u64);
    }
}
