//! What is true before an import, as little of it as is needed to see what differs: for each config
//! a digest, its version and its content type; some 50 bytes.

use configapi_proto::v1::{ListRequest, ReadState};
use indicatif::{ProgressBar, ProgressStyle};

use super::digest::Digest;
use crate::arguments::linearizable;
use crate::client::{Queries, list_pages};
use crate::failure::Failure;

/// What is true before an import.
#[derive(Debug)]
pub struct Present {
    /// The state that this is about.
    pub state: ReadState,
    prefix: String,
    /// In order of the names' digests.
    configs: Vec<PresentConfig>,
    content_types: Vec<String>,
}

/// One config as it is.
#[derive(Debug, Clone, Copy)]
struct PresentConfig {
    name: Digest,
    value: Digest,
    version: u64,
    content_type: u32,
}

/// What is known about one config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    pub value: Digest,
    pub version: u64,
    pub content_type: &'a str,
}

impl Known<'_> {
    /// The digest of value and content type.
    pub fn content(&self) -> Digest {
        Digest::of_content(self.value, self.content_type)
    }
}

impl Present {
    /// Reads the configs whose names begin like this, everything acknowledged before included.
    pub async fn read(queries: &Queries, namespace: &str, prefix: String) -> Result<Self, Failure> {
        let progress = ProgressBar::new_spinner().with_style(style());
        let request = ListRequest {
            namespace: namespace.to_owned(),
            prefix: prefix.clone(),
            consistency: Some(linearizable()),
            ..ListRequest::default()
        };
        let mut content_types = Vec::new();
        let mut configs = Vec::new();
        let state = list_pages(queries, request, None, |page| {
            for config in page {
                configs.push(PresentConfig {
                    name: Digest::of(&config.name),
                    value: Digest::of(&config.value),
                    version: config.version,
                    content_type: index_of(&mut content_types, config.content_type),
                });
            }
            progress.set_position(u64::try_from(configs.len()).unwrap_or(u64::MAX));
            Ok(())
        })
        .await?;
        progress.finish_and_clear();
        configs.sort_unstable_by_key(|config| config.name);
        Ok(Self { state, prefix, configs, content_types })
    }

    /// Reads the same configs again, as they are now.
    pub async fn read_again(&self, queries: &Queries, namespace: &str) -> Result<Self, Failure> {
        Self::read(queries, namespace, self.prefix.clone()).await
    }

    /// What is known about the config of this name.
    pub fn find(&self, name: &str) -> Option<Known<'_>> {
        let name = Digest::of(name);
        let index = self.configs.binary_search_by_key(&name, |config| config.name).ok()?;
        let PresentConfig { value, version, content_type, .. } = *self.configs.get(index)?;
        let content_type = usize::try_from(content_type).ok()?;
        Some(Known { value, version, content_type: self.content_types.get(content_type)? })
    }
}

/// Where a content type is kept. There are few, so each is kept once.
fn index_of(content_types: &mut Vec<String>, content_type: String) -> u32 {
    let known = content_types.iter().position(|known| *known == content_type);
    let index = known.unwrap_or_else(|| {
        content_types.push(content_type);
        content_types.len() - 1
    });
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {human_pos} configs compared ({per_sec})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
