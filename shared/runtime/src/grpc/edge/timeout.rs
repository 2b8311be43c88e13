//! The header `grpc-timeout`, read as the gRPC specification says and not a bit more leniently.

use std::time::Duration;

use http::HeaderMap;

const HEADER: &str = "grpc-timeout";
const MAX_DIGITS: usize = 8;

/// The header is there and is not a timeout.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadTimeout;

/// The timeout that the client set, if it set one.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<Duration>, BadTimeout> {
    let mut values = headers.get_all(HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => parse(value.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(BadTimeout),
    }
}

fn parse(text: &[u8]) -> Result<Duration, BadTimeout> {
    let (unit, digits) = text.split_last().ok_or(BadTimeout)?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadTimeout);
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Ok(Duration::from_secs(number * 3600)),
        b'M' => Ok(Duration::from_secs(number * 60)),
        b'S' => Ok(Duration::from_secs(number)),
        b'm' => Ok(Duration::from_millis(number)),
        b'u' => Ok(Duration::from_micros(number)),
        b'n' => Ok(Duration::from_nanos(number)),
        _ => Err(BadTimeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood() {
        let read = |text: &str| parse(text.as_bytes());
        assert_eq!(read("2H"), Ok(Duration::from_hours(2)));
        assert_eq!(read("3M"), Ok(Duration::from_mins(3)));
        assert_eq!(read("4S"), Ok(Duration::from_secs(4)));
        assert_eq!(read("00000005m"), Ok(Duration::from_millis(5)));
        assert_eq!(read("6u"), Ok(Duration::from_micros(6)));
        assert_eq!(read("99999999n"), Ok(Duration::from_nanos(99_999_999)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", " 1S", "1S ", "123456789S", "1SS"] {
            assert_eq!(parse(text.as_bytes()), Err(BadTimeout), "{text:?}");
        }
    }
}
