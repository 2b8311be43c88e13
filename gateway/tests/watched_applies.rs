//! Applies in watches: a client that comes back never takes the end of one for all of it.

use serde_json::json;

use crate::support::{Ask, Event, Events, TestApp};

/// Sets these configs as one change.
async fn apply(app: &TestApp, names: &[&str], value: &str) {
    let commands: Vec<_> =
        names.iter().map(|name| json!({"action": "set", "name": name, "value": value})).collect();
    let got = app.post("/v1/apply").json(&json!({ "commands": commands })).got().await;
    assert_eq!(got.status, 200, "{}", got.body);
}

/// So many changes: the position and the id of each, which is empty if it has none.
async fn changes(events: &mut Events, count: usize) -> Vec<(u64, String)> {
    let mut told = Vec::new();
    while told.len() < count {
        let Event { id, data, .. } = events.named("change").await;
        told.push((
            data["metadata"]["position"].as_u64().unwrap_or_default(),
            id.unwrap_or_default(),
        ));
    }
    told
}

/// A watch from this id on.
async fn back(app: &TestApp, path: &str, id: &str) -> Events {
    Events::of(app.get(path).header("last-event-id", id)).await
}

#[tokio::test]
async fn only_the_last_event_of_an_apply_has_an_id_to_come_back_with() {
    let app = TestApp::start().await;
    app.set("a", "1").await;
    apply(&app, &["a", "b", "c", "d"], "2").await;
    app.set("a", "3").await;
    let mut events = Events::of(app.get("/v1/watch?after=0")).await;
    let ids = [
        "1-1".to_owned(),
        String::new(),
        String::new(),
        String::new(),
        "1-5".to_owned(),
        "1-6".to_owned(),
    ];
    assert_eq!(changes(&mut events, 6).await, (1..).zip(ids).collect::<Vec<_>>());
    // Broken off within the Apply, all of it comes again; after it, none of it.
    let mut again = back(&app, "/v1/watch?after=0", "1-1").await;
    assert_eq!(changes(&mut again, 1).await, [(2, String::new())]);
    let mut after = back(&app, "/v1/watch?after=0", "1-5").await;
    assert_eq!(changes(&mut after, 1).await, [(6, "1-6".to_owned())]);
}

#[tokio::test]
async fn an_apply_whose_end_does_not_match_ends_with_the_last_event_that_does() {
    let app = TestApp::start().await;
    // Positions 1 to 4, 5 to 7, and 8 to 10.
    apply(&app, &["x/a", "x/b", "y/a", "y/b"], "1").await;
    apply(&app, &["y/a", "x/a", "y/b"], "2").await;
    apply(&app, &["y/a", "y/b", "x/b"], "3").await;
    let path = "/v1/watch?prefix=x/&after=0";
    let told = changes(&mut Events::of(app.get(path)).await, 4).await;
    assert_eq!(
        told,
        [(1, String::new()), (2, "1-5".to_owned()), (6, "1-9".to_owned()), (10, "1-10".to_owned())]
    );
    for (came_back_with, next) in [("1-5", 6), ("1-9", 10)] {
        let mut events = back(&app, path, came_back_with).await;
        assert_eq!(changes(&mut events, 1).await[0].0, next);
    }
    // Nothing that matches comes after it.
    apply(&app, &["x/a", "y/a", "y/b"], "4").await;
    let last = changes(&mut back(&app, path, "1-10").await, 1).await;
    assert_eq!(last, [(11, "1-13".to_owned())]);
}

#[tokio::test]
async fn a_large_apply_has_one_id_however_many_frames_it_takes() {
    const EVENTS: usize = 60;
    let app = TestApp::start().await;
    app.set("before", "1").await;
    let names: Vec<_> = (0..EVENTS).map(|n| format!("large/{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    // Thrice what a frame holds.
    apply(&app, &names, &"v".repeat(3_500)).await;
    let mut events = Events::of(app.get("/v1/watch?prefix=large/&after=0")).await;
    let told = changes(&mut events, EVENTS).await;
    let with_ids: Vec<_> = told.iter().filter(|(_, id)| !id.is_empty()).collect();
    assert_eq!(with_ids, [&(61, "1-61".to_owned())]);
}
