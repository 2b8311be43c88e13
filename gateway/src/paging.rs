//! Answers that may be long. With a limit there is one page and a link to the next; without one
//! everything is sent, page after page, as it comes from the query server, all of it about one
//! state of the log. Nothing is cut off in silence.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use configapi_proto::v1::ReadState;
use configapi_proto::{ApiError, Reason};
use configapi_runtime::http::InPieces;
use futures_util::stream;
use http::header::LINK;
use http::{HeaderValue, Uri};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::app::{Answer, App};
use crate::asked::Asked;
use crate::conditional::{self, Wanted};
use crate::freshness::{Level, Wish};
use crate::json::{self, JSON};
use crate::query::Parameters;
use crate::reads::token_header;
use crate::upstream::Query;

/// The largest page that a client may ask for.
const MAX_LIMIT: u32 = 10_000;
/// The pages in which everything is fetched.
const PAGE_SIZE: u32 = 1_000;

/// How much of a long answer is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// At most so many items; the header `Link` then leads to the next ones. Without it, all.
    #[serde(default, deserialize_with = "limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    pub limit: Option<u32>,
    /// Where to go on: from the `Link` of the answer before.
    pub cursor: Option<String>,
}

impl Parameters for PageParams {}

impl PageParams {
    pub fn size(&self) -> u32 {
        self.limit.unwrap_or(PAGE_SIZE)
    }

    pub fn token(&self) -> String {
        self.cursor.clone().unwrap_or_default()
    }
}

/// Whatever else is said is refused in the same words: why it is no such number helps nobody.
fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    match text.parse() {
        Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(Some(limit)),
        _ => Err(D::Error::custom(format_args!("must be 1 to {MAX_LIMIT}"))),
    }
}

/// A query that is answered in pages.
pub(crate) trait Paged: Query {
    /// Asks for the page with this token.
    fn turn_to(&mut self, page_token: String);
    /// The token of the page after this one; empty if it was the last.
    fn next_page(answer: &Self::Answer) -> &str;
    /// The state that the answer is about.
    fn state(answer: &Self::Answer) -> Option<&ReadState>;
    /// What stands for the answer in an entity tag: the state that it is about.
    fn tag(answer: &Self::Answer) -> String {
        Self::state(answer).map(|state| state.token.clone()).unwrap_or_default()
    }
    /// What comes before the items.
    fn opening(_answer: &Self::Answer) -> Result<Vec<u8>, ApiError> {
        Ok(b"[".to_vec())
    }
    /// What comes after them.
    const CLOSING: &'static [u8] = b"]";
}

/// How the items of a page are written: appended one after the other, with commas between.
pub(crate) trait Items<Q: Paged>:
    Fn(&Q::Answer, &mut Writer) -> Result<(), ApiError> + Send + 'static
{
}
impl<Q: Paged, F: Fn(&Q::Answer, &mut Writer) -> Result<(), ApiError> + Send + 'static> Items<Q>
    for F
{
}

/// JSON items in the making.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    first: bool,
}

impl Writer {
    /// Appends an item.
    pub fn item(&mut self, item: &impl Serialize) -> Result<(), ApiError> {
        if !std::mem::take(&mut self.first) {
            self.bytes.push(b',');
        }
        serde_json::to_writer(&mut self.bytes, item).map_err(|error| {
            tracing::error!(%error, "an item cannot be written as JSON");
            Reason::Internal.into()
        })
    }
}

/// A long answer that is under way.
struct Rest<Q: Paged, F> {
    app: App,
    asked: Asked,
    query: Q,
    write: F,
    next: String,
}

/// Answers a query that has pages.
pub(crate) async fn answer<Q: Paged>(
    app: App,
    asked: Asked,
    uri: &Uri,
    params: &PageParams,
    mut query: Q,
    write: impl Items<Q>,
) -> Answer {
    let wanted = Wanted::of(&asked.headers)?;
    query.turn_to(params.token());
    let page = app.ask(&asked, query.clone()).await?;
    wanted.is_met_by_many(Q::state(&page))?;
    let token = token_header(Q::state(&page));
    let tag = conditional::tag_of_state(&Q::tag(&page));
    if conditional::has_already(&asked.headers, tag.as_ref()) {
        return Ok(json::not_modified(tag, token));
    }
    let mut writer = Writer { bytes: Q::opening(&page)?, first: true };
    write(&page, &mut writer)?;
    let next = Q::next_page(&page).to_owned();
    let mut response = if next.is_empty() || params.limit.is_some() {
        writer.bytes.extend_from_slice(Q::CLOSING);
        json::with_type(JSON, writer.bytes)
    } else {
        drop(page);
        streamed(writer, Rest { app, asked, query, write, next: next.clone() })
    };
    let headers = response.headers_mut();
    json::revalidate(headers);
    json::stamp(headers, tag, token);
    if params.limit.is_some()
        && !next.is_empty()
        && let Ok(link) = HeaderValue::try_from(link_to(uri, &next))
    {
        headers.insert(LINK, link);
    }
    Ok(response)
}

/// The first page, and then those after it. If one of them cannot be had, the answer breaks off, so
/// that the client sees that it is not complete.
fn streamed<Q: Paged>(first: Writer, rest: Rest<Q, impl Items<Q>>) -> Response {
    let pieces = InPieces { first_bytes: first.bytes.len() };
    let started = stream::iter([Ok::<_, ApiError>(Bytes::from(first.bytes))]);
    let rest = stream::try_unfold(Some(rest), |rest| async {
        match rest {
            None => Ok(None),
            Some(rest) => rest.next_page().await.map(Some),
        }
    });
    let body = Body::from_stream(futures_util::StreamExt::chain(started, rest));
    let mut response = json::with_type(JSON, body);
    response.extensions_mut().insert(pieces);
    response
}

impl<Q: Paged, F: Items<Q>> Rest<Q, F> {
    async fn next_page(mut self) -> Result<(Bytes, Option<Self>), ApiError> {
        // Later pages are about the state of the first one; there is nothing more to wait for.
        self.asked.wish = Wish { level: Level::Any, token: None };
        self.asked.along.deadline = tokio::time::Instant::now() + self.app.limits.timeout;
        self.query.turn_to(std::mem::take(&mut self.next));
        let page = self.app.ask(&self.asked, self.query.clone()).await.inspect_err(|error| {
            tracing::warn!(reason = %error.reason, "a long answer broke off");
        })?;
        let mut writer = Writer { bytes: Vec::new(), first: false };
        (self.write)(&page, &mut writer)?;
        Q::next_page(&page).clone_into(&mut self.next);
        if self.next.is_empty() {
            writer.bytes.extend_from_slice(Q::CLOSING);
            return Ok((writer.bytes.into(), None));
        }
        Ok((writer.bytes.into(), Some(self)))
    }
}

/// The same request, from there on.
fn link_to(uri: &Uri, cursor: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if name != "cursor" {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("cursor", cursor);
    format!("<{}?{}>; rel=\"next\"", uri.path(), query.finish())
}
