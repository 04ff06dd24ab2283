//! Handwritten histories, some right and some wrong, that the checker must tell apart.

use crate::operation::LockHeader::{Absent, Lock, Unlock};
use crate::operation::Outcome::{Refused, Success, Unknown};
use crate::operation::{
    Change, Entry, Id, Keep, Kind, Metadata, Moment, NEVER, Operation, Origin, Outcome, SECOND,
    Seen, Write,
};
use crate::report::{History, Verdict};

/// An operation that arrives at the first of these times and gets its response at the second.
fn operation(
    origin: Origin,
    id: Id,
    times: (Moment, Moment),
    kind: Kind,
    outcome: Outcome,
) -> Operation {
    let (sent, returned) = times;
    Operation { origin, client: origin, id, kind, may_be_repeated: false, sent, returned, outcome }
}

/// Creates the session that every history starts with.
fn created() -> Operation {
    operation(0, 0, (0, 1), Kind::Create(Write::PLAIN), shown(&[], 0))
}

fn replaced(origin: Origin, times: (Moment, Moment)) -> Operation {
    operation(origin, 0, times, REPLACE, ok())
}

const REPLACE: Kind = Kind::Replace(Write::PLAIN);
const LOCK: Kind = Kind::Lock { renewed: None, ttl: None, waits: false };

fn rotation(has_grace: bool) -> Kind {
    Kind::Rotate { new: 1, has_data: false, has_grace, write: Write::PLAIN }
}

fn read(origin: Origin, id: Id, times: (Moment, Moment), outcome: Outcome) -> Operation {
    operation(origin, id, times, Kind::Read { if_match: None }, outcome)
}

fn ok() -> Outcome {
    Success(Seen::default())
}

fn refused(reason: &str) -> Outcome {
    Refused(reason.to_owned(), Seen::default())
}

/// A response that shows this data and this ETag.
fn shown(data: &[Origin], tag: u32) -> Outcome {
    let data = (!data.is_empty()).then(|| data.to_vec());
    Success(Seen { data, etag: Some(tag.to_string()), ..Seen::default() })
}

fn absent() -> Outcome {
    refused("404 session-not-found")
}

/// The same operation, with its response lost.
fn lost(operation: Operation) -> Operation {
    Operation { returned: NEVER, outcome: Unknown, ..operation }
}

/// An attempt at this time whose response is lost, and its retry.
fn retried_since(sent: Moment, retry: Operation) -> [Operation; 2] {
    [lost(Operation { sent, ..retry.clone() }), retry]
}

fn check(operations: &[Operation]) -> Result<(), String> {
    let operations = [&[created()], operations].concat();
    match (History { operations, is_known: vec![true; 3] }).check() {
        Verdict::Linearizable => Ok(()),
        Verdict::Undecided => Err("undecided".to_owned()),
        Verdict::Wrong(explanation) => Err(explanation),
    }
}

#[track_caller]
fn assert_right(operations: &[Operation]) {
    check(operations).unwrap();
}

#[track_caller]
fn assert_wrong(operations: &[Operation]) {
    check(operations).unwrap_err();
}

#[test]
fn reads_show_the_last_write() {
    assert_right(&[replaced(1, (2, 3)), read(2, 0, (4, 5), shown(&[1], 1))]);
    assert_wrong(&[replaced(1, (2, 3)), read(2, 0, (4, 5), shown(&[0], 0))]);
}

#[test]
fn concurrent_operations_may_have_either_order() {
    for seen in [shown(&[0], 0), shown(&[1], 1)] {
        assert_right(&[replaced(1, (2, 5)), read(2, 0, (3, 4), seen)]);
    }
    let went_back = [
        replaced(1, (2, 9)),
        read(2, 0, (3, 4), shown(&[1], 1)),
        read(3, 0, (5, 6), shown(&[0], 0)),
    ];
    assert_wrong(&went_back);
}

#[test]
fn writes_without_a_response_may_take_effect_late_or_never() {
    let write = lost(replaced(1, (2, 3)));
    assert_right(&[write.clone(), read(2, 0, (4, 5), shown(&[0], 0))]);
    assert_right(&[
        write.clone(),
        read(2, 0, (4, 5), shown(&[0], 0)),
        read(3, 0, (6, 7), shown(&[1], 1)),
    ]);
    let twice = [
        write,
        read(2, 0, (4, 5), shown(&[1], 1)),
        replaced(3, (6, 7)),
        read(4, 0, (8, 9), shown(&[1], 1)),
    ];
    assert_wrong(&twice);
}

