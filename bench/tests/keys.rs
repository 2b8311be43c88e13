//! Keys, shares, values and dice.

use std::collections::HashSet;

use configapi_bench::keys::{Dice, Keys, Share, Values};

#[test]
fn no_two_slots_ever_write_to_the_same_config() {
    let keys = Keys { count: 1_000 };
    let mut seen: HashSet<u64> = HashSet::new();
    for slot in 0..8 {
        let mut share = Share::new(keys, slot, 8, Dice::of_slot(slot, 0));
        let own: HashSet<u64> = (0..2_000).map(|_turn| share.next_index()).collect();
        assert!(own.iter().all(|index| *index < keys.count));
        assert!(own.len() > 60, "a slot uses most of its share");
        assert!(seen.is_disjoint(&own));
        seen.extend(own);
    }
}

#[test]
fn the_configs_of_a_group_share_its_prefix() {
    assert_eq!(Keys::name(2_042), "bench/0002/042");
    assert!(Keys::name(2_042).starts_with(&Keys::prefix(2)));
    assert_eq!(Keys { count: 100_000 }.groups(), 100);
}

#[test]
fn values_have_the_size_asked_for_and_differ() {
    let mut values = Values::new(128, Dice::new(1));
    let first = values.next_value().to_owned();
    assert_eq!(first.len(), 128);
    assert_ne!(first, values.next_value());
}

#[test]
fn a_value_gives_back_the_number_it_was_made_with() {
    let mut values = Values::new(128, Dice::new(1));
    assert_eq!(Values::number_of(values.with_number(4_711)), Some(4_711));
    assert_eq!(Values::number_of("short"), None);
}

#[test]
fn dice_reach_all_sides_and_no_other() {
    let mut dice = Dice::new(7);
    let sides: HashSet<u64> = (0..1_000).map(|_roll| dice.below(6)).collect();
    assert_eq!(sides, (0..6).collect());
}

#[test]
fn each_round_meets_other_configs_and_the_same_again_in_every_run() {
    let keys = Keys { count: 1_000_000 };
    let met = |round| -> HashSet<u64> {
        let shares = (0..8).map(|slot| Share::new(keys, slot, 8, Dice::of_slot(slot, round)));
        shares.flat_map(|mut share| (0..500).map(move |_turn| share.next_index())).collect()
    };
    let rounds: Vec<_> = (0..5).map(met).collect();
    for (place, one) in rounds.iter().enumerate() {
        assert_eq!(*one, met(place as u64));
        for other in &rounds[..place] {
            // By chance, 16 of them are in both.
            assert!(one.intersection(other).count() < 100);
        }
    }
}
