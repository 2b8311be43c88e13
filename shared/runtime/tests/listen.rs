//! Where a server can be told to listen.

use configapi_runtime::listen::{ListenAddress, NotAnAddress};

#[tokio::test]
async fn a_host_may_be_a_name_or_an_address() {
    for text in ["localhost:0", "127.0.0.1:0", "0.0.0.0:0"] {
        let address: ListenAddress = text.parse().expect("an address");
        assert_eq!(address.to_string(), text);
        address.bind("--addr").await.expect("a port");
    }
    "[::1]:0".parse::<ListenAddress>().expect("an address, although the machine may not have it");
}

#[test]
fn what_is_no_address_is_refused() {
    for text in ["", "4000", ":4000", "localhost", "localhost:", "localhost:65536", "::1:4000"] {
        assert_eq!(text.parse::<ListenAddress>(), Err(NotAnAddress), "{text:?}");
    }
    for text in ["http://localhost:4000", "a b:1", "[::1]", "user@host:1"] {
        assert_eq!(text.parse::<ListenAddress>(), Err(NotAnAddress), "{text:?}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named_with_its_setting() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = ListenAddress::from(listener.local_addr().expect("an address"));
    let unknown: ListenAddress = "no-such-host.invalid:1".parse().expect("well-formed");
    for address in [taken, unknown] {
        let line = address.bind("--addr (ADDR)").await.expect_err("it cannot be had").to_string();
        assert!(
            line.starts_with(&format!("--addr (ADDR): cannot listen on {address}: ")),
            "{line}"
        );
    }
}
