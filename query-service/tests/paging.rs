//! Answers in pages: all about one position, whatever is written meanwhile, and none too large.

use configapi_proto::Reason;

use configapi_proto::v1::{DiffRequest, HistoryRequest, ListRequest, PointInTime, point_in_time};
use configapi_query_service::{Limits, QuerySettings};
use prost::Message as _;
use tonic::Request;

use crate::oracle;
use crate::support::{Op, Server, Writer, key, memory_log, quick, reason_of};

async fn written(count: usize) -> (Writer, Server) {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    for number in 0..count {
        writer.set(&format!("default/item-{number:03}"), &number.to_string()).await;
    }
    let server = Server::ready(log).await;
    (writer, server)
}

#[tokio::test]
async fn all_pages_are_about_one_position_while_writes_go_on() {
    let (mut writer, server) = written(25).await;
    let expected: Vec<_> = oracle::configs(&writer.written, 25).into_values().collect();
    let mut request = ListRequest { page_size: 4, ..ListRequest::default() };
    let mut configs = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let page = server.list(request.clone()).await.unwrap();
        assert_eq!(page.state.unwrap().position, 25);
        sizes.push(page.configs.len());
        configs.extend(page.configs);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        writer.set(&format!("default/item-{:03}-new", sizes.len() * 4), "new").await;
        writer.delete(&format!("default/item-{:03}", 24 - sizes.len())).await;
        let token = writer.set("default/item-000", "changed").await;
        server.value("default/item-000", &token).await;
    }
    assert_eq!(configs, expected);
    assert_eq!(sizes, [4, 4, 4, 4, 4, 4, 1]);
}

#[tokio::test]
async fn a_full_last_page_has_no_next_page() {
    let (_, server) = written(8).await;
    let request = ListRequest { page_size: 4, ..ListRequest::default() };
    let first = server.list(request.clone()).await.unwrap();
    let request = ListRequest { page_token: first.next_page_token, ..request };
    assert_eq!(server.list(request).await.unwrap().next_page_token, "");
}

