//! Random operations.

use fastrand::Rng;

use crate::board::Board;
use crate::harness::new_id;
use crate::operation::{Change, Id, Keep, Kind, LockHeader, Origin, Write};

/// Idle lifetimes in seconds, far enough apart that a response shows which one it is.
const LIFETIMES: [u64; 3] = [600, 3_600, 20_000];

/// What a history is mostly about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    /// Everything.
    Mixed,
    /// Changes to a session that stays.
    Writes,
    /// Sessions that end and are created again.
    Creations,
    Rotations,
    Locks,
    /// A user's sessions.
    Users,
    /// Users who log in again and again, with a session limit.
    Logins,
}

/// Kinds of operations, with their weight in each profile. While somebody holds the lock, most other writes
/// fail, so locks are rare in histories that aren't about them.
const WEIGHTS: [(Choice, [u32; 7]); 13] = [
    (Choice::Read, [8, 7, 7, 5, 4, 4, 6]),
    (Choice::Replace, [6, 8, 2, 3, 4, 2, 1]),
    (Choice::Patch, [5, 4, 2, 3, 3, 1, 1]),
    (Choice::Touch, [5, 6, 1, 4, 3, 2, 2]),
    (Choice::Rotate, [5, 0, 1, 8, 2, 6, 2]),
    (Choice::Lock, [1, 0, 0, 1, 6, 0, 0]),
    (Choice::Unlock, [2, 0, 0, 1, 4, 0, 0]),
    (Choice::Post, [1, 0, 0, 0, 0, 1, 0]),
    (Choice::Create, [1, 0, 7, 0, 0, 5, 8]),
    (Choice::Destroy, [1, 0, 6, 1, 0, 0, 1]),
    (Choice::List, [1, 0, 0, 1, 0, 4, 1]),
    (Choice::RevokeAll, [1, 0, 0, 0, 0, 4, 5]),
    (Choice::Revoke, [1, 0, 1, 0, 0, 3, 1]),
];

#[derive(Debug, Clone, Copy)]
enum Choice {
    Read,
    Replace,
    Patch,
    Touch,
    Rotate,
    Lock,
    Unlock,
    Post,
    Create,
    Destroy,
    List,
    RevokeAll,
    Revoke,
}

impl Profile {
    pub(crate) const ALL: [Self; 7] = [
        Self::Mixed,
        Self::Writes,
        Self::Creations,
        Self::Rotations,
        Self::Locks,
        Self::Users,
        Self::Logins,
    ];

    fn choose(self, random: &mut Rng) -> Choice {
        let weight = |(_, weights): &(Choice, [u32; 7])| weights[self as usize];
        let mut left = random.u32(0..WEIGHTS.iter().map(weight).sum());
        for row in &WEIGHTS {
            match left.checked_sub(weight(row)) {
                Some(rest) => left = rest,
                None => return row.0,
            }
        }
        Choice::Read
    }
}

/// Chooses a client's operations, based on what the history knows so far.
pub(crate) struct Generator<'a> {
    pub(crate) board: &'a Board,
    pub(crate) random: &'a mut Rng,
    pub(crate) profile: Profile,
}

