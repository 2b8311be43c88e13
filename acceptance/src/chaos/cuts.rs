//! Bad networks between any two that talk to each other: every pair gets every kind of harm.

use std::fmt;
use std::time::Duration;

use tokio::time::sleep;

use super::deck::Deck;
use super::fleet::Fleet;
use super::nemesis::{Blow, one_of};
use super::proxy::{Behaviour, Proxy};
use super::scenario::Role;
use crate::Random;

/// The delay of a slow network, and how little goes through a thin one.
const SLOW: Duration = Duration::from_millis(60);
const THIN_BYTES_PER_SECOND: u64 = 40_000;

/// Two that talk to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    Client(Role),
    Gateway(Role),
    Database(Role),
}

/// What a network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// Everything takes longer.
    Delay,
    /// Little goes through.
    Throttle,
    /// Nothing arrives at the server.
    SwallowRequests,
    /// Nothing comes back.
    SwallowAnswers,
    /// Nothing arrives at either end.
    SwallowBoth,
    /// All connections are reset, and new ones refused.
    Refuse,
}

const PAIRS: [Pair; 7] = [
    Pair::Client(Role::Command),
    Pair::Client(Role::Query),
    Pair::Client(Role::Gateway),
    Pair::Gateway(Role::Command),
    Pair::Gateway(Role::Query),
    Pair::Database(Role::Command),
    Pair::Database(Role::Query),
];
const HARMS: [Harm; 6] = [
    Harm::Delay,
    Harm::Throttle,
    Harm::SwallowRequests,
    Harm::SwallowAnswers,
    Harm::SwallowBoth,
    Harm::Refuse,
];

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |role: &Role| match role {
            Role::Command => "command",
            Role::Query => "query",
            Role::Gateway => "gateway",
        };
        match self {
            Self::Client(role) => write!(f, "client-{}", name(role)),
            Self::Gateway(role) => write!(f, "gateway-{}", name(role)),
            Self::Database(role) => write!(f, "{}-database", name(role)),
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delay => "delay",
            Self::Throttle => "throttle",
            Self::SwallowRequests => "swallow requests",
            Self::SwallowAnswers => "swallow answers",
            Self::SwallowBoth => "swallow both",
            Self::Refuse => "refuse",
        })
    }
}

impl Harm {
    fn behaviour(self) -> Behaviour {
        let well = Behaviour::default();
        match self {
            Self::Delay => Behaviour { delay: SLOW, ..well },
            Self::Throttle => Behaviour { bytes_per_second: THIN_BYTES_PER_SECOND, ..well },
            Self::SwallowRequests => Behaviour { swallows_requests: true, ..well },
            Self::SwallowAnswers => Behaviour { swallows_answers: true, ..well },
            Self::SwallowBoth => {
                Behaviour { swallows_requests: true, swallows_answers: true, ..well }
            }
            Self::Refuse => Behaviour { refuses: true, ..well },
        }
    }
}

/// Every harm to every pair.
#[derive(Debug)]
pub struct Cuts(Deck<(Pair, Harm)>);

impl Cuts {
    /// None was done yet.
    pub fn all(random: &mut Random) -> Self {
        let all = PAIRS.into_iter().flat_map(|pair| HARMS.map(|harm| (pair, harm)));
        Self(Deck::of(all.collect(), random))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// Which have never taken effect.
    pub fn missing(&self) -> Vec<String> {
        self.0.missing().iter().map(|(pair, harm)| format!("{pair} {harm}")).collect()
    }

    /// Does the next one, for so long.
    pub async fn strike(&mut self, fleet: &mut Fleet, time: Duration, random: &mut Random) -> Blow {
        let Some((pair, harm)) = self.0.draw(random) else { return false.into() };
        let took_effect = match proxy(pair, fleet, random) {
            Some(proxy) => strike(proxy, harm, time).await,
            None => false,
        };
        if !took_effect {
            self.0.put_back((pair, harm));
        }
        Blow { took_effect, kind: Some(format!("{pair} {harm}")), wrong: Vec::new() }
    }
}

fn proxy<'a>(pair: Pair, fleet: &'a mut Fleet, random: &mut Random) -> Option<&'a Proxy> {
    match pair {
        Pair::Client(role) => Some(&one_of(fleet, role, random).edge),
        Pair::Database(role) => one_of(fleet, role, random).database.as_ref(),
        Pair::Gateway(role) => {
            let upstreams = fleet.gateway.upstreams.as_ref()?;
            Some(if role == Role::Command { &upstreams.command } else { &upstreams.query })
        }
    }
}

async fn strike(proxy: &Proxy, harm: Harm, time: Duration) -> bool {
    let (passed, refused) = (proxy.pieces_held_back(), proxy.refusals());
    proxy.behave(harm.behaviour());
    if harm == Harm::Refuse {
        proxy.reset();
    }
    sleep(time).await;
    proxy.behave(Behaviour::default());
    proxy.pieces_held_back() > passed || proxy.refusals() > refused
}