/// However many deleted configs lie before one that is not.
#[tokio::test]
async fn pages_of_any_size_pass_by_what_was_deleted() {
    let (mut writer, server) = written(90).await;
    for number in (0..90).filter(|number| (3..62).contains(number) || number % 5 == 0) {
        writer.delete(&format!("default/item-{number:03}")).await;
    }
    let token = writer.set("default/last", "set").await;
    server.value("default/last", &token).await;
    let position = writer.written.len().try_into().unwrap();
    let expected: Vec<_> = oracle::configs(&writer.written, position).into_values().collect();
    for page_size in 1..=40 {
        let mut request = ListRequest { page_size, ..ListRequest::default() };
        let mut configs = Vec::new();
        loop {
            let page = server.list(request.clone()).await.unwrap();
            configs.extend(page.configs);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(configs, expected, "in pages of {page_size}");
    }
}

#[tokio::test]
async fn a_page_token_belongs_to_its_request() {
    let (_, server) = written(8).await;
    let at =
        |position| Some(PointInTime { moment: Some(point_in_time::Moment::Position(position)) });
    let request = ListRequest { page_size: 4, at: at(8), ..ListRequest::default() };
    let token = server.list(request.clone()).await.unwrap().next_page_token;
    let refused = |request| async {
        let status = server.list(request).await.unwrap_err();
        let error = configapi_proto::ApiError::from_status(&status);
        assert_eq!(error.reason, Reason::InvalidArgument);
        assert_eq!(error.field_violations[0].field, "page_token");
    };
    let with = |token: &str| ListRequest { page_token: token.to_owned(), ..request.clone() };
    refused(ListRequest { prefix: "item".to_owned(), ..with(&token) }).await;
    for other in [at(7), None] {
        refused(ListRequest { at: other, ..with(&token) }).await;
    }
    refused(ListRequest { keys_only: true, ..with(&token) }).await;
    refused(ListRequest { namespace: "default".to_owned(), ..with(&token) }).await;
    refused(with("no token")).await;
    refused(with("AAAA")).await;
    for at in 0..token.len() {
        let mut text = token.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        refused(with(&String::from_utf8(text).unwrap())).await;
        if at > 0 {
            refused(with(&token[..at])).await;
        }
    }
    // Only these two may change.
    let page = ListRequest { page_size: 9, ..with(&token) };
    assert_eq!(server.list(page).await.unwrap().configs.len(), 4);
}

#[tokio::test]
async fn a_page_of_large_values_fits_into_four_mebibytes() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let large = "v".repeat(1_000_000);
    for number in 0..9 {
        writer.set(&format!("default/large-{number}"), &large).await;
        writer.set("default/hot", &large).await;
    }
    let server = Server::ready(log).await;

    let mut request = ListRequest { page_size: 10_000, ..ListRequest::default() };
    let mut count = 0;
    loop {
        let page = server.list(request.clone()).await.unwrap();
        assert!(page.encoded_len() < 4 << 20);
        assert!(!page.configs.is_empty());
        count += page.configs.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(count, 10);

    let mut request = HistoryRequest { name: "hot".to_owned(), ..HistoryRequest::default() };
    let mut versions = Vec::new();
    loop {
        let page = server
            .client
            .clone()
            .history(Request::new(request.clone()))
            .await
            .unwrap()
            .into_inner();
        assert!(page.encoded_len() < 4 << 20);
        versions.extend(page.events.iter().map(|event| event.version));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(versions, (1..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn histories_and_differences_come_in_pages_too() {
    let (mut writer, server) = written(10).await;
    for number in 0..10 {
        writer.set("default/item-003", &format!("again {number}")).await;
    }
    writer.delete("default/item-007").await;
    server.value("default/item-003", &writer.token()).await;
    let end = writer.written.len() as u64;

    let mut request = HistoryRequest {
        name: "item-003".to_owned(),
        order: 2,
        page_size: 4,
        ..HistoryRequest::default()
    };
    let mut versions = Vec::new();
    loop {
        let page = server
            .client
            .clone()
            .history(Request::new(request.clone()))
            .await
            .unwrap()
            .into_inner();
        versions.extend(page.events.iter().map(|event| event.version));
        if page.next_page_token.is_empty() {
            break;
        }
        writer.set("default/item-003", "even later").await;
        request.page_token = page.next_page_token;
    }
    assert_eq!(versions, (1..=11).rev().collect::<Vec<_>>());

    for (from, to) in [(4, end), (end, 4)] {
        let point = |position| {
            Some(PointInTime { moment: Some(point_in_time::Moment::Position(position)) })
        };
        let mut request = DiffRequest {
            from: point(from),
            to: point(to),
            page_size: 2,
            ..DiffRequest::default()
        };
        let mut entries = Vec::new();
        loop {
            let page = server
                .client
                .clone()
                .diff(Request::new(request.clone()))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(page.from_state.unwrap().position, from);
            assert_eq!(page.to_state.unwrap().position, to);
            entries.extend(page.entries);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(entries, oracle::diff(&writer.written, from, to));
    }
}

/// Many namespaces, of which few have a config that is meant; behind and before it there are others.
async fn sparse(writer: &mut Writer) -> Vec<String> {
    let mut wanted = Vec::new();
    for number in 0..120 {
        let mut names = vec!["aside", "zone"];
        if number % 50 == 7 {
            names.extend(["main/a", "main/b"]);
        }
        let streams = names.into_iter().map(|name| format!("ns-{number:03}/{name}"));
        let ops: Vec<_> = streams.map(|it| (key(&it), Op::Set("1".to_owned()))).collect();
        wanted.extend(ops.iter().map(|(key, _)| key.stream().to_owned()));
        writer.commit(ops).await;
    }
    wanted.retain(|stream| stream.contains("/main/"));
    wanted
}

#[tokio::test]
async fn the_namespaces_that_a_list_passes_count_for_its_pages() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let wanted = sparse(&mut writer).await;
    for page_visits in [1, 2, 20] {
        let limits = Limits { page_visits, ..quick().limits };
        let server = Server::start(log.clone(), &QuerySettings { limits, ..quick() });
        server.until_ready().await;
        let (all_namespaces, prefix) = (true, "main".to_owned());
        let mut request = ListRequest { all_namespaces, prefix, ..ListRequest::default() };
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = server.list(request.clone()).await.unwrap();
            pages += 1;
            assert!(page.configs.len() <= page_visits, "{page:?}");
            found.extend(page.configs.iter().map(|it| format!("{}/{}", it.namespace, it.name)));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(found, wanted, "{page_visits} a page");
        // Each namespace is looked at twice: before what is meant, and behind.
        assert!(pages > 2 * 110 / page_visits, "{pages} pages of {page_visits}");
    }
}

#[tokio::test]
async fn the_namespaces_that_a_comparison_passes_count_for_its_pages() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let wanted = sparse(&mut writer).await;
    // Moments that lie far apart are compared config by config.
    for number in 0..11 {
        let set = |part| (key(&format!("ns-000/aside/{number}/{part}")), Op::Set("1".to_owned()));
        writer.commit((0..1_000).map(set).collect()).await;
    }
    let limits = Limits { page_visits: 20, ..quick().limits };
    let server = Server::start(log, &QuerySettings { limits, ..quick() });
    server.until_ready().await;
    let from = Some(PointInTime { moment: Some(point_in_time::Moment::Position(0)) });
    let (all_namespaces, prefix) = (true, "main".to_owned());
    let mut request = DiffRequest { from, all_namespaces, prefix, ..DiffRequest::default() };
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = server.client.clone().diff(Request::new(request.clone())).await;
        let page = page.unwrap().into_inner();
        pages += 1;
        found.extend(page.entries.iter().map(|it| format!("{}/{}", it.namespace, it.name)));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(found, wanted);
    assert!(pages > 10, "{pages}");
}

#[tokio::test]
async fn a_page_token_of_a_lost_tail_is_refused() {
    let (_, server) = written(3).await;
    let request = ListRequest { page_size: 1, ..ListRequest::default() };
    let token = server.list(request.clone()).await.unwrap().next_page_token;

    let promoted = memory_log(1);
    let mut survivor = Writer::new(promoted.clone()).await;
    survivor.set("default/item-000", "0").await;
    let log = configapi_event_log::EventLog::begin_epoch(&*promoted, &survivor.head).await.unwrap();
    survivor.head.epoch = log;
    survivor.set("default/item-001", "1").await;
    survivor.set("default/item-002", "2").await;
    let other = Server::ready(promoted).await;
    let request = ListRequest { page_token: token, ..request };
    let status = other.list(request).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::LogChanged);
}