impl Generator<'_> {
    /// Chooses the operation that starts a history.
    pub(crate) fn first(&mut self, origin: Origin) -> Kind {
        Kind::Create(Write { if_match: None, lock: LockHeader::Absent, ..self.write(origin) })
    }

    /// Chooses an operation and its id.
    pub(crate) fn next(&mut self, origin: Origin) -> (Id, Kind) {
        let id = self.id();
        match self.profile.choose(self.random) {
            Choice::Post => (self.board.add_id(None), self.first(origin).into_post()),
            Choice::Create if matches!(self.profile, Profile::Logins) => {
                let login = Write { user: Change::Set(self.user()), ..self.attributes(origin) };
                (self.board.add_id(Some(new_id())), Kind::Create(login))
            }
            Choice::Create => (id, self.first(origin)),
            choice => (id, self.kind(choice, origin)),
        }
    }

    fn kind(&mut self, choice: Choice, origin: Origin) -> Kind {
        match choice {
            Choice::Replace => Kind::Replace(self.write(origin)),
            Choice::Patch => Kind::Patch(self.write(origin)),
            Choice::Touch => {
                // A touch can release the lock, but not keep it.
                let mut write = self.write(origin);
                if let LockHeader::Lock(token) = write.lock {
                    write.lock = LockHeader::Unlock(token);
                }
                Kind::Touch(write)
            }
            Choice::Rotate => Kind::Rotate {
                new: self.board.add_id(None),
                has_data: self.random.bool(),
                has_grace: self.random.bool(),
                write: self.write(origin),
            },
            Choice::Lock => {
                let renewed = self.token().filter(|_| self.random.bool());
                Kind::Lock { renewed, ttl: self.ttl(), waits: self.random.u32(0..4) == 0 }
            }
            Choice::Unlock => match self.token() {
                Some(token) => Kind::Unlock { token },
                None => Kind::Lock { renewed: None, ttl: None, waits: false },
            },
            Choice::Destroy => {
                Kind::Destroy { if_match: self.if_match().filter(|_| self.random.bool()) }
            }
            Choice::List => Kind::List { user: self.user(), sends_id: self.random.bool() },
            Choice::RevokeAll => {
                let keep = match self.random.u32(0..5) {
                    _ if matches!(self.profile, Profile::Logins) => {
                        Keep::Newest(self.random.usize(1..3))
                    }
                    0 => Keep::Id,
                    1 => Keep::Newest(self.random.usize(1..3)),
                    _ => Keep::Nothing,
                };
                Kind::RevokeAll { user: self.user(), keep }
            }
            Choice::Revoke => Kind::Revoke { user: self.user() },
            Choice::Read | Choice::Post | Choice::Create => {
                Kind::Read { if_match: self.if_match().filter(|_| self.random.bool()) }
            }
        }
    }

    /// Chooses one of the ids that clients know, most often the newest.
    fn id(&mut self) -> Id {
        let ids = self.board.usable_ids();
        match self.random.u32(0..3) {
            0 => ids[self.random.usize(0..ids.len())],
            _ => ids[ids.len() - 1],
        }
    }

    fn write(&mut self, origin: Origin) -> Write {
        let lock = match (self.token(), self.random.u32(0..4)) {
            (Some(token), 0 | 1) => LockHeader::Lock(token),
            (Some(token), 2) => LockHeader::Unlock(token),
            _ => LockHeader::Absent,
        };
        Write { if_match: self.if_match(), lock, ..self.attributes(origin) }
    }

    fn attributes(&mut self, origin: Origin) -> Write {
        let user = match self.random.u32(0..8) {
            0 => Change::Remove,
            1..5 => Change::Set(self.user()),
            _ => Change::Keep,
        };
        let label = match self.random.u32(0..8) {
            0 => Change::Remove,
            1 | 2 => Change::Set(origin),
            _ => Change::Keep,
        };
        Write { ttl: self.ttl(), user, label, ..Write::PLAIN }
    }

    fn ttl(&mut self) -> Option<u64> {
        (self.random.u32(0..3) == 0).then(|| LIFETIMES[self.random.usize(0..LIFETIMES.len())])
    }

    /// Chooses a user, most often the same one.
    fn user(&mut self) -> u8 {
        u8::from(self.random.u32(0..4) == 0)
    }

    /// Chooses an ETag from some response, most often the newest, or none.
    fn if_match(&mut self) -> Option<String> {
        let etags = self.board.etags.lock().unwrap();
        match self.random.u32(0..6) {
            0 | 1 => etags.last().cloned(),
            2 if !etags.is_empty() => Some(etags[self.random.usize(0..etags.len())].clone()),
            _ => None,
        }
    }

    /// Returns the last operation that is known to have taken the lock.
    fn token(&mut self) -> Option<Origin> {
        self.board.tokens.lock().unwrap().last().map(|(origin, _)| *origin)
    }
}

impl Kind {
    /// Returns the same creation, but under an id that the API chooses, and without an owner: a late attempt would
    /// leave its owner with a session that nobody can reach.
    fn into_post(self) -> Self {
        match self {
            Self::Create(write) => Self::Post(Write { user: Change::Keep, ..write }),
            other => other,
        }
    }
}
