//! What a running system tells its operators: its metrics, and the dashboard and alerts made of
//! them.

mod deploy;
mod exposition;

use configapi_acceptance::{AllInOne, Rest};
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
    let (status, text) = rest.get("/metrics").await.unwrap();
    assert_eq!(status, StatusCode::OK);
    // The format allows units on histograms; this parser does not.
    let without_units = text.lines().filter(|line| !line.starts_with("# UNIT "));
    let plain: String = without_units.flat_map(|line| [line, "\n"]).collect();
    let parsed = parse_openmetrics(&plain).unwrap_or_else(|error| panic!("{error:?}:\n{text}"));
    Page { text, parsed }
}

impl Page {
    /// The names of all series, as queries use them.
    fn series(&self) -> std::collections::BTreeSet<&str> {
        let samples = self.text.lines().filter(|line| !line.starts_with('#'));
        samples.filter_map(|line| line.split(['{', ' ']).next()).collect()
    }
}
