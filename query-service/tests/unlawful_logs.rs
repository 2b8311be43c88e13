//! A log whose hashes are right and whose events break the rules of the aggregate: somebody who may insert
//! wrote what no server would.

use crate::broken_logs::{forge, running};
use crate::support::{Op, key};

#[tokio::test]
async fn an_event_that_no_server_would_write_is_refused_whichever_rule_it_breaks() {
    const SET: &str = "ConfigValueSet";
    const DELETED: &str = "ConfigValueDeleted";
    const RESTORED: &str = "ConfigValueRestored";
    let version = "its version is not the next one";
    let dead = "a config without a value is deleted";
    let later = "a version is restored that does not come before it";
    let before = "the value before it is not what it says";
    // `a` has two versions, or three if it was deleted; `b` has none.
    let forged = [
        (false, "a", 4, SET, r#"{"value":"3","old_value":"2"}"#, version),
        (false, "a", 2, SET, r#"{"value":"3","old_value":"2"}"#, version),
        (false, "b", 2, SET, r#"{"value":"3","old_value":null}"#, version),
        (true, "a", 4, SET, r#"{"value":"3","old_value":null}"#, "a deleted config is set"),
        (true, "a", 4, DELETED, r#"{"deleted_value":"2"}"#, dead),
        (false, "b", 1, DELETED, r#"{"deleted_value":"3"}"#, dead),
        (
            false,
            "b",
            1,
            RESTORED,
            r#"{"value":"3","old_value":null,"restored_version":1}"#,
            "a config that never existed is restored",
        ),
        (false, "a", 3, RESTORED, r#"{"value":"2","old_value":"2","restored_version":3}"#, later),
        (false, "a", 3, RESTORED, r#"{"value":"2","old_value":"2","restored_version":4}"#, later),
        (false, "a", 3, SET, r#"{"value":"3","old_value":null}"#, before),
        (false, "a", 3, SET, r#"{"value":"3","old_value":"1"}"#, before),
        (false, "b", 1, SET, r#"{"value":"3","old_value":"2"}"#, before),
        (true, "a", 4, RESTORED, r#"{"value":"2","old_value":"2","restored_version":2}"#, before),
    ];
    for (is_deleted, name, version, event_type, payload, why) in forged {
        let (_, faulty, mut writer, server) = running().await;
        let mut position = 3;
        let mut op = Op::Set("3".to_owned());
        if is_deleted {
            writer.delete("default/a").await;
            position = 4;
            op = Op::Restore(None);
        }
        forge(&faulty, position, move |row| {
            row.version.0 = version;
            row.event_type = event_type.into();
            row.payload = payload.into();
        });
        let token = writer.commit(vec![(key(&format!("default/{name}")), op)]).await;
        let told = server.until_not_ready().await;
        assert!(told.contains(why), "{event_type} {payload}: {told}");
        faulty.mend();
        server.until_ready().await;
        assert_eq!(server.status().await.state.unwrap().token, token);
    }
}
