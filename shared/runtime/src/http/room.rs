//! The room that one HTTP server has for large answers.

use axum::response::Response;
use bytes::Bytes;
use http::Method;
use http_body::Body as _;

use crate::{
    answers::SMALL_BYTES,
    budget::{Budget, Full, Place},
};

/// As many bytes of large answers as a server holds for clients that have not taken them yet. Clones
/// are the same room.
#[derive(Debug, Clone)]
pub struct Room(Budget);

/// Goes with a response whose body is large, but comes in pieces that are made one after the other. Each
/// is asked for once the one before was taken, and has to be taken in the time that an answer has. Small
/// pieces are not waited for: hyper takes few of them ahead.
#[derive(Debug, Clone, Copy)]
pub struct InPieces {
    /// How large the first one is. The others are about as large, or smaller.
    pub first_bytes: usize,
}

/// Goes with a response that has no end. Each large piece of it takes room once it is made, and has to be
/// taken in the time that an answer has.
#[derive(Debug, Clone)]
pub struct Endless {
    /// What takes the place of a large piece for which there is no room. The response ends with it.
    pub last_words: Bytes,
}

impl Room {
    /// For so many bytes.
    pub(super) fn new(max_answer_bytes: usize) -> Self {
        Self(Budget::new(max_answer_bytes))
    }

    /// A place for so much of a small answer, to a client that has left many untaken.
    pub(super) fn place_for(&self, bytes: usize) -> Result<Place, Full> {
        self.0.place_for(bytes)
    }

    /// Holds an answer's place until it was taken, if it is large and has none yet. What was done is
    /// told in any case, whatever room it takes; so only answers to those who read can be refused.
    pub fn hold(&self, method: &Method, response: &mut Response) -> Result<(), Full> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        if response.extensions().get::<Endless>().is_some() {
            response.extensions_mut().insert(self.0.clone());
            return Ok(());
        }
        let exact = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok());
        let held_bytes = match response.extensions().get::<InPieces>() {
            // However small the first one is, there has to be a place that can grow.
            Some(pieces) => Some(pieces.first_bytes.max(1)),
            None => exact.filter(|&bytes| bytes > SMALL_BYTES),
        };
        if let Some(bytes) = held_bytes
            && response.extensions().get::<Place>().is_none()
        {
            let place = self.0.place_for(bytes)?;
            response.extensions_mut().insert(place);
        }
        Ok(())
    }
}