#[test]
fn patches_are_not_lost() {
    let patch = |origin, times| operation(origin, 0, times, Kind::Patch(Write::PLAIN), ok());
    let patches = [patch(1, (2, 5)), patch(2, (3, 4))];
    for (data, is_right) in [(&[0, 1, 2], true), (&[0, 2, 1], true)] {
        let history = [&patches[..], &[read(3, 0, (6, 7), shown(data, 3))]].concat();
        assert_eq!(check(&history).is_ok(), is_right);
    }
    assert_wrong(&[&patches[..], &[read(3, 0, (6, 7), shown(&[0, 2], 3))]].concat());
}

#[test]
fn destroyed_sessions_stay_absent() {
    let destroyed = operation(1, 0, (2, 3), Kind::Destroy { if_match: None }, ok());
    assert_right(&[destroyed.clone(), read(2, 0, (4, 5), absent())]);
    assert_wrong(&[destroyed.clone(), read(2, 0, (4, 5), shown(&[0], 0))]);
    assert_wrong(&[destroyed, replaced(2, (4, 5))]);
}

#[test]
fn conditions_on_the_version_hold_when_the_write_takes_effect() {
    let conditional = |outcome| {
        let write = Write { if_match: Some("0".to_owned()), ..Write::PLAIN };
        operation(2, 0, (4, 5), Kind::Replace(write), outcome)
    };
    let mismatch = refused("412 etag-mismatch");
    assert_right(&[conditional(ok())]);
    assert_wrong(&[conditional(mismatch.clone())]);
    assert_right(&[
        operation(1, 0, (2, 3), Kind::Replace(Write::PLAIN), shown(&[], 1)),
        conditional(mismatch),
    ]);
    assert_wrong(&[
        operation(1, 0, (2, 3), Kind::Replace(Write::PLAIN), shown(&[], 1)),
        conditional(ok()),
    ]);
}

#[test]
fn versions_have_one_tag_each() {
    assert_wrong(&[read(1, 0, (2, 3), shown(&[0], 7))]);
    assert_wrong(&[replaced(1, (2, 3)), read(2, 0, (4, 5), shown(&[1], 0))]);
}

#[test]
fn locks_refuse_writes_without_their_token() {
    let lock = operation(1, 0, (2, 3), LOCK, ok());
    let replace = |lock, outcome| {
        operation(2, 0, (4, 5), Kind::Replace(Write { lock, ..Write::PLAIN }), outcome)
    };
    let locked = refused("423 session-locked");
    assert_right(&[lock.clone(), replace(Absent, locked.clone())]);
    assert_wrong(&[lock.clone(), replace(Absent, ok())]);
    assert_wrong(&[replace(Absent, locked.clone())]);
    assert_right(&[lock.clone(), replace(Lock(1), ok()), replace(Absent, locked)]);
    assert_right(&[lock, replace(Unlock(1), ok()), replaced(3, (6, 7))]);
}

#[test]
fn rotations_keep_what_they_do_not_change() {
    let touched = Write { ttl: Some(600), label: Change::Set(1), ..Write::PLAIN };
    let touch = operation(1, 0, (2, 5), Kind::Touch(touched), ok());
    let rotate = operation(2, 0, (3, 4), rotation(false), ok());
    let with = |ttl, label| {
        let metadata = Some(Metadata { user: None, label });
        read(3, 1, (6, 7), Success(Seen { ttl: Some(ttl), metadata, ..Seen::default() }))
    };
    assert_right(&[touch.clone(), rotate.clone(), with(600, Some(1))]);
    // The touch succeeded, so it came before the rotation, and its changes must still be there.
    assert_wrong(&[touch.clone(), rotate.clone(), with(86_400, None)]);
    assert_wrong(&[touch, rotate, with(600, None)]);
}

