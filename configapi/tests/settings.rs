//! Settings of servers and of an operator's commands: what is wrong with one is told in its own words.

use crate::support::configapi;

/// The one line that a command with these settings ends with.
#[track_caller]
fn refusal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = configapi(arguments.iter().copied());
    for (name, value) in environment {
        command = command.env(name, value);
    }
    let ended = command.ends().failed_with(2);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    ended.stderr.trim_end().to_owned()
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_the_command_that_was_typed() {
    insta::assert_snapshot!(
        refusal(&["audit", "--checkpoint", "c", "--keep", "3"], &[]),
        @"configapi: --file (CONFIGAPI_AUDIT_FILE): is not set; it wants <PATH>: Append the records to this file instead of stdout"
    );
    insta::assert_snapshot!(
        refusal(&["audit", "--checkpoint", "c", "--file", "a", "--post", "http://localhost"], &[]),
        @"configapi: --file (CONFIGAPI_AUDIT_FILE): does not go with --post (CONFIGAPI_AUDIT_POST); it wants <PATH>: Append the records to this file instead of stdout"
    );
    insta::assert_snapshot!(
        refusal(&["backup", ""], &[]),
        @"configapi: <FILE>: is empty; it wants <FILE>: The path of the file; - is stdout"
    );
}
