//! The parameters of a query by their names, decoded before they are compared, however a client has
//! encoded them.

use std::borrow::Cow;

use configapi_proto::ApiError;
use http::Uri;
use http::uri::PathAndQuery;

use crate::routes::VERSIONED;

/// How much of a parameter's name is repeated to whoever sent it.
const MAX_SHOWN_CHARS: usize = 40;

/// The values of one parameter, in their order.
pub(crate) fn values<'a>(uri: &'a Uri, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .filter_map(move |(key, value)| (key == name).then_some(value))
}

/// What parameters a query may have.
pub(crate) trait Parameters {
    /// All that a read knows, for a misspelt `prefix` must not read everything. None where they are
    /// refused as they are parsed, or are a part of what the route knows.
    const KNOWN: Option<&'static [&'static str]> = None;
}

/// Refuses a parameter that the route does not know, but for those that only keep caches from
/// answering, such as `_=123`. The routes of old clients take any, as they always did.
pub(crate) fn check_known(uri: &Uri, known: &[&str]) -> Result<(), ApiError> {
    let path = uri.path_and_query().map_or("", PathAndQuery::path);
    if !path.strip_prefix(VERSIONED).is_some_and(|rest| rest.starts_with('/')) {
        return Ok(());
    }
    let query = uri.query().unwrap_or_default();
    let foreign = form_urlencoded::parse(query.as_bytes())
        .map(|(name, _)| name)
        .find(|name| !name.starts_with('_') && !known.contains(&&**name));
    match foreign {
        None => Ok(()),
        Some(name) => {
            let shown: String = name.escape_debug().take(MAX_SHOWN_CHARS).collect();
            let known = known.join("`, `");
            let what = format!("unknown parameter `{shown}`, expected one of `{known}`");
            let field = if is_name(&name) { &*shown } else { "query" };
            Err(ApiError::invalid(field, what))
        }
    }
}

/// Whether this is the name of a parameter rather than a sentence or nothing.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
