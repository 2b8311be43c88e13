//! A state that somebody holds stays what it was, however far the log goes on, and it is the same
//! state however it came about.

use configapi_domain::Position;
use configapi_event_log::{EventLog as _, PageLimit, Texts};
use configapi_query_service::projection::{Anchor, Decoded, Projector, State};

use crate::support::{Op, Writer, key, memory_log};

const COMMANDS: usize = 3_000;
const KEYS: usize = 60;

/// What a state said when it was new.
struct Held {
    state: State,
    digest: [u8; 32],
    /// By the number of the config: the position of its newest event.
    newest: Vec<Option<Position>>,
}

fn newest(state: &State) -> Vec<Option<Position>> {
    let find = |number| state.newest("default", &format!("config-{number}"));
    (0..KEYS).map(|number| find(number).map(|node| node.position())).collect()
}

/// Some command about some configs; later ones meet configs that earlier ones did not know.
fn ops(command: usize) -> Vec<(configapi_domain::ConfigKey, Op)> {
    let known = 1 + command * KEYS / COMMANDS;
    let size = 1 + command % 3;
    let parts = (0..size).map(|part| {
        let number = (command * 31 + part * 17) % known;
        let op = match (command + part) % 5 {
            0 => Op::Delete,
            1 => Op::Restore(None),
            _ => Op::Set(format!("value {command}/{part}")),
        };
        (key(&format!("default/config-{number}")), op)
    });
    parts.collect()
}

#[tokio::test]
async fn a_state_that_is_held_never_changes() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let (hash, recorded_at) = (writer.head.hash, writer.head.recorded_at);
    let mut projector = Projector::new(Anchor { position: Position::GENESIS, hash, recorded_at });
    let mut held = Vec::new();
    for command in 0..COMMANDS {
        writer.commit(ops(command)).await;
        let next = projector.state().position().next();
        for row in log.read(next, PageLimit::TAIL).await.unwrap().events {
            projector.apply(Decoded::from_row(&row, &mut Texts::default()).unwrap()).unwrap();
        }
        if command % 100 == 0 {
            let state = projector.state().clone();
            held.push(Held { digest: state.digest(), newest: newest(&state), state });
        }
    }
    assert!(projector.state().position().0 > 3_000, "there is too little to look at");
    for then in &held {
        assert_eq!(then.state.digest(), then.digest);
        assert_eq!(newest(&then.state), then.newest);
        let last = then.state.position();
        assert!(then.state.event(last.next()).is_none());
        assert_eq!(then.state.events_after(Position::GENESIS).count() as u64, last.0);
    }
}

#[tokio::test]
async fn a_state_passes_by_all_configs_that_came_after_it() {
    const ALL: usize = 1_000;
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let (hash, recorded_at) = (writer.head.hash, writer.head.recorded_at);
    let mut projector = Projector::new(Anchor { position: Position::GENESIS, hash, recorded_at });
    let name = |number: usize| format!("default/config-{number:04}");
    // Long runs of others will come before, between and after them; some are next to each other.
    let first: Vec<usize> = [&[200], &(400..450).collect::<Vec<_>>()[..], &[451, 700]].concat();
    let others = (0..ALL).filter(|number| !first.contains(number));
    let mut held = None;
    for (count, number) in first.iter().copied().chain(others).enumerate() {
        if count == first.len() {
            held = Some(projector.state().clone());
        }
        writer.commit(vec![(key(&name(number)), Op::Set("value".to_owned()))]).await;
        let next = projector.state().position().next();
        for row in log.read(next, PageLimit::TAIL).await.unwrap().events {
            projector.apply(Decoded::from_row(&row, &mut Texts::default()).unwrap()).unwrap();
        }
    }
    let names = |state: &State| state.all().map(|node| node.key().stream().to_owned()).collect();
    let all: Vec<String> = names(projector.state());
    assert_eq!(all, (0..ALL).map(name).collect::<Vec<_>>());
    let earlier: Vec<String> = names(&held.unwrap());
    assert_eq!(earlier, first.into_iter().map(name).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_state_is_the_same_however_it_came_about() {
    let log = memory_log(1);
    let mut writer = Writer::new(log.clone()).await;
    let (hash, recorded_at) = (writer.head.hash, writer.head.recorded_at);
    let genesis = Anchor { position: Position::GENESIS, hash, recorded_at };
    for command in 0..COMMANDS / 2 {
        writer.commit(ops(command)).await;
    }
    let rows = log.read(Position(1), PageLimit::REPLAY).await.unwrap().events;
    let mut texts = Texts::default();
    // In turns by replay and live, so that configs are met by both and lie between each other.
    let mut fold = |turns: usize| {
        let mut projector = Projector::new(genesis);
        for (number, part) in rows.chunks(rows.len().div_ceil(turns)).enumerate() {
            let is_replay = number % 2 == 0 && turns > 1;
            if is_replay {
                projector.begin_replay();
            }
            for row in part {
                projector.apply(Decoded::from_row(row, &mut texts).unwrap()).unwrap();
            }
            if is_replay {
                projector.end_replay();
            }
        }
        projector.state().clone()
    };
    let live = fold(1);
    let names = |state: &State| state.all().map(|node| node.key().clone()).collect::<Vec<_>>();
    assert!(names(&live).len() > KEYS / 3 && names(&live).is_sorted());
    for turns in [2, 3, 7, 50, rows.len()] {
        let state = fold(turns);
        assert_eq!(names(&state), names(&live), "{turns} turns");
        assert_eq!(state.digest(), live.digest(), "{turns} turns");
        assert_eq!(newest(&state), newest(&live), "{turns} turns");
    }
}
