//! The parameters of a query by their names, decoded before they are compared, however a client has
//! encoded them.

use std::borrow::Cow;

use http::Uri;

/// The values of one parameter, in their order.
pub(crate) fn values<'a>(uri: &'a Uri, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .filter_map(move |(key, value)| (key == name).then_some(value))
}
