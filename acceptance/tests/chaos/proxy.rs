//! The proxy between a client and a server that repeats what it hears.

use std::time::{Duration, Instant};

use configapi_acceptance::chaos::proxy::{Behaviour, Proxy};
use configapi_acceptance::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that repeats what it hears, behind a proxy.
async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    proxy
}

async fn ask(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn what_comes_in_goes_out_and_back() {
    let proxy = echo().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut stream, b"hello").await.unwrap(), b"hello");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_delay_and_a_limit_slow_it_down() {
    let proxy = echo().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let slow = Behaviour { delay: Duration::from_millis(20), ..Behaviour::default() };
    let thin = Behaviour { bytes_per_second: 10_000, ..Behaviour::default() };
    for (behaviour, least) in [(slow, 40), (thin, 200)] {
        proxy.behave(behaviour);
        let begun = Instant::now();
        ask(&mut stream, &[7; 1_000]).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(least));
    }
}

#[tokio::test]
async fn what_was_swallowed_arrives_when_the_network_is_whole_again() {
    let proxy = echo().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    for (swallows_requests, swallows_answers) in [(true, false), (false, true), (true, true)] {
        let hole = Behaviour { swallows_requests, swallows_answers, ..Behaviour::default() };
        proxy.behave(hole);
        stream.write_all(b"x").await.unwrap();
        let mut answer = [0];
        let wait = Duration::from_millis(50);
        let early = tokio::time::timeout(wait, stream.read_exact(&mut answer)).await;
        assert!(early.is_err(), "nothing arrives while it is swallowed");
        proxy.behave(Behaviour::default());
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"x");
    }
}

#[tokio::test]
async fn an_answer_is_cut_at_the_byte_that_was_asked_for() {
    let proxy = echo().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.cut_answers_after(10);
    assert_eq!(ask(&mut stream, b"1234567").await.unwrap(), b"1234567");
    assert!(proxy.is_cut_pending());
    assert!(ask(&mut stream, b"1234567").await.is_err());
    assert!(!proxy.is_cut_pending());
    assert_eq!(proxy.cuts(), 1);
}

#[tokio::test]
async fn connections_can_be_reset_refused_and_led_elsewhere() {
    let proxy = echo().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream, b"hello").await.unwrap();
    proxy.reset();
    assert!(ask(&mut stream, b"hello").await.is_err());

    proxy.behave(Behaviour { refuses: true, ..Behaviour::default() });
    if let Ok(mut stream) = TcpStream::connect(proxy.address()).await {
        assert!(ask(&mut stream, b"hello").await.is_err());
    }

    proxy.behave(Behaviour::default());
    let other = echo().await;
    proxy.lead_to(other.address());
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream, b"hello").await.unwrap();
    eventually("the other one to be used", || async { (other.connections() == 1).then_some(()) })
        .await;
}
