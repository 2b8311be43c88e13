//! The pages of a process's memory, as the system tells of them.

use configapi_runtime::memory;

#[test]
fn large_pages_are_refused_until_much_is_held() {
    memory::stay_small();
    assert_eq!(may_have_large_pages().as_deref(), Some("0"));
    memory::hold_much();
    assert_eq!(may_have_large_pages().as_deref(), Some("1"));
}

fn may_have_large_pages() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("THP_enabled:"))
        .map(|rest| rest.trim().to_owned())
}
