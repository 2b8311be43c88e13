//! Why a text could not become a newtype. It names the field and what the field wants; it never
//! repeats what was sent, because that may be a secret.

/// A text that breaks the rules of the field it was meant for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {wants}")]
pub struct Invalid {
    /// The field as clients know it, such as `name` or `value`.
    pub field: &'static str,
    /// What the field wants, as a sentence fragment: `must be 1 to 256 bytes, has 300`.
    pub wants: String,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, wants: impl Into<String>) -> Self {
        Self { field, wants: wants.into() }
    }
}

/// Refuses a text longer than `max` bytes or with a control character that is not allowed.
pub(crate) fn plain_text(field: &'static str, text: &str, max: usize) -> Result<(), Invalid> {
    if text.len() > max {
        return Err(Invalid::new(
            field,
            format!("must be at most {max} bytes, has {}", text.len()),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, "must not hold control characters"));
    }
    Ok(())
}
