//! What an event will weigh in the log, known before it is encoded: whoever decides many at once has
//! to stop in time.

use configapi_domain::{ConfigEvent, Value};

/// About how many bytes the row of an event takes.
pub fn encoded_bytes(stream: &str, event: &ConfigEvent) -> usize {
    const FIXED_BYTES: usize = 256;
    let texts_bytes = match event {
        ConfigEvent::Set { content, old_value }
        | ConfigEvent::Restored { content, old_value, .. } => {
            json_bytes(&content.value) + old_value.as_ref().map_or(0, json_bytes)
        }
        ConfigEvent::Deleted { deleted } => json_bytes(&deleted.value),
    };
    FIXED_BYTES + stream.len() + texts_bytes
}

/// JSON writes a control character with six bytes, or with two, and quotes and backslashes with two.
fn json_bytes(value: &Value) -> usize {
    let text = value.as_str();
    // Without branches, because it is asked of every value that is written.
    let escaped_bytes =
        |byte: u8| usize::from(byte < 0x20) * 5 + usize::from(byte == b'"' || byte == b'\\');
    text.len() + text.bytes().map(escaped_bytes).sum::<usize>()
}
