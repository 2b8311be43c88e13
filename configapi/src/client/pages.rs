//! Answers that come in pages, one page in memory at a time.

use configapi_proto::v1::{Config, ListRequest, ReadState};

use super::Queries;
use crate::failure::Failure;

/// Items of one page.
const PAGE_ITEMS: u32 = 1_000;

/// Where an answer of many pages stands, and how many items are still wanted.
#[derive(Debug, Clone)]
pub struct Pager {
    left: Option<u64>,
    token: Option<String>,
}

impl Pager {
    /// Before the first page of an answer of at most so many items.
    pub fn new(limit: Option<u64>) -> Self {
        Self { left: limit, token: Some(String::new()) }
    }

    /// Size and token of the next page, if there is one.
    pub fn next(&self) -> Option<(u32, String)> {
        let token = self.token.clone()?;
        let wanted = self.left.unwrap_or(u64::from(PAGE_ITEMS));
        let size = u32::try_from(wanted).unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
        (size > 0).then_some((size, token))
    }

    /// Notes what a page brought.
    pub fn got(&mut self, items: usize, next_page_token: String) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(u64::try_from(items).unwrap_or(u64::MAX));
        }
        self.token = (!next_page_token.is_empty()).then_some(next_page_token);
    }
}

/// Hands over the configs of a List, page after page, all of one state; then says which.
pub async fn list_pages(
    queries: &Queries,
    mut request: ListRequest,
    limit: Option<u64>,
    mut each: impl FnMut(Vec<Config>) -> Result<(), Failure>,
) -> Result<ReadState, Failure> {
    let mut pager = Pager::new(limit);
    let mut state = None;
    while let Some((page_size, page_token)) = pager.next() {
        request.page_size = page_size;
        request.page_token = page_token;
        let page = queries
            .ask(request.clone(), async |mut client, query| client.list(query).await)
            .await?;
        state = page.state;
        pager.got(page.configs.len(), page.next_page_token);
        each(page.configs)?;
    }
    Ok(state.unwrap_or_default())
}
