//! Tokens have one textual form.

use configapi_proto::{InvalidToken, Token};
use proptest::prelude::*;

#[test]
fn a_token_is_written_as_epoch_and_position() {
    assert_eq!(Token { epoch: 1, position: 1042 }.to_string(), "1-1042");
}

#[test]
fn the_largest_numbers_are_read() {
    let largest = Token { epoch: u64::MAX, position: u64::MAX };
    assert_eq!("18446744073709551615-18446744073709551615".parse(), Ok(largest));
}

#[test]
fn what_is_not_exactly_a_token_is_refused() {
    let texts = [
        "",
        "-",
        "1",
        "1-",
        "-1",
        "1-2-3",
        "1--2",
        "+1-2",
        "1-+2",
        " 1-2",
        "1-2 ",
        "1 -2",
        "01-2",
        "1-02",
        "1-00",
        "1_2",
        "1-2\n",
        "a-b",
        "١-٢",
        "1-18446744073709551616",
        "1.0-2",
        "0x1-2",
    ];
    for text in texts {
        assert_eq!(text.parse::<Token>(), Err(InvalidToken), "{text:?}");
    }
}

#[test]
fn tokens_are_ordered_by_epoch_and_then_by_position() {
    let token = |epoch, position| Token { epoch, position };
    assert!(token(1, 9) < token(1, 10));
    assert!(token(1, 10) < token(2, 1));
}

proptest! {
    #[test]
    fn every_token_is_read_back_from_its_text(epoch: u64, position: u64) {
        let token = Token { epoch, position };
        prop_assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn every_text_that_is_a_token_is_its_only_form(
        text in prop_oneof!["[0-9+ -]{0,12}", "[0-9]{1,21}-[0-9]{1,21}", any::<String>()],
    ) {
        if let Ok(token) = text.parse::<Token>() {
            prop_assert_eq!(token.to_string(), text);
        }
    }
}
