//! An answer taken in whole.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// Sends a request and takes the answer.
pub trait Ask {
    async fn got(self) -> Got;
    /// As a client that accepts JSON.
    async fn got_json(self) -> Got;
}

impl Ask for RequestBuilder {
    async fn got(self) -> Got {
        let response = self.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.expect("a whole body");
        Got { status, headers, body }
    }

    async fn got_json(self) -> Got {
        self.header("accept", "application/json").got().await
    }
}

impl Got {
    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a readable header"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Status, content type and body, for a look at all of an answer.
    pub fn summary(&self) -> (u16, &str, &str) {
        (self.status, self.header("content-type"), &self.body)
    }
}
