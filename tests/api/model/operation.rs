//! Operations, and how they are generated.

use proptest::prelude::*;

/// `If-Match` of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum IfMatch {
    Absent,
    Current,
    Stale,
}

/// `Session-Lock` of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    Absent,
    /// The latest token for this session.
    Latest,
    Wrong,
}

/// An operation. `on` selects one of the ids that exist so far, and `user` one of [`USERS`].
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Create {
        ttl: u64,
        user: Option<usize>,
    },
    CreateWithId {
        on: usize,
        ttl: u64,
    },
    Read {
        on: usize,
    },
    Replace {
        on: usize,
        if_match: IfMatch,
        token: Token,
        release: bool,
        ttl: Option<u64>,
        as_text: bool,
    },
    Patch {
        on: usize,
        if_match: IfMatch,
        token: Token,
        key: u8,
    },
    Touch {
        on: usize,
        ttl: Option<u64>,
    },
    Rotate {
        on: usize,
        if_match: IfMatch,
        token: Token,
        grace: u64,
        with_data: bool,
        user: Option<usize>,
    },
    Lock {
        on: usize,
        lease: u64,
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
    Wait {
        seconds: u64,
    },
}

pub(super) const USERS: [&str; 2] = ["ada", "grace"];

/// Generates a sequence of operations.
///
/// Time advances by an even number of seconds and leases are odd, so that no lease expires while a
/// request runs: leases expire to the millisecond, and a request takes a few.
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
    let ttl = 2..60_u64;
    let some_ttl = || prop::option::weighted(0.3, 2..60_u64);
    let some_user = || prop::option::weighted(0.5, 0..USERS.len());
    let as_text = prop::bool::weighted(0.2);
    let grace = prop_oneof![Just(0), 2..30_u64];
    let operation = prop_oneof![
        3 => (ttl.clone(), some_user()).prop_map(|(ttl, user)| Operation::Create { ttl, user }),
        1 => (on.clone(), ttl).prop_map(|(on, ttl)| Operation::CreateWithId { on, ttl }),
        3 => on.clone().prop_map(|on| Operation::Read { on }),
        4 => (on.clone(), if_match(), token(), any::<bool>(), some_ttl(), as_text).prop_map(
            |(on, if_match, token, release, ttl, as_text)| {
                Operation::Replace { on, if_match, token, release, ttl, as_text }
            }
        ),
        4 => (on.clone(), if_match(), token(), any::<u8>())
            .prop_map(|(on, if_match, token, key)| Operation::Patch { on, if_match, token, key }),
        2 => (on.clone(), some_ttl()).prop_map(|(on, ttl)| Operation::Touch { on, ttl }),
        3 => (on.clone(), if_match(), token(), grace, any::<bool>(), some_user()).prop_map(
            |(on, if_match, token, grace, with_data, user)| {
                Operation::Rotate { on, if_match, token, grace, with_data, user }
            }
        ),
        3 => (on.clone(), 0..8_u64).prop_map(|(on, n)| Operation::Lock { on, lease: 2 * n + 1 }),
        1 => (on.clone(), token()).prop_map(|(on, token)| Operation::Unlock { on, token }),
        1 => (on.clone(), if_match())
            .prop_map(|(on, if_match)| Operation::Destroy { on, if_match }),
        1 => user.clone().prop_map(|user| Operation::List { user }),
        1 => (user.clone(), prop::option::of(on.clone()))
            .prop_map(|(user, keep)| Operation::RevokeAll { user, keep }),
        1 => (on, user).prop_map(|(on, user)| Operation::Revoke { on, user }),
        3 => (1..12_u64).prop_map(|n| Operation::Wait { seconds: 2 * n }),
    ];
    prop::collection::vec(operation, 1..60)
}
