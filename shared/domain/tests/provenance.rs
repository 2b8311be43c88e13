//! Who asked, why, and under which ids.

use configapi_domain::{Actor, Provenance, ReasonText, RequestId, TraceParent};

#[test]
fn an_actor_is_one_short_line() {
    for text in ["", "ada@example.org", "Ada Lovelace", "アダ", &"a".repeat(256)] {
        assert_eq!(Actor::parse(text).unwrap().as_str(), text);
    }
    let refused = |text: &str| Actor::parse(text).unwrap_err().to_string();
    assert_eq!(refused("a\nb"), "actor: must not hold control characters");
    assert_eq!(refused(&"a".repeat(257)), "actor: must be at most 256 bytes, has 257");
}

#[test]
fn a_reason_may_have_lines() {
    for text in ["", "because", "first\r\n\tsecond", &"r".repeat(1_024)] {
        assert_eq!(ReasonText::parse(text).unwrap().as_str(), text);
    }
    let refused = |text: &str| ReasonText::parse(text).unwrap_err().to_string();
    assert_eq!(refused("bell\u{7}"), "reason: must not hold control characters");
    assert_eq!(refused(&"r".repeat(1_025)), "reason: must be at most 1024 bytes, has 1025");
}

#[test]
fn a_request_id_is_visible_ascii() {
    for text in ["1", "0193a1b2-c3d4-7e5f", "!~", &"i".repeat(128)] {
        let id = RequestId::parse(text).unwrap();
        assert_eq!((id.as_str(), id.to_string().as_str()), (text, text));
    }
    let refused = |text: &str| RequestId::parse(text).unwrap_err().to_string();
    assert_eq!(refused(""), "request_id: must be 1 to 128 bytes, has 0");
    assert_eq!(refused(&"i".repeat(129)), "request_id: must be 1 to 128 bytes, has 129");
    for text in ["a b", "é", "a\n"] {
        assert_eq!(refused(text), "request_id: may hold only visible ASCII characters");
    }
}

#[test]
fn a_traceparent_is_read_or_left_out() {
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(TraceParent::parse(good).unwrap().as_str(), good);
    let upper = good.to_uppercase();
    let more = format!("{good}-00");
    let future = good.replacen("00", "01", 1);
    for bad in ["", "00", &good[..54], &good[1..], &upper, &more, &future] {
        assert_eq!(TraceParent::parse(bad), None, "{bad}");
    }
}

#[test]
fn nobody_need_say_anything() {
    let nobody = Provenance::default();
    assert_eq!((nobody.actor.as_str(), nobody.reason.as_str()), ("", ""));
    assert_eq!((nobody.request_id, nobody.traceparent), (None, None));
}