#[test]
fn rotated_ids_are_readable_during_their_grace_period() {
    for has_grace in [false, true] {
        let rotate = operation(1, 0, (2, 3), rotation(has_grace), ok());
        let old = |outcome| read(3, 0, (6, 7), outcome);
        assert_eq!(check(&[rotate.clone(), old(shown(&[0], 0))]).is_ok(), has_grace);
        assert_eq!(check(&[rotate.clone(), old(absent())]).is_ok(), !has_grace);
        assert_wrong(&[rotate.clone(), replaced(2, (4, 5))]);
        let destroyed = operation(2, 1, (4, 5), Kind::Destroy { if_match: None }, ok());
        assert_right(&[rotate.clone(), destroyed.clone(), old(absent())]);
        assert_wrong(&[rotate, destroyed, old(shown(&[0], 0))]);
    }
}

#[test]
fn retries_are_not_refused_for_their_own_success() {
    let destroyed = operation(3, 0, (4, 5), Kind::Destroy { if_match: None }, ok());
    let refusal = retried_since(2, operation(1, 0, (6, 7), REPLACE, absent()));
    assert_wrong(&refusal);
    assert_right(&[&refusal[..], std::slice::from_ref(&destroyed)].concat());

    let refusal = retried_since(2, operation(1, 0, (6, 7), rotation(false), absent()));
    assert_wrong(&[&refusal[..], &[read(2, 1, (8, 9), shown(&[0], 0))]].concat());
    assert_right(&[&refusal[..], &[destroyed]].concat());
}

#[test]
fn retries_are_applied_once() {
    let retry = retried_since(2, operation(1, 0, (8, 9), REPLACE, ok()));
    let between = [read(2, 0, (3, 4), shown(&[1], 1)), replaced(3, (5, 6))];
    let after = |data, tag| read(4, 0, (10, 11), shown(data, tag));
    assert_right(&[&retry[..], &between[..], &[after(&[3], 3)]].concat());
    assert_wrong(&[&retry[..], &between[..], &[after(&[1], 1)]].concat());
    // Four other writes came in between.
    let others = [5, 6, 7].map(|n| replaced(n, (6, 7)));
    assert_right(&[&retry[..], &between[..], &others[..], &[after(&[1], 2)]].concat());
}

#[test]
fn retries_end_with_their_session() {
    let after = |seconds| (seconds * SECOND, seconds * SECOND + 1);
    let write = |ttl| Kind::Touch(Write { ttl, ..Write::PLAIN });
    let touch = |times, outcome| operation(1, 0, times, write(Some(600)), outcome);
    let first = touch((2, 3), ok());
    assert_right(&[first.clone(), touch(after(500), ok())]);
    assert_right(&[first.clone(), touch(after(700), absent())]);
    assert_wrong(&[first.clone(), touch(after(700), ok())]);
    let left = |seconds| Success(Seen { ttl: Some(seconds), ..Seen::default() });
    assert_right(&[first.clone(), touch(after(500), left(100))]);
    assert_wrong(&[first.clone(), touch(after(500), left(600))]);

    let rotate = operation(2, 0, (4, 5), rotation(true), ok());
    assert_wrong(&[first.clone(), rotate.clone(), touch((6, 7), ok())]);
    assert_right(&[first, rotate, touch((6, 7), absent())]);
}

#[test]
fn retries_of_a_lock_succeed_only_while_it_is_held() {
    let after = |seconds| (seconds * SECOND, seconds * SECOND + 1);
    let lock = |origin, times, outcome| operation(origin, 0, times, LOCK, outcome);
    let [first, other] = [lock(1, (2, 3), ok()), lock(2, after(70), ok())];
    assert_right(&[first.clone(), lock(1, after(20), ok())]);
    assert_wrong(&[first.clone(), lock(2, after(20), ok())]);
    assert_wrong(&[first.clone(), lock(1, after(70), ok())]);
    let locked = || refused("423 session-locked");
    assert_right(&[first.clone(), other.clone(), lock(1, after(80), locked())]);
    assert_wrong(&[first, other, lock(1, after(80), ok())]);
}

#[test]
fn attempts_that_took_the_lock_and_lost_it_are_refused() {
    let ttl = Some(600);
    let lock = Kind::Lock { renewed: None, ttl, waits: false };
    let lock = operation(1, 0, (2, 9), lock, refused("412 not-lock-holder"));
    let lock = Operation { may_be_repeated: true, ..lock };
    let unlock = operation(2, 0, (3, 4), Kind::Unlock { token: 1 }, ok());
    let after = read(3, 0, (10, 11), Success(Seen { ttl, ..Seen::default() }));
    assert_right(&[lock.clone(), unlock.clone(), after.clone()]);
    assert_wrong(&[Operation { may_be_repeated: false, ..lock }, unlock, after]);
}

