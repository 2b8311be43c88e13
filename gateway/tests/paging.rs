//! Long answers: complete by default, in pages for those who ask, at one state of the log.

use serde_json::{Value, json};

use crate::support::{Ask, TestApp};

/// Follows the links from a path on, and gives all pages.
async fn pages(app: &TestApp, path: &str) -> Vec<Value> {
    let (mut pages, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next.take() {
        let got = app.get(&path).got().await;
        assert_eq!(got.status, 200, "{}", got.body);
        pages.push(got.json());
        next = got.header("link").split_once('>').map(|(link, rest)| {
            assert_eq!(rest, "; rel=\"next\"");
            link.trim_start_matches('<').to_owned()
        });
    }
    pages
}

#[tokio::test]
async fn nothing_is_cut_off_without_a_limit() {
    let app = TestApp::start().await;
    let commands: Vec<_> = (0..1_000)
        .map(|n| json!({"action": "set", "name": format!("n{n:04}"), "value": n.to_string()}))
        .collect();
    for batch in 0..3 {
        let renamed = commands.iter().map(|command| {
            let name = format!("b{batch}/{}", command["name"].as_str().unwrap());
            json!({"action": "set", "name": name, "value": command["value"]})
        });
        let body = json!({"commands": renamed.collect::<Vec<_>>()});
        assert_eq!(app.post("/v1/apply").json(&body).got().await.status, 200);
    }
    let all = app.get("/v1/config").got().await.json();
    assert_eq!(all.as_array().map(Vec::len), Some(3_000));
    assert_eq!(all[2_999], json!({"name": "b2/n0999", "value": "999"}));
    let some = app.get("/v1/config?prefix=b1/").got().await.json();
    assert_eq!(some.as_array().map(Vec::len), Some(1_000));
    let diff = app.get("/v1/diff?from=0").got().await.json();
    assert_eq!(diff["entries"].as_array().map(Vec::len), Some(3_000));
    assert_eq!(diff["from"]["position"], 0);
    assert_eq!(diff["to"]["position"], 3_000);
}

#[tokio::test]
async fn pages_show_one_state_whatever_is_written_meanwhile() {
    let app = TestApp::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        app.set(name, "old").await;
    }
    let first = app.get("/v1/config?limit=2&prefix=").got().await;
    assert_eq!(first.json().as_array().map(Vec::len), Some(2));
    for name in ["a", "bb", "c", "d", "e"] {
        app.set(name, "new").await;
    }
    let link = first.header("link");
    assert!(link.starts_with("</v1/config?limit=2&prefix=&cursor="), "{link}");
    let next = link.trim_start_matches('<').split_once('>').unwrap().0;
    let rest: Vec<Value> =
        pages(&app, next).await.iter().flat_map(|page| page.as_array().unwrap().clone()).collect();
    let old = |name| json!({"name": name, "value": "old"});
    assert_eq!(rest, [old("c"), old("d"), old("e")]);
    assert_eq!(app.get("/v1/config?cursor=nonsense&limit=2").got().await.status, 400);
}

#[tokio::test]
async fn histories_come_in_pages_and_either_order() {
    let app = TestApp::start().await;
    for value in ["1", "2", "3"] {
        app.set("a/b", value).await;
    }
    let values = |pages: Vec<Value>| -> Vec<String> {
        let rows = pages.iter().flat_map(|page| page.as_array().unwrap());
        rows.map(|row| row["data"]["value"].as_str().unwrap().to_owned()).collect()
    };
    let path = "/v1/config/a%2Fb/history";
    assert_eq!(values(pages(&app, path).await), ["1", "2", "3"]);
    let newest_first = pages(&app, &format!("{path}?order=desc&limit=2")).await;
    assert_eq!(newest_first.len(), 2);
    assert_eq!(values(newest_first), ["3", "2", "1"]);
    assert_eq!(app.get(&format!("{path}?order=up")).got().await.status, 400);
}
