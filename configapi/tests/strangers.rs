//! What listens where a server should, and is none: what it is, where it is and which setting leads
//! there is said at once.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Once};
use std::thread;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{Ended, Servers, configapi};

/// What TLS says to a beginning that is not its own: a fatal alert, "handshake failure".
const TLS_ALERT: &[u8] = b"\x15\x03\x01\x00\x02\x02\x28";
const HTTP_1: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad";
const GARBAGE: &[u8] = &[0xa5; 4_000];

/// Somebody who listens where a server should.
struct Stranger {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Stranger {
    /// Says this to everybody who says something; the connection ends then.
    fn who_says(words: &'static [u8]) -> Self {
        Self::who(move |stream| answer(stream, words))
    }

    /// The same, once all others who wait for it were asked too. Who asks again, as often as it takes to
    /// find out what this is, need not wait for the others to be asked again.
    fn who_says_with_others(all: &Arc<Barrier>, words: &'static [u8]) -> Self {
        let all = Arc::clone(all);
        let were_all_asked = Arc::new(Once::new());
        Self::who(move |stream| {
            were_all_asked.call_once(|| {
                all.wait();
            });
            answer(stream, words);
        })
    }

    /// Listens to the beginning, and closes the connection.
    fn who_closes() -> Self {
        Self::who(|mut stream| {
            let _ = stream.read(&mut [0; 1_024]);
        })
    }

    /// Takes connections, and says nothing.
    fn who_is_silent() -> Self {
        Self::who(|mut stream| {
            let mut heard = [0; 1_024];
            while stream.read(&mut heard).is_ok_and(|bytes| bytes > 0) {}
        })
    }

    /// Speaks gRPC, but refuses as none of our servers does: without a reason.
    fn who_refuses() -> Self {
        Self::who(|stream| {
            stream.set_nonblocking(true).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let refuse = service_fn(|_| async {
                let mut refusal = hyper::Response::new(Empty::<Bytes>::new());
                for (name, value) in [
                    ("content-type", "application/grpc"),
                    ("grpc-status", "7"),
                    ("grpc-message", "ask whoever runs the proxy"),
                ] {
                    refusal.headers_mut().insert(name, value.parse().unwrap());
                }
                Ok::<_, Infallible>(refusal)
            });
            // It ends with the client.
            let _ = runtime.unwrap().block_on(async {
                let stream = TokioIo::new(tokio::net::TcpStream::from_std(stream).unwrap());
                http2::Builder::new(TokioExecutor::new()).serve_connection(stream, refuse).await
            });
        })
    }

    fn who(does: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                count.fetch_add(1, Ordering::SeqCst);
                let does = does.clone();
                thread::spawn(move || does(stream));
            }
        });
        Self { address, connections }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Says this to somebody who says something, and ends the connection.
fn answer(mut stream: TcpStream, words: &[u8]) {
    let mut heard = [0; 1_024];
    if stream.read(&mut heard).is_ok_and(|bytes| bytes > 0) {
        let _ = stream.write_all(words);
        let _ = stream.shutdown(Shutdown::Write);
        // Until the other side is done: a reset could overtake the words.
        while stream.read(&mut heard).is_ok_and(|bytes| bytes > 0) {}
    }
}

fn get(url: &str, timeout: &str) -> Ended {
    configapi(["get", "a", "--query-url", url, "--timeout", timeout]).ends()
}

#[test]
fn what_does_not_speak_grpc_is_told_at_once_with_the_setting_that_leads_there() {
    for words in [TLS_ALERT, HTTP_1, GARBAGE] {
        let stranger = Stranger::who_says(words);
        let url = stranger.url();
        let read = get(&url, "10s").failed_with(3);
        let expected = format!(
            "error: what listens at {url} does not speak gRPC in plaintext: is it TLS, HTTP/1 or \
             another service? (UNAVAILABLE)\n  hint: --query-url or CONFIGAPI_QUERY_URL says where \
             it is\n"
        );
        assert_eq!(read.stderr, expected);
        let set = configapi(["set", "a", "s3cret", "--request-id", "r1", "--command-url", &url]);
        let write = set.ends().failed_with(3);
        for part in [
            &format!("what listens at {url} does not speak gRPC in plaintext"),
            "may or may not have been written (OUTCOME_UNKNOWN)",
            "--request-id r1",
            "--command-url or CONFIGAPI_COMMAND_URL",
        ] {
            assert!(write.stderr.contains(part), "{part}: {write:#?}");
        }
        assert_eq!(stranger.connections(), 2, "it was asked again");
    }
}

#[test]
fn a_connection_that_is_closed_or_silent_is_told_with_where_it_led() {
    let url = Stranger::who_closes().url();
    let closed = get(&url, "10s").failed_with(3);
    assert!(closed.stderr.contains(&format!("the connection to {url} broke: ")), "{closed:#?}");
    let silent = Stranger::who_is_silent().url();
    let late = get(&silent, "300ms").failed_with(3);
    let expected = format!("error: no answer from {silent} in time (DEADLINE_EXCEEDED)\n");
    assert!(late.stderr.starts_with(&expected), "{late:#?}");
    for ended in [closed, late] {
        assert!(!ended.stderr.contains("written"), "{ended:#?}");
        assert!(ended.stderr.contains("--query-url or CONFIGAPI_QUERY_URL"), "{ended:#?}");
    }
}

