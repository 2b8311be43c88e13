//! Bodies as they are taken in. Large ones share a budget, of which each has no more than it needs
//! for what has come of it, whatever its sender says of its length, and that until it is answered: a
//! server that takes its time must not make the gateway hold without end what others send meanwhile.

use std::error::Error;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use configapi_proto::{ApiError, Reason};
use configapi_runtime::http::Interrupted;
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError};
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::problem::{Code, Problem};

/// Bodies up to this size are not counted among those that are held: connections are.
const SMALL_BODY_BYTES: usize = 64 << 10;

/// The room that a body takes; none of one that does not count.
pub(crate) type Taken = Option<OwnedSemaphorePermit>;

/// All of a body, and the room that it takes.
pub(super) async fn all(
    app: &App,
    body: Body,
    max_bytes: usize,
) -> Result<(Bytes, Taken), Problem> {
    let size = body.size_hint();
    if size.lower() > max_bytes as u64 {
        return Err(too_large(max_bytes));
    }
    match size.upper().and_then(|upper| usize::try_from(upper).ok()) {
        Some(bytes) if bytes <= SMALL_BODY_BYTES => {
            let bytes = to_bytes(body, max_bytes).await;
            Ok((bytes.map_err(|error| broken(app, &error, max_bytes))?, None))
        }
        // A body that does not say how long it is may be as long as it is allowed to be.
        bytes => large(app, body, bytes.unwrap_or(max_bytes).min(max_bytes), max_bytes).await,
    }
}

/// All of a body, unless it is larger than this, or empty.
pub(super) async fn unless_larger(
    app: &App,
    body: Body,
    max_bytes: usize,
) -> Result<Option<Bytes>, Problem> {
    if body.is_end_stream() || body.size_hint().lower() > max_bytes as u64 {
        return Ok(None);
    }
    match to_bytes(body, max_bytes).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if causes(&error).any(<dyn Error>::is::<LengthLimitError>) => Ok(None),
        Err(error) => Err(broken(app, &error, max_bytes)),
    }
}

/// All of a body that is large, or may be.
async fn large(
    app: &App,
    mut body: Body,
    most_bytes: usize,
    max_bytes: usize,
) -> Result<(Bytes, Taken), Problem> {
    let mut room = Room { app, most_bytes, held: None };
    let mut taken = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(app, &error, max_bytes))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max_bytes - taken.len() {
            return Err(too_large(max_bytes));
        }
        room.make(&mut taken, data.len())?;
        taken.extend_from_slice(&data);
    }
    Ok((taken.into(), room.held))
}

/// The room that one body has, as far as it counts.
struct Room<'a> {
    app: &'a App,
    /// What the body will need at most.
    most_bytes: usize,
    held: Taken,
}

impl Room<'_> {
    /// Makes room for more bytes. It doubles each time, so that few steps are enough, and nobody
    /// waits for others to give theirs back, who might wait as well.
    fn make(&mut self, taken: &mut Vec<u8>, more: usize) -> Result<(), Problem> {
        let needed = taken.len() + more;
        if needed <= taken.capacity() {
            return Ok(());
        }
        let doubled = (2 * taken.capacity()).max(SMALL_BODY_BYTES).min(self.most_bytes);
        let bytes = doubled.max(needed);
        if bytes > SMALL_BODY_BYTES {
            self.hold(bytes)?;
        }
        taken.reserve_exact(bytes - taken.len());
        Ok(())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        let has_kib = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more_kib = bytes.div_ceil(1024).saturating_sub(has_kib);
        let more = u32::try_from(more_kib).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&self.app.body_kib).try_acquire_many_owned(more) else {
            self.app.meter.requests_shed.inc();
            return Err(Reason::LimitExceeded.into());
        };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

fn too_large(max_bytes: usize) -> Problem {
    Problem::http(Code::BodyTooLarge, format!("the body may have {max_bytes} bytes"))
}

fn causes(error: &axum::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

fn broken(app: &App, error: &axum::Error, max_bytes: usize) -> Problem {
    causes(error)
        .find_map(|cause| match cause.downcast_ref() {
            Some(Interrupted::TooSlow) => {
                Some(Problem::http(Code::RequestTimeout, Code::RequestTimeout.title()))
            }
            Some(Interrupted::TooMany) => {
                app.meter.requests_shed.inc();
                let detail =
                    "as many requests are still coming as the gateway waits for; try again later";
                Some(ApiError::new(Reason::LimitExceeded, detail).into())
            }
            Some(Interrupted::Broken(_)) => None,
            None => cause.is::<LengthLimitError>().then(|| too_large(max_bytes)),
        })
        .unwrap_or_else(|| ApiError::invalid("body", "broke off").into())
}
