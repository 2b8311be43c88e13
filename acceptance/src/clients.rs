//! What users reach the system with: curl, in effect.

use std::net::SocketAddr;

use reqwest::{Method, RequestBuilder, StatusCode};

/// A REST client of one gateway.
#[derive(Debug, Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
}

impl Rest {
    /// A client of the gateway at this address.
    ///
    /// # Panics
    /// If there is no HTTP client to be had.
    #[expect(clippy::expect_used, reason = "without a client there is no test")]
    pub fn new(address: SocketAddr) -> Self {
        // The gateway is on this machine, whatever proxy the environment names.
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { http, base: format!("http://{address}") }
    }

    /// A request to be refined.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// The status and the body of an answer; none if there was no answer.
    pub async fn answer(request: RequestBuilder) -> Option<(StatusCode, String)> {
        let answer = request.send().await.ok()?;
        Some((answer.status(), answer.text().await.ok()?))
    }

    /// Sets a value, as the original clients do.
    pub async fn put(&self, name: &str, value: &str) -> Option<(StatusCode, String)> {
        let body = format!("{{\"value\":{value:?}}}");
        let request = self.request(Method::PUT, &format!("/v1/config/{name}"));
        Self::answer(request.header("content-type", "application/json").body(body)).await
    }

    /// Gets something.
    pub async fn get(&self, path: &str) -> Option<(StatusCode, String)> {
        Self::answer(self.request(Method::GET, path)).await
    }
}
