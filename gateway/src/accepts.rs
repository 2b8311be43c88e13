//! Which of the two forms of an answer a client wants: the plain text that this API has always
//! spoken, or JSON.

use http::{HeaderMap, header::ACCEPT};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// What old clients and curl get.
    #[default]
    Text,
    /// For those who ask for it.
    Json,
}

impl Format {
    /// What the client accepts more gladly. When in doubt it is text: many libraries accept JSON,
    /// text and everything alike, and have always been given text.
    pub fn wanted_by(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(ACCEPT).iter();
        let Some(first) = values.next() else { return Self::Text };
        match (first.as_bytes(), values.next()) {
            (b"*/*", None) => return Self::Text,
            (b"application/json", None) => return Self::Json,
            _ => {}
        }
        let (mut text, mut json) = (Wanted::default(), Wanted::default());
        for (name, quality) in ranges(headers) {
            match &*name {
                "application/json" | "application/problem+json" => json.hear(Wanted(2, quality)),
                "application/*" => json.hear(Wanted(1, quality)),
                "text/plain" => text.hear(Wanted(2, quality)),
                "text/*" => text.hear(Wanted(1, quality)),
                _ => {}
            }
        }
        // A range that names neither, such as */*, leaves it at text.
        if json.1 > 0 && (json.1, json.0) > (text.1, text.0) { Self::Json } else { Self::Text }
    }
}

/// Whether a client names events among what it accepts, as browsers do that watch. `*/*` names nothing.
pub(crate) fn names_events(headers: &HeaderMap) -> bool {
    ranges(headers).any(|(name, quality)| name == "text/event-stream" && quality > 0)
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = (String, u16)> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(range_of)
}

/// How exactly a form was named, and how much it is wanted, in thousandths.
#[derive(Default)]
struct Wanted(u8, u16);

impl Wanted {
    /// The more exact range counts; of two that are equally exact, the better one.
    fn hear(&mut self, other: Self) {
        if (other.0, other.1) > (self.0, self.1) {
            *self = other;
        }
    }
}

fn range_of(range: &str) -> (String, u16) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts
        .filter_map(|part| part.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("q"))
        .map_or(1000, |(_, quality)| thousandths(quality.trim()));
    (name, quality)
}

/// `0`, `0.5`, `1.000`; what cannot be read is not wanted.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 {
        return 0;
    }
    match whole.parse::<u16>() {
        Ok(0) => format!("{fraction:0<3}").parse().unwrap_or(0),
        Ok(1) => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        Format::wanted_by(&headers)
    }

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for accept in [
            "application/json",
            "application/problem+json",
            "Application/JSON; charset=utf-8",
            "text/plain;q=0.5, application/json",
            "text/*, application/json",
            "application/json, */*;q=0.1",
            "text/html, application/*;q=0.3",
        ] {
            assert_eq!(wanted(accept), Format::Json, "{accept}");
        }
    }

    #[test]
    fn text_is_for_everybody_else() {
        assert_eq!(Format::wanted_by(&HeaderMap::new()), Format::Text);
        for accept in [
            "*/*",
            "",
            "text/plain",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/json, text/plain, */*",
            "application/json;q=0",
            "application/json;q=nonsense",
            "application/json;q=0.4, text/plain;q=0.5",
            "image/png",
        ] {
            assert_eq!(wanted(accept), Format::Text, "{accept}");
        }
    }
}
