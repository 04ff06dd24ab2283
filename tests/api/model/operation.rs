//! Operations, and how to generate them.

use proptest::prelude::*;

/// A request's `If-Match`.
#[derive(Debug, Clone, Copy)]
pub(super) enum IfMatch {
    Absent,
    Current,
    Stale,
}

/// The lock token that a request sends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    Absent,
    /// The latest token for this session.
    Latest,
    Wrong,
}

/// A change to an owner, one of [`USERS`], or to a label, one of [`LABELS`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Keep,
    Set(usize),
    Remove,
}

/// The id to which a session is rotated.
#[derive(Debug, Clone, Copy)]
pub(super) enum NewId {
    Generated,
    Fresh,
    /// One of the ids used so far.
    Known(usize),
}

/// What a write changes besides the data and the lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    pub(super) ttl: Option<u64>,
    pub(super) user: Change,
    pub(super) label: Change,
}

/// What a write requires, and whether it releases the lock if it has the token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requirements {
    pub(super) if_match: IfMatch,
    pub(super) token: Token,
    pub(super) releases: bool,
}

/// An operation. `on` selects one of the ids used so far, and `user` one of [`USERS`].
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Create {
        ttl: u64,
        attributes: Attributes,
    },
    CreateWithId {
        on: usize,
        ttl: u64,
        attributes: Attributes,
    },
    Read {
        on: usize,
        if_match: IfMatch,
    },
    Replace {
        on: usize,
        requirements: Requirements,
        attributes: Attributes,
        as_text: bool,
    },
    /// Without a key, the patch changes nothing.
    Patch {
        on: usize,
        requirements: Requirements,
        attributes: Attributes,
        key: Option<u8>,
    },
    /// With a token, it releases the lock.
    Touch {
        on: usize,
        requirements: Requirements,
        attributes: Attributes,
        prefers_data: bool,
    },
    Rotate {
        on: usize,
        requirements: Requirements,
        attributes: Attributes,
        grace: u64,
        has_data: bool,
        new: NewId,
    },
    /// With a token, it renews the lease.
    Lock {
        on: usize,
        token: Token,
        lease: u64,
        ttl: Option<u64>,
    },
    Unlock {
        on: usize,
        token: Token,
    },
    Destroy {
        on: usize,
        if_match: IfMatch,
    },
    List {
        user: usize,
    },
    RevokeAll {
        user: usize,
        keep: Option<usize>,
    },
    Revoke {
        on: usize,
        user: usize,
    },
    /// Ends all but this many of the user's sessions.
    Limit {
        user: usize,
        limit: usize,
    },
    /// Repeats one of the earlier requests that had a key.
    Repeat {
        which: usize,
    },
    Wait {
        seconds: u64,
    },
}

impl Operation {
    /// The first operation, so that there is an id to select.
    pub(super) const FIRST: Self = Self::Create {
        ttl: 60,
        attributes: Attributes { ttl: None, user: Change::Set(0), label: Change::Keep },
    };
}

pub(super) const USERS: [&str; 2] = ["ada", "grace"];
pub(super) const LABELS: [&str; 2] = ["Firefox", "lynx%202"];

/// Generates a sequence of operations.
///
/// Time advances by an even number of seconds, and leases last an odd number, so that no lease expires during a
/// request: leases end at an exact millisecond, and a request takes several.
pub(super) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let on = 0..64_usize;
    let user = 0..USERS.len();
    let if_match = || {
        prop_oneof![
            3 => Just(IfMatch::Absent),
            2 => Just(IfMatch::Current),
            1 => Just(IfMatch::Stale),
        ]
    };
    let token = || {
        prop_oneof![
            3 => Just(Token::Absent),
            3 => Just(Token::Latest),
            1 => Just(Token::Wrong),
        ]
    };
    let some_ttl = || prop::option::weighted(0.3, 2..60_u64);
    let change = |count: usize| {
        prop_oneof![
            4 => Just(Change::Keep),
            2 => (0..count).prop_map(Change::Set),
            1 => Just(Change::Remove),
        ]
    };
    let attributes = || {
        (some_ttl(), change(USERS.len()), change(LABELS.len()))
            .prop_map(|(ttl, user, label)| Attributes { ttl, user, label })
    };
    let requirements =
        || {
            (if_match(), token(), any::<bool>())
                .prop_map(|(if_match, token, releases)| Requirements { if_match, token, releases })
        };
    let grace = prop_oneof![Just(0), 2..30_u64];
    let new = prop_oneof![
        1 => Just(NewId::Generated),
        2 => Just(NewId::Fresh),
        2 => on.clone().prop_map(NewId::Known),
    ];
    let operation = prop_oneof![
        3 => (2..60_u64, attributes())
            .prop_map(|(ttl, attributes)| Operation::Create { ttl, attributes }),
        1 => (on.clone(), 2..60_u64, attributes())
            .prop_map(|(on, ttl, attributes)| Operation::CreateWithId { on, ttl, attributes }),
        3 => (on.clone(), if_match()).prop_map(|(on, if_match)| Operation::Read { on, if_match }),
        4 => (on.clone(), requirements(), attributes(), prop::bool::weighted(0.2)).prop_map(
            |(on, requirements, attributes, as_text)| {
                Operation::Replace { on, requirements, attributes, as_text }
            }
        ),
        4 => (on.clone(), requirements(), attributes(), prop::option::weighted(0.8, 0..4_u8))
            .prop_map(|(on, requirements, attributes, key)| {
                Operation::Patch { on, requirements, attributes, key }
            }),
        3 => (on.clone(), requirements(), attributes(), any::<bool>()).prop_map(
            |(on, requirements, attributes, prefers_data)| {
                let requirements = Requirements { releases: true, ..requirements };
                Operation::Touch { on, requirements, attributes, prefers_data }
            }
        ),
        4 => (
            (on.clone(), requirements(), attributes()),
            (grace, any::<bool>(), new),
        )
            .prop_map(|((on, requirements, attributes), (grace, has_data, new))| {
                Operation::Rotate { on, requirements, attributes, grace, has_data, new }
            }),
        4 => (on.clone(), token(), 0..8_u64, some_ttl())
            .prop_map(|(on, token, n, ttl)| Operation::Lock { on, token, lease: 2 * n + 1, ttl }),
        1 => (on.clone(), token()).prop_map(|(on, token)| Operation::Unlock { on, token }),
        1 => (on.clone(), if_match())
            .prop_map(|(on, if_match)| Operation::Destroy { on, if_match }),
        1 => user.clone().prop_map(|user| Operation::List { user }),
        1 => (user.clone(), prop::option::of(on.clone()))
            .prop_map(|(user, keep)| Operation::RevokeAll { user, keep }),
        1 => (on, user.clone()).prop_map(|(on, user)| Operation::Revoke { on, user }),
        1 => (user, 1..4_usize).prop_map(|(user, limit)| Operation::Limit { user, limit }),
        12 => (0..64_usize).prop_map(|which| Operation::Repeat { which }),
        3 => (1..12_u64).prop_map(|n| Operation::Wait { seconds: 2 * n }),
    ];
    prop::collection::vec(operation, 1..60)
}
