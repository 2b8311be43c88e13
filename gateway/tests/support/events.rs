//! Server-sent events.

use reqwest::Response;
use serde_json::Value;

/// A server-sent event.
#[derive(Debug)]
pub struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: Value,
    /// When to come back.
    pub retry_ms: Option<u64>,
}

/// Events as they come.
pub struct Events {
    response: Response,
    buffer: String,
}

impl Events {
    /// A watch that begins.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, buffer: String::new() }
    }

    /// The next event; none at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                let (id, name, data) = (field("id: "), field("event: "), field("data: "));
                let retry = field("retry: ");
                let rest = String::from(rest);
                self.buffer = rest;
                if let (Some(name), Some(data)) = (name, data) {
                    let data = serde_json::from_str(&data).expect("JSON");
                    let retry_ms = retry.map(|retry| retry.parse().expect("milliseconds"));
                    return Some(Event { id, name, data, retry_ms });
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    /// The next event of this name, but for those that every watch may have in between.
    pub async fn named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the watch goes on");
            if event.name == name {
                return event;
            }
            assert!(event.name == "progress" || event.name == "started", "{event:?}");
        }
    }
}
