//! The same ceiling for REST: a bare hyper server that answers a GET with a value and a PUT with OK.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::keys::{Dice, Values};

/// Serves until it is cancelled.
pub(super) async fn serve(listener: TcpListener, value_bytes: usize) -> anyhow::Result<()> {
    let value = Bytes::from(Values::new(value_bytes, Dice::new(0)).next_value().to_owned());
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let value = value.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, value.clone()));
            // A client that leaves in the middle is no news.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    value: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = match *request.method() {
        Method::PUT => {
            // Read, as every server must; what it says does not matter here.
            let _ = request.into_body().collect().await;
            Bytes::from_static(b"OK")
        }
        _ => value,
    };
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::ETAG, HeaderValue::from_static("\"3\""));
    headers.insert("configapi-token", HeaderValue::from_static("1-1000000"));
    Ok(response)
}
