//! How long answers are cut into pages, and what is in a page token: the position that all pages
//! are about, where to go on, and a digest by which a token is known to belong to its request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use configapi_domain::Position;
use configapi_proto::{ApiError, Token};
use sha2::{Digest, Sha256};

use crate::limits::Limits;
use crate::view::View;

/// The page size that 0 stands for.
const DEFAULT_ITEMS: u32 = 100;
/// The largest page size.
const MAX_ITEMS: u32 = 10_000;
/// The form of the tokens that are written here.
const FORM: u8 = 1;
const DIGEST_BYTES: usize = 16;
const FIXED_BYTES: usize = 1 + 3 * 8;

/// What a page token must fit to: all fields of the request that have to stay the same.
#[derive(Debug)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Of a request of this kind.
    pub fn new(query: &str) -> Self {
        Self(Sha256::new()).text(query)
    }

    /// With this field.
    pub fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// With this field, in its encoded form.
    pub fn message(mut self, message: Option<&impl prost::Message>) -> Self {
        let bytes = message.map(prost::Message::encode_to_vec);
        self.0.update([u8::from(bytes.is_some())]);
        let bytes = bytes.unwrap_or_default();
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// With this field.
    pub fn number(mut self, number: u64) -> Self {
        self.0.update(number.to_be_bytes());
        self
    }

    fn digest(&self, token: &[u8]) -> [u8; DIGEST_BYTES] {
        let whole: [u8; 32] = self.0.clone().chain_update(token).finalize().into();
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&whole[..DIGEST_BYTES]);
        digest
    }
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageToken {
    /// The state that all pages are about; of two, the later one.
    pub at: Token,
    /// The other position of a comparison, or 0.
    pub other: Position,
    /// What the last page ended with.
    pub last: Vec<u8>,
}

/// Which page of an answer is wanted.
#[derive(Debug)]
pub(crate) struct Paging {
    fingerprint: Fingerprint,
    /// The most items on it.
    pub items: usize,
    /// None means the first.
    pub token: Option<PageToken>,
}

impl Paging {
    /// Reads the paging fields of a request.
    pub fn parse(fingerprint: Fingerprint, page_size: u32, token: &str) -> Result<Self, ApiError> {
        let items = match page_size {
            0 => DEFAULT_ITEMS,
            size => size.min(MAX_ITEMS),
        };
        let token = match token {
            "" => None,
            text => Some(read(&fingerprint, text).ok_or_else(foreign)?),
        };
        Ok(Self { fingerprint, items: usize::try_from(items).unwrap_or(usize::MAX), token })
    }

    /// What the last page ended with, as text; none on the first page.
    pub fn last_text(&self) -> Result<Option<&str>, ApiError> {
        let Some(token) = &self.token else { return Ok(None) };
        std::str::from_utf8(&token.last).map(Some).map_err(|_| foreign())
    }

    /// What the last page ended with, as a number; none on the first page.
    pub fn last_number(&self) -> Result<Option<u64>, ApiError> {
        let Some(token) = &self.token else { return Ok(None) };
        let bytes = token.last.as_slice().try_into().map_err(|_| foreign())?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    /// The token for the page after one that ended with `last`.
    pub fn next(&self, view: &View, at: Position, other: Position, last: &[u8]) -> String {
        let at = view.token(at);
        let mut bytes = Vec::with_capacity(FIXED_BYTES + last.len() + DIGEST_BYTES);
        bytes.push(FORM);
        for number in [at.epoch, at.position, other.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(last);
        let digest = self.fingerprint.digest(&bytes);
        bytes.extend_from_slice(&digest);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn read(fingerprint: &Fingerprint, text: &str) -> Option<PageToken> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (told, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST_BYTES)?)?;
    if fingerprint.digest(told) != digest {
        return None;
    }
    let (fixed, last) = told.split_at_checked(FIXED_BYTES)?;
    let (form, numbers) = fixed.split_first()?;
    let mut numbers =
        numbers.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_be_bytes));
    let at = Token { epoch: numbers.next()?, position: numbers.next()? };
    let other = Position(numbers.next()?);
    (*form == FORM).then(|| PageToken { at, other, last: last.to_vec() })
}

pub(super) fn foreign() -> ApiError {
    ApiError::invalid("page_token", "does not belong to this request")
}

/// How much still fits on a page.
#[derive(Debug)]
pub(crate) struct Room {
    items: usize,
    bytes: usize,
    visits: usize,
    is_empty: bool,
}

impl Room {
    /// An empty page.
    pub fn new(paging: &Paging, limits: &Limits) -> Self {
        Self {
            items: paging.items,
            bytes: limits.page_bytes,
            visits: limits.page_visits,
            is_empty: true,
        }
    }

    /// Takes an item of so many bytes, if it fits. The first one always does.
    pub fn take(&mut self, bytes: usize) -> bool {
        if !self.is_empty && (self.items == 0 || bytes > self.bytes) {
            return false;
        }
        self.is_empty = false;
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }

    /// Counts that something was looked at. Answers whether there may be more looking.
    pub fn look(&mut self) -> bool {
        self.visits = self.visits.saturating_sub(1);
        self.visits > 0
    }
}