#[test]
fn sessions_and_grace_periods_expire() {
    let after = |seconds| (seconds * SECOND, seconds * SECOND + 1);
    let created = Kind::Create(Write { ttl: Some(600), ..Write::PLAIN });
    let created = operation(1, 1, (2, 3), created, ok());
    let rotate = operation(2, 0, (4, 5), rotation(true), ok());
    for (id, ends, first) in [(1, 600, created), (0, 300, rotate)] {
        let rotated = |outcome| match id {
            0 => read(3, 0, after(ends - 60), outcome),
            _ => read(3, 1, after(ends - 60), outcome),
        };
        let seen = || Success(Seen::default());
        assert_right(&[first.clone(), rotated(seen())]);
        assert_wrong(&[first.clone(), rotated(absent())]);
        assert_right(&[first.clone(), read(3, id, after(ends + 60), absent())]);
        assert_wrong(&[first, read(3, id, after(ends + 60), seen())]);
    }
}

#[test]
fn grace_periods_show_the_former_owner_and_end_with_a_logout() {
    let write = |user| Write { user, ..Write::PLAIN };
    let Kind::Rotate { new, has_data, .. } = rotation(true) else { unreachable!() };
    let login = Kind::Rotate { new, has_data, has_grace: true, write: write(Change::Set(0)) };
    let login = operation(1, 0, (2, 3), login, ok());
    let old = |user| {
        let metadata = Some(Metadata { user, label: None });
        read(3, 0, (6, 7), Success(Seen { metadata, ..Seen::default() }))
    };
    assert_right(&[login.clone(), old(None)]);
    assert_wrong(&[login.clone(), old(Some(0))]);
    let logout = operation(2, 1, (4, 5), Kind::Touch(write(Change::Remove)), ok());
    assert_wrong(&[login.clone(), logout.clone(), old(None)]);
    assert_right(&[login, logout, read(3, 0, (6, 7), absent())]);
}

#[test]
fn requests_do_not_change_sessions_created_after_their_arrival() {
    let patch = operation(1, 0, (2, 9), Kind::Patch(Write::PLAIN), ok());
    let again = [
        operation(2, 0, (3, 4), Kind::Destroy { if_match: None }, ok()),
        operation(3, 0, (5, 6), Kind::Create(Write::PLAIN), ok()),
    ];
    let after = |data, tag| read(4, 0, (10, 11), shown(data, tag));
    assert_right(&[std::slice::from_ref(&patch), &again[..], &[after(&[3], 3)]].concat());
    assert_wrong(&[&[patch], &again[..], &[after(&[3, 1], 1)]].concat());
}

#[test]
fn refusals_have_one_order() {
    let lock = operation(1, 0, (2, 3), LOCK, ok());
    let stale = Write { if_match: Some("0".to_owned()), ..Write::PLAIN };
    for kind in [Kind::Replace(stale.clone()), Kind::Patch(stale)] {
        let refused = |reason| operation(3, 0, (6, 7), kind.clone(), refused(reason));
        let made = operation(2, 0, (4, 5), REPLACE, shown(&[], 2));
        assert_wrong(&[made.clone(), lock.clone(), refused("412 etag-mismatch")]);
        let made = Operation { sent: 1, returned: 2, ..made };
        assert_right(&[made, lock.clone(), refused("423 session-locked")]);
    }
}

#[test]
fn tags_never_come_back_for_other_data() {
    let patch = |times, tag| operation(1, 0, times, Kind::Patch(Write::PLAIN), shown(&[], tag));
    let others = [2, 3, 4, 5].map(|n| replaced(n, (6, 7)));
    let history = |tag| {
        let first = [patch((2, 3), 1), read(6, 0, (4, 5), shown(&[0, 1], 1))];
        let last = [patch((8, 9), tag), read(7, 0, (10, 11), shown(&[5, 1], tag))];
        [&first[..], &others[..], &last[..]].concat()
    };
    assert_right(&history(2));
    assert_wrong(&history(1));
}

