//! Page tokens and snapshots from anybody: any text and any bytes, and good ones that were changed,
//! are refused, never a panic and never taken for something else. `PROPTEST_CASES` asks for more.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use configapi_proto::v1::ListRequest;
use configapi_proto::{ApiError, Reason};
use configapi_query_service::snapshot;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

use crate::snapshots::whole_snapshot;
use crate::support::{Server, Writer, memory_log};

/// So many cases, unless `PROPTEST_CASES` says how many.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

/// A change of a text or of bytes.
#[derive(Debug, Clone)]
enum Change {
    Put(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn changes(byte: impl Strategy<Value = u8> + Clone) -> impl Strategy<Value = Vec<Change>> {
    let at = || any::<prop::sample::Index>();
    let change = prop_oneof![
        (at(), byte.clone()).prop_map(|(at, byte)| Change::Put(at, byte)),
        (at(), byte).prop_map(|(at, byte)| Change::Insert(at, byte)),
        at().prop_map(Change::Remove),
        at().prop_map(Change::Cut),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ];
    prop::collection::vec(change, 1..4)
}

fn changed(whole: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for change in changes {
        let place = |at: &prop::sample::Index| at.index(bytes.len().max(1)).min(bytes.len());
        match change {
            Change::Put(at, byte) => {
                let at = place(at);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Change::Insert(at, byte) => bytes.insert(place(at), *byte),
            Change::Remove(at) if !bytes.is_empty() => {
                bytes.remove(place(at));
            }
            Change::Remove(_) => {}
            Change::Cut(at) => bytes.truncate(place(at)),
            Change::Repeat(from, to) => {
                let (from, to) = (place(from), place(to));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(to..to, part);
            }
        }
    }
    bytes
}

/// A server with a good page token, for all cases.
struct Pages {
    runtime: Runtime,
    server: Server,
    token: String,
}

fn pages() -> &'static Pages {
    static PAGES: OnceLock<Pages> = OnceLock::new();
    PAGES.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (server, token) = runtime.block_on(async {
            let log = memory_log(1);
            let mut writer = Writer::new(log.clone()).await;
            for number in 0..8 {
                writer.set(&format!("default/item-{number}"), "1").await;
            }
            let server = Server::ready(log).await;
            let token = server.list(page("")).await.unwrap().next_page_token;
            (server, token)
        });
        Pages { runtime, server, token }
    })
}

fn page(token: &str) -> ListRequest {
    ListRequest { page_size: 4, page_token: token.to_owned(), ..ListRequest::default() }
}

/// Why the page was refused; none if there was one.
fn refusal(token: &str) -> Option<Reason> {
    let pages = pages();
    let answer = pages.runtime.block_on(pages.server.list(page(token)));
    answer.err().map(|status| ApiError::from_status(&status).reason)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn no_text_is_taken_for_a_page_token(token in prop_oneof![".{1,80}", "[A-Za-z0-9_-]{1,90}"]) {
        prop_assert_eq!(refusal(&token), Some(Reason::InvalidArgument));
    }

    #[test]
    fn a_page_token_that_was_changed_is_refused(
        changes in changes(prop::sample::select(b"ABCXYZabcxyz0189-_=+/ ".to_vec())),
    ) {
        let good = &pages().token;
        let token = String::from_utf8(changed(good.as_bytes(), &changes)).unwrap();
        // An empty one asks for the first page.
        if token == *good || token.is_empty() {
            return Ok(());
        }
        prop_assert_eq!(refusal(&token), Some(Reason::InvalidArgument));
    }
}

/// A good snapshot, and a file to try others.
fn with_snapshot<T>(use_it: impl FnOnce(&[u8], &Path) -> T) -> T {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    let whole = WHOLE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(whole_snapshot(20))
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    use_it(whole, file.path())
}

fn is_taken(path: &Path, bytes: &[u8]) -> bool {
    fs::write(path, bytes).unwrap();
    snapshot::inspect(path).is_ok()
}

#[test]
fn the_snapshot_that_is_changed_below_is_good() {
    with_snapshot(|whole, path| assert!(is_taken(path, whole)));
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn no_bytes_are_taken_for_a_snapshot(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        begins_well in any::<bool>(),
    ) {
        with_snapshot(|whole, path| {
            let start = if begins_well { &whole[..whole.len() / 2] } else { &[] };
            prop_assert!(!is_taken(path, &[start, &bytes].concat()));
            Ok(())
        })?;
    }

    #[test]
    fn a_snapshot_that_was_changed_is_refused(changes in changes(any::<u8>())) {
        with_snapshot(|whole, path| {
            let bytes = changed(whole, &changes);
            prop_assert!(bytes == whole || !is_taken(path, &bytes));
            Ok(())
        })?;
    }
}

/// What a snapshot begins with, before its blocks.
const MAGIC_BYTES: usize = 8;
/// The kind of a block and its length.
const HEAD_BYTES: usize = 5;
const CHECKSUM_BYTES: usize = 32;

/// The blocks of a snapshot: what kind each is, and what it holds.
fn blocks(whole: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut blocks, mut rest) = (Vec::new(), &whole[MAGIC_BYTES..]);
    while let Some((head, after)) = rest.split_at_checked(HEAD_BYTES) {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let (payload, after) = after.split_at(usize::try_from(length).unwrap());
        blocks.push((head[0], payload.to_vec()));
        rest = &after[CHECKSUM_BYTES..];
    }
    blocks
}

/// A snapshot of these blocks, with checksums that are right.
fn sealed(magic: &[u8], blocks: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut chain) = (magic.to_vec(), vec![0; CHECKSUM_BYTES]);
    for (kind, payload) in blocks {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let block = [&[*kind][..], &length, payload].concat();
        chain = Sha256::new().chain_update(&chain).chain_update(&block).finalize().to_vec();
        bytes.extend([block.as_slice(), &chain].concat());
    }
    bytes
}

#[test]
fn what_is_sealed_anew_below_is_sealed_as_the_server_does() {
    with_snapshot(|whole, _| assert!(sealed(&whole[..MAGIC_BYTES], &blocks(whole)) == whole));
}

proptest! {
    #![proptest_config(cases(200))]

    /// The checksums keep damage away from what reads the blocks; this goes past them.
    #[test]
    fn a_snapshot_that_was_changed_and_sealed_anew_is_no_panic(
        at in any::<prop::sample::Index>(),
        changes in changes(prop_oneof![any::<u8>(), Just(0xff), Just(0), Just(0x80)]),
    ) {
        with_snapshot(|whole, path| {
            let mut blocks = blocks(whole);
            let at = at.index(blocks.len());
            blocks[at].1 = changed(&blocks[at].1, &changes);
            // It may be taken: somebody who can seal it can also make a good one. The log decides.
            let _ = is_taken(path, &sealed(&whole[..MAGIC_BYTES], &blocks));
        });
    }
}
