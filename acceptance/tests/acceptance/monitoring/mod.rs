//! What a running system tells its operators: its metrics, and the dashboard and alerts made of
//! them.

mod deploy;
mod exposition;

use configapi_acceptance::{AllInOne, Binary, Process, Rest, eventually};
use openmetrics_parser::openmetrics::parse_openmetrics;
use openmetrics_parser::{MetricsExposition, OpenMetricsType, OpenMetricsValue};
use reqwest::{Method, StatusCode};

/// A page of metrics, as it came and as a scraper understands it.
struct Page {
    text: String,
    parsed: MetricsExposition<OpenMetricsType, OpenMetricsValue>,
}

/// The metrics of a live system, after requests that went well and requests that did not.
async fn scraped() -> Page {
    let folder = tempfile::tempdir().unwrap();
    let system = AllInOne::start("memory:", folder.path()).await;
    let rest = system.rest();
    for value in ["1", "2", "3"] {
        assert_eq!(rest.put("secret-name", value).await.unwrap().0, StatusCode::OK);
    }
    rest.get("/v1/config").await.unwrap();
    rest.get("/v1/config/secret-name").await.unwrap();
    rest.get("/v1/config/secret-name/history").await.unwrap();
    assert_eq!(rest.get("/v1/config/nothing").await.unwrap().0, StatusCode::NOT_FOUND);
    let delete = rest.request(Method::DELETE, "/v1/config/nothing");
    assert_eq!(Rest::answer(delete).await.unwrap().0, StatusCode::NOT_FOUND);
    Page::of(&rest).await
}

/// The metrics of an audit worker that wrote the records of three events.
async fn scraped_from_audit() -> Page {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let store = format!("sqlite:{}", path("log.db"));
    let system = AllInOne::start(&store, folder.path()).await;
    for value in ["1", "2", "3"] {
        assert_eq!(system.rest().put("secret-name", value).await.unwrap().0, StatusCode::OK);
    }
    let settings = [
        ("CONFIGAPI_STORE", store),
        ("CONFIGAPI_ADMIN_ADDR", "127.0.0.1:0".to_owned()),
        ("CONFIGAPI_AUDIT_CHECKPOINT", path("checkpoint")),
        ("CONFIGAPI_AUDIT_FILE", path("audit.jsonl")),
    ];
    let log = folder.path().join("audit.log");
    let worker = Process::start(Binary::ConfigApi, &["audit"], &settings, log);
    let admin = Rest::new(worker.address_of("admin").await);
    eventually("the worker to have written three records", || async {
        let page = Page::of(&admin).await;
        page.text.contains("configapi_audit_records_total 3\n").then_some(page)
    })
    .await
}

impl Page {
    /// The page of metrics that is served here.
    async fn of(server: &Rest) -> Self {
        let (status, text) = server.get("/metrics").await.unwrap();
        assert_eq!(status, StatusCode::OK);
        Self::parse(text)
    }

    fn parse(text: String) -> Self {
        // The format allows units on histograms; this parser does not.
        let without_units = text.lines().filter(|line| !line.starts_with("# UNIT "));
        let plain: String = without_units.flat_map(|line| [line, "\n"]).collect();
        let parsed = parse_openmetrics(&plain).unwrap_or_else(|error| panic!("{error:?}:\n{text}"));
        Self { text, parsed }
    }

    /// The names of all series, as queries use them.
    fn series(&self) -> std::collections::BTreeSet<&str> {
        let samples = self.text.lines().filter(|line| !line.starts_with('#'));
        samples.filter_map(|line| line.split(['{', ' ']).next()).collect()
    }
}