#[test]
fn lists_show_the_sessions_of_the_user() {
    let owned = Write { user: Change::Set(0), ..Write::PLAIN };
    let touch = operation(1, 0, (2, 3), Kind::Touch(owned), ok());
    let list = |user, sends_id, listed: &[Entry]| {
        let seen = Seen { listed: Some(listed.to_vec()), ..Seen::default() };
        operation(2, 0, (4, 5), Kind::List { user, sends_id }, Success(seen))
    };
    let handle = "handle".to_owned();
    let entry = Entry { handle, id: Some(0), ttl: 86_400, label: None, is_current: true };
    assert_right(&[touch.clone(), list(0, true, std::slice::from_ref(&entry))]);
    assert_right(&[touch.clone(), list(1, true, &[])]);
    assert_wrong(&[touch.clone(), list(0, true, &[])]);
    assert_wrong(&[touch.clone(), list(1, true, std::slice::from_ref(&entry))]);
    assert_wrong(&[touch, list(0, false, &[entry])]);
}

#[test]
fn revocation_of_all_sessions_keeps_one_and_counts_the_others() {
    let owned = Write { user: Change::Set(0), ..Write::PLAIN };
    let touch = operation(1, 0, (2, 3), Kind::Touch(owned), ok());
    let revoke = |keep, destroyed| {
        let seen = Seen { destroyed: Some(destroyed), ..Seen::default() };
        operation(2, 0, (4, 5), Kind::RevokeAll { user: 0, keep }, Success(seen))
    };
    let left = read(3, 0, (6, 7), shown(&[0], 0));
    let gone = read(3, 0, (6, 7), absent());
    assert_right(&[touch.clone(), revoke(Keep::Nothing, 1), gone.clone()]);
    assert_wrong(&[touch.clone(), revoke(Keep::Nothing, 0), gone.clone()]);
    assert_wrong(&[touch.clone(), revoke(Keep::Nothing, 1), left.clone()]);
    assert_right(&[touch.clone(), revoke(Keep::Id, 0), left.clone()]);
    assert_wrong(&[touch, revoke(Keep::Id, 1), gone]);
    assert_right(&[revoke(Keep::Nothing, 0), left]);
}

#[test]
fn limits_leave_the_sessions_that_got_their_owner_last() {
    let owned = || Write { user: Change::Set(0), ..Write::PLAIN };
    let login = |origin, id, times| operation(origin, id, times, Kind::Create(owned()), ok());
    let limit = |origin, times, destroyed| {
        let seen = Seen { destroyed: Some(destroyed), ..Seen::default() };
        let kind = Kind::RevokeAll { user: 0, keep: Keep::Newest(1) };
        operation(origin, 0, times, kind, Success(seen))
    };
    let left = |id| read(5, id, (20, 21), Success(Seen::default()));
    let gone = |id| read(6, id, (20, 21), absent());
    let logins = [login(1, 1, (2, 3)), login(2, 2, (4, 5))];
    let after = |rest: &[Operation]| [&logins[..], &[limit(3, (6, 7), 1)], rest].concat();
    assert_right(&after(&[left(2), gone(1)]));
    assert_wrong(&after(&[left(1), gone(2)]));
    assert_wrong(&after(&[left(1), left(2)]));
    assert_wrong(&after(&[gone(1), gone(2)]));
    // The two logins never end each other, whatever their order.
    let logins = [login(1, 1, (2, 5)), login(2, 2, (3, 4))];
    let limits = |first, second| [limit(3, (6, 9), first), limit(4, (7, 8), second)];
    let after = |rest: &[Operation]| [&logins[..], &limits(1, 0), rest].concat();
    assert_right(&after(&[left(1), gone(2)]));
    assert_right(&after(&[left(2), gone(1)]));
    assert_wrong(&[&logins[..], &limits(1, 1), &[gone(1), gone(2)]].concat());
}

#[test]
fn explanations_leave_out_irrelevant_operations() {
    let history = [
        read(1, 0, (2, 3), shown(&[0], 0)),
        replaced(2, (4, 5)),
        read(3, 0, (6, 7), shown(&[0], 0)),
        replaced(4, (8, 9)),
    ];
    let explanation = check(&history).unwrap_err();
    let is_told = |origin| explanation.contains(&format!("operation {origin:2} on id"));
    assert_eq!([0, 1, 2, 3, 4].map(is_told), [true, false, true, true, false]);
    assert!(explanation.contains("The longest order found is 0, 2,"), "{explanation}");
}
