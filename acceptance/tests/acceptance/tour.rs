//! What the README promises, in every shape that the system is started in.

use configapi_acceptance::{AllInOne, Rest, Servers};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// The calls of the original clients, in the order that they would make them.
async fn walk(rest: &Rest) {
    let (status, body) = rest.get("/v1/config").await.unwrap();
    assert_eq!((status, &*body), (StatusCode::OK, "[]"));
    let (status, body) = rest.get("/v1/config/foo").await.unwrap();
    assert_eq!((status, &*body), (StatusCode::NOT_FOUND, "Not Found"));
    assert_eq!(rest.put("foo", "bar").await.unwrap(), (StatusCode::OK, "OK".to_owned()));
    assert_eq!(rest.get("/v1/config/foo").await.unwrap().1, "bar");
    assert_eq!(rest.put("foo", "baz").await.unwrap().1, "OK");
    assert_eq!(rest.get("/config/foo").await.unwrap().1, "baz");
    let list: Value = serde_json::from_str(&rest.get("/v1/config").await.unwrap().1).unwrap();
    assert_eq!(list, serde_json::json!([{"name": "foo", "value": "baz"}]));
    let history = history(rest).await;
    assert_eq!(history[0]["event_type"], "ConfigValueSet");
    assert_eq!(history[1]["data"]["old_value"], "bar");
    let first = history[0]["data"]["timestamp"].as_str().unwrap();
    let past = rest.get(&format!("/v1/config/foo/at/{first}")).await.unwrap();
    assert_eq!(past, (StatusCode::OK, "bar".to_owned()));
    let delete = || Rest::answer(rest.request(Method::DELETE, "/v1/config/foo"));
    assert_eq!(delete().await.unwrap(), (StatusCode::OK, "OK".to_owned()));
    assert_eq!(rest.get("/v1/config/foo").await.unwrap().0, StatusCode::NOT_FOUND);
    assert_eq!(delete().await.unwrap(), (StatusCode::GONE, "Gone".to_owned()));
    assert_eq!(rest.put("foo", "new").await.unwrap().0, StatusCode::CONFLICT);
    let restore = rest.request(Method::POST, "/v1/config/foo/restore");
    assert_eq!(Rest::answer(restore).await.unwrap().0, StatusCode::OK);
    assert_eq!(rest.get("/v1/config/foo").await.unwrap().1, "baz");
}

async fn history(rest: &Rest) -> Vec<Value> {
    let (status, body) = rest.get("/v1/config/foo/history").await.unwrap();
    assert_eq!(status, StatusCode::OK);
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn in_one_process_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let system = AllInOne::start("memory:", folder.path()).await;
    walk(&system.rest()).await;
}

#[tokio::test]
async fn in_one_process_on_sqlite_and_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/data/configapi.db", folder.path().display());
    let mut system = AllInOne::start(&store, folder.path()).await;
    walk(&system.rest()).await;
    let before = history(&system.rest()).await;
    system.process.terminate().await;
    assert_eq!(system.process.wait(configapi_acceptance::WAIT_LIMIT).await, Some(0));
    let system = AllInOne::start(&store, folder.path()).await;
    assert_eq!(system.rest().get("/v1/config/foo").await.unwrap().1, "baz");
    assert_eq!(history(&system.rest()).await, before);
}

#[tokio::test]
async fn as_three_processes_on_one_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/configapi.db", folder.path().display());
    let servers = Servers::start(&store, folder.path()).await;
    walk(&servers.rest()).await;
}