#[test]
fn of_several_servers_the_one_that_is_none_is_passed_over_or_named() {
    let servers = Servers::start();
    servers.set("a", "1");
    let (stranger, other) = (Stranger::who_says(HTTP_1), Stranger::who_says(TLS_ALERT));
    let urls = format!("{},http://{}", stranger.url(), servers.query);
    let found = servers.configapi(["get", "a", "--query-url", &urls, "--linearizable"]).ends();
    assert_eq!(found.succeeded().stdout, "1");
    let ended = get(&format!("{},{}", stranger.url(), other.url()), "10s").failed_with(3);
    assert!(ended.stderr.contains(&format!("what listens at {} does", other.url())), "{ended:#?}");
    assert_eq!((stranger.connections(), other.connections()), (2, 1));
}

#[test]
fn an_answer_that_none_of_our_servers_gave_is_told_with_where_it_came_from() {
    let url = Stranger::who_refuses().url();
    let expected = |which: &str| {
        format!(
            "error: {url} answers, but not as a {which} server does: these credentials do not allow \
             this: ask whoever runs the proxy (PERMISSION_DENIED)\n  hint: --{which}-url or \
             CONFIGAPI_{}_URL says where it is\n",
            which.to_uppercase()
        )
    };
    assert_eq!(get(&url, "10s").failed_with(1).stderr, expected("query"));
    let write = configapi(["delete", "a", "--command-url", &url]).ends().failed_with(1);
    assert_eq!(write.stderr, expected("command"));
}

#[test]
fn a_watch_of_what_is_no_server_fails_as_any_read_does() {
    for (stranger, connections) in [
        (Stranger::who_says(HTTP_1), 1),
        (Stranger::who_is_silent(), 1),
        (Stranger::who_closes(), 6),
    ] {
        let url = stranger.url();
        let told = |command: &str, more: &[&str]| {
            let arguments = [command, "a", "--query-url", &url, "--timeout", "3s"];
            configapi(arguments.iter().chain(more).copied()).ends().failed_with(3)
        };
        let watch = told("watch", &["--give-up-after", "20s"]);
        assert_eq!(stranger.connections(), connections, "{watch:#?}");
        let error = |ended: &Ended| {
            let line = ended.stderr.lines().find(|line| line.starts_with("error: "));
            // What the system says of a broken connection differs from time to time.
            line.unwrap().split(" broke: ").next().unwrap().to_owned()
        };
        assert!(error(&watch).contains(&url), "{watch:#?}");
        assert_eq!(error(&watch), error(&told("get", &[])));
    }
}

#[test]
fn a_watch_waits_for_a_server_that_is_away_and_says_where() {
    let servers = Servers::start();
    servers.set("a", "1");
    let urls = format!("http://127.0.0.1:1,http://{}", servers.query);
    let watch = ["watch", "--from", "0", "--count", "1", "--query-url", &urls];
    let ended = servers.configapi(watch).ends().succeeded();
    let expected = "not watching yet, trying again: there is no query server at http://127.0.0.1:1";
    assert!(ended.stderr.starts_with(expected), "{ended:#?}");
}

#[test]
fn the_status_tells_of_one_server_what_it_can_though_the_other_is_silent() {
    let servers = Servers::start();
    let silent = Stranger::who_is_silent();
    let status = |more: &[&str]| {
        let arguments = ["status", "-o", "json", "--timeout", "2s"];
        servers.configapi(arguments.iter().chain(more).copied()).ends().failed_with(3)
    };
    let away = format!("away: no answer from {} in time (DEADLINE_EXCEEDED)", silent.url());
    let query = status(&["--query-url", &silent.url()]);
    assert_eq!(query.json()["command_server"], "serving", "{query:#?}");
    assert_eq!(query.json()["query_server"], away);
    assert!(query.stderr.contains("--query-url or CONFIGAPI_QUERY_URL"), "{query:#?}");
    let command = status(&["--command-url", &silent.url()]);
    assert_eq!(command.json()["query_server"], "serving", "{command:#?}");
    assert_eq!(command.json()["command_server"], away);
}

#[test]
fn the_status_asks_all_servers_at_once() {
    // Each of them says nothing before all were asked.
    let all = Arc::new(Barrier::new(3));
    let [query, one, two] = [(); 3].map(|()| Stranger::who_says_with_others(&all, HTTP_1));
    let commands = format!("{},{}", one.url(), two.url());
    let status = configapi([
        "status",
        "-o",
        "json",
        "--timeout",
        "30s",
        "--query-url",
        &query.url(),
        "--command-url",
        &commands,
    ]);
    let said = status.ends().failed_with(3).json();
    for server in ["query_server", "command_server"] {
        let said = said[server].as_str().unwrap();
        assert!(said.contains("does not speak gRPC in plaintext"), "{server}: {said}");
    }
}
