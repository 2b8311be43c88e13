//! Variables that nobody reads are told from settings, and from those that others put there.

use std::ffi::OsString;

use configapi_runtime::variables::unknown_among;

fn told(names: &[&str]) -> String {
    let unknown = unknown_among(names.iter().map(OsString::from));
    unknown.map(|unknown| unknown.to_string()).unwrap_or_default()
}

#[test]
fn a_setting_that_is_misspelt_is_told_with_the_one_that_is_near() {
    for (typed, meant) in [
        ("CONFIGAPI_GATEWAY_ADRR", "CONFIGAPI_GATEWAY_ADDR"),
        ("CONFIGAPI_STORES", "CONFIGAPI_STORE"),
        ("CONFIGAPI_STROE", "CONFIGAPI_STORE"),
        ("CONFIGAPI_store", "CONFIGAPI_STORE"),
        ("CONFIGAPI_LOGG", "CONFIGAPI_LOG"),
        ("CONFIGAPI_LOG_FROMATS", "CONFIGAPI_LOG_FORMAT"),
        ("CONFIGAPI_COMAND_ULR", "CONFIGAPI_COMMAND_URL"),
        ("CONFIGAPI_QUERY_URLS", "CONFIGAPI_QUERY_URL"),
    ] {
        assert_eq!(told(&[typed]), format!("{typed} (is it {meant}?)"));
    }
    for far in ["CONFIGAPI_", "CONFIGAPI_LEG0", "CONFIGAPI_DATABASE_URL", "CONFIGAPI_GATEWAY_PORT"]
    {
        assert_eq!(told(&[far]), far);
    }
}

#[test]
fn what_another_program_reads_is_none_that_nobody_knows() {
    let known = [
        "CONFIGAPI_STORE",
        "CONFIGAPI_NAMESPACE",
        "CONFIGAPI_AUDIT_FILE",
        "CONFIGAPI_FAILPOINTS",
        "CONFIGAPI_TEST_PG_BIN",
        "CONFIGAPI_BENCH_ETCD",
        "CONFIGAPI",
        "CONFIG_API_STORE",
        "MY_CONFIGAPI_STORES",
        "PATH",
    ];
    assert_eq!(told(&known), "");
}

#[test]
fn what_kubernetes_puts_there_for_a_service_is_not_told() {
    for service in ["CONFIGAPI", "CONFIGAPI_QUERY", "CONFIGAPI_GATEWAY"] {
        let of_service = [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_GRPC",
            "PORT",
            "PORT_50051_TCP",
            "PORT_50051_TCP_ADDR",
            "PORT_50051_TCP_PORT",
            "PORT_50051_TCP_PROTO",
        ];
        let names = of_service.map(|rest| format!("{service}_{rest}"));
        let mut names: Vec<_> = names.iter().map(String::as_str).collect();
        assert_eq!(told(&names), "");
        let misspelt = format!("{service}_PORT_OF_IT");
        names.push(&misspelt);
        assert_eq!(told(&names), misspelt);
    }
    // Somebody thinks that this is a setting: no Service has a port and no host.
    let names = ["CONFIGAPI_GATEWAY_PORT", "CONFIGAPI_QUERY_SERVICE_HOST"];
    assert_eq!(told(&names), "CONFIGAPI_GATEWAY_PORT");
}

#[test]
fn of_many_the_first_are_named_and_the_others_counted() {
    let names: Vec<_> = (0..1_000).map(|it| format!("CONFIGAPI_X{it:03}")).collect();
    let names: Vec<_> = names.iter().rev().map(String::as_str).collect();
    let first = "CONFIGAPI_X000, CONFIGAPI_X001, CONFIGAPI_X002, CONFIGAPI_X003, CONFIGAPI_X004";
    assert_eq!(told(&names), format!("{first}, and 995 more"));
    let long = format!("CONFIGAPI_{}", "A".repeat(100_000));
    assert_eq!(told(&[&long]).len(), 64);
    assert_eq!(told(&["CONFIGAPI_\u{1b}[31m\n"]), r"CONFIGAPI_\u{1b}[31m\n");
}
