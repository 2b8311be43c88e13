//! The dashboard, the alerts and the example scrape configuration in `deploy/`: they are well-formed,
//! and ask only for what a live system tells.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use promql_parser::parser::{Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

use super::{scraped, scraped_from_audit};

/// What Prometheus itself tells of every target.
const OF_PROMETHEUS: &str = "up";

fn text_of(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap()
}

/// The expressions of all panels, as Grafana would ask them.
fn dashboard_expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text_of("deploy/grafana/configapi.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = targets.map(|target| target["expr"].as_str().unwrap());
    expressions.map(|text| text.replace("$__rate_interval", "5m")).collect()
}

/// An alert, as the file has it.
struct Alert {
    name: String,
    expression: String,
    severity: String,
    annotations: Vec<(&'static str, String)>,
}

fn alerts() -> Vec<Alert> {
    let text = text_of("deploy/prometheus/alerts.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let at = |node: &Yaml<'_>, path: &[&str]| {
        let found = path.iter().try_fold(node, |node, key| node.as_mapping_get(key));
        let found = found.and_then(Yaml::as_str).map(ToOwned::to_owned);
        found.unwrap_or_else(|| panic!("no {path:?} in {node:?}"))
    };
    let rules = documents[0]["groups"][0]["rules"].as_vec().unwrap();
    let annotations = ["summary", "description", "runbook_url"];
    let alert = |rule: &Yaml<'_>| Alert {
        name: at(rule, &["alert"]),
        expression: at(rule, &["expr"]),
        severity: at(rule, &["labels", "severity"]),
        annotations: annotations.map(|name| (name, at(rule, &["annotations", name]))).to_vec(),
    };
    rules.iter().map(alert).collect()
}

/// The names of all metrics that an expression asks for.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl ExprVisitor for Names {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        let selector: Option<&VectorSelector> = match expression {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(matrix) => Some(&matrix.vs),
            _ => None,
        };
        self.0.extend(selector.and_then(|selector| selector.name.clone()));
        Ok(true)
    }
}

fn names_in(expressions: &[String]) -> BTreeSet<String> {
    let mut names = Names::default();
    for text in expressions {
        let expression = parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let Ok(_) = walk_expr(&mut names, &expression);
    }
    names.0
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_only_for_what_a_live_system_tells() {
    let dashboard = dashboard_expressions();
    let alerts: Vec<_> = alerts().into_iter().map(|alert| alert.expression).collect();
    let (of_dashboard, of_alerts) = (names_in(&dashboard), names_in(&alerts));
    assert!(of_dashboard.len() > 25 && of_alerts.len() >= 10, "{of_dashboard:?} {of_alerts:?}");
    let (servers, audit) = (scraped().await, scraped_from_audit().await);
    let series: BTreeSet<_> = servers.series().union(&audit.series()).copied().collect();
    let unknown: Vec<_> = of_dashboard
        .union(&of_alerts)
        .filter(|name| *name != OF_PROMETHEUS && !series.contains(name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} of {series:?}");
}

#[test]
fn every_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do() {
    let alerts = alerts();
    let names: BTreeSet<_> = alerts.iter().map(|alert| &*alert.name).collect();
    assert_eq!(names.len(), alerts.len(), "two alerts have one name");
    let runbook = text_of("docs/runbook.md");
    for Alert { name, severity, annotations, .. } in &alerts {
        assert!(runbook.lines().any(|line| line == format!("### {name}")), "{name} is not in it");
        assert!(name.starts_with("ConfigApi"), "{name}");
        assert!(matches!(&**severity, "critical" | "warning"), "{name}: {severity}");
        for (which, text) in annotations {
            assert!(!text.trim().is_empty(), "{name} has no {which}");
        }
        let (_, url) = annotations.iter().find(|(which, _)| *which == "runbook_url").unwrap();
        assert_eq!(*url, format!("docs/runbook.md#{}", name.to_lowercase()));
    }
}

#[test]
fn the_example_configuration_reads_the_alerts_and_names_their_job() {
    let text = text_of("deploy/prometheus/prometheus.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    assert_eq!(documents[0]["rule_files"][0].as_str(), Some("alerts.yml"));
    let job = documents[0]["scrape_configs"][0]["job_name"].as_str().unwrap();
    let matcher = format!("job=\"{job}\"");
    for Alert { name, expression, .. } in alerts() {
        assert!(expression.contains(&matcher), "{name} asks for another job than {job}");
    }
    for expression in dashboard_expressions() {
        assert!(expression.contains(&matcher), "another job than {job}: {expression}");
    }
}
