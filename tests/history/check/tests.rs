//! Histories written by hand, which the checker must tell apart.

use crate::operation::LockHeader::{Absent, Lock, Unlock};
use crate::operation::Outcome::{Refused, Success, Unknown};
use crate::operation::{
    Change, Entry, Id, Kind, Metadata, NEVER, Operation, Origin, Outcome, Seen, Write,
};
use crate::report::{History, Verdict};

/// An operation that each client has sent once, at the first time, and that has a response at the second.
fn operation(origin: Origin, id: Id, times: (u64, u64), kind: Kind, outcome: Outcome) -> Operation {
    let (invoked, returned) = times;
    Operation {
        origin,
        client: origin,
        id,
        kind,
        may_be_repeated: false,
        sent: vec![invoked],
        returned,
        outcome,
    }
}

/// The creation of the session that every history starts with.
fn created() -> Operation {
    operation(0, 0, (0, 1), Kind::Create(Write::PLAIN), shown(&[], 0))
}

fn replaced(origin: Origin, times: (u64, u64)) -> Operation {
    operation(origin, 0, times, Kind::Replace(Write::PLAIN), ok())
}

fn rotation(has_grace: bool) -> Kind {
    Kind::Rotate { new: 1, has_data: false, has_grace, write: Write::PLAIN }
}

fn read(origin: Origin, id: Id, times: (u64, u64), outcome: Outcome) -> Operation {
    operation(origin, id, times, Kind::Read, outcome)
}

fn ok() -> Outcome {
    Success(Seen::default())
}

fn refused(reason: &str) -> Outcome {
    Refused(reason.to_owned(), Seen::default())
}

/// A response that shows this data, whose version has this tag.
fn shown(data: &[Origin], tag: u32) -> Outcome {
    let data = (!data.is_empty()).then(|| data.to_vec());
    Success(Seen { data, etag: Some(tag.to_string()), ..Seen::default() })
}

fn absent() -> Outcome {
    refused("404 session-not-found")
}

/// The operation without a response.
fn lost(operation: Operation) -> Operation {
    Operation { returned: NEVER, outcome: Unknown, ..operation }
}

/// The operation, after an attempt at this time that had no response.
fn retried_since(first: u64, mut operation: Operation) -> Operation {
    operation.sent.insert(0, first);
    Operation { may_be_repeated: true, ..operation }
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
    let lock = operation(1, 0, (2, 3), Kind::Lock { renewed: None, ttl: None }, ok());
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
fn rotations_carry_over_what_they_do_not_name() {
    let touched = Write { ttl: Some(600), label: Change::Set(1), ..Write::PLAIN };
    let touch = operation(1, 0, (2, 5), Kind::Touch(touched), ok());
    let rotate = operation(2, 0, (3, 4), rotation(false), ok());
    let with = |ttl, label| {
        let metadata = Some(Metadata { user: None, label });
        read(3, 1, (6, 7), Success(Seen { ttl: Some(ttl), metadata, ..Seen::default() }))
    };
    assert_right(&[touch.clone(), rotate.clone(), with(600, Some(1))]);
    // The touch would be refused after the rotation, so its changes must not be missing.
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
    let refusal = retried_since(2, operation(1, 0, (6, 7), Kind::Replace(Write::PLAIN), absent()));
    let destroyed = operation(3, 0, (4, 5), Kind::Destroy { if_match: None }, ok());
    assert_right(&[refusal.clone(), destroyed.clone()]);
    assert_wrong(&[refusal]);

    let refusal = retried_since(2, operation(1, 0, (6, 7), rotation(false), absent()));
    assert_wrong(&[refusal.clone(), read(2, 1, (8, 9), shown(&[0], 0))]);
    assert_right(&[refusal, destroyed]);
}

#[test]
fn retries_are_applied_once() {
    let retry = retried_since(2, operation(1, 0, (8, 9), Kind::Replace(Write::PLAIN), ok()));
    let between = [read(2, 0, (3, 4), shown(&[1], 1)), replaced(3, (5, 6))];
    let after = |data| read(4, 0, (10, 11), shown(data, 3));
    assert_right(
        &[
            std::slice::from_ref(&retry),
            &between[..],
            &[Operation { outcome: shown(&[3], 3), ..after(&[3]) }],
        ]
        .concat(),
    );
    assert_wrong(
        &[&[retry], &between[..], &[Operation { outcome: shown(&[1], 1), ..after(&[1]) }]].concat(),
    );
}

#[test]
fn retries_are_applied_again_to_a_session_that_was_created_again() {
    let retry = retried_since(2, operation(1, 0, (8, 9), Kind::Replace(Write::PLAIN), ok()));
    let history = [
        retry,
        read(2, 0, (3, 4), shown(&[1], 1)),
        operation(3, 0, (5, 6), Kind::Destroy { if_match: None }, ok()),
        operation(4, 0, (7, 7), Kind::Create(Write::PLAIN), ok()),
        read(5, 0, (10, 11), shown(&[1], 1)),
    ];
    assert_right(&history);
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
    let revoke = |keeps_id, destroyed| {
        let seen = Seen { destroyed: Some(destroyed), ..Seen::default() };
        operation(2, 0, (4, 5), Kind::RevokeAll { user: 0, keeps_id }, Success(seen))
    };
    let left = read(3, 0, (6, 7), shown(&[0], 0));
    let gone = read(3, 0, (6, 7), absent());
    assert_right(&[touch.clone(), revoke(false, 1), gone.clone()]);
    assert_wrong(&[touch.clone(), revoke(false, 0), gone.clone()]);
    assert_wrong(&[touch.clone(), revoke(false, 1), left.clone()]);
    assert_right(&[touch.clone(), revoke(true, 0), left.clone()]);
    assert_wrong(&[touch, revoke(true, 1), gone]);
    assert_right(&[revoke(false, 0), left]);
}

#[test]
fn explanations_leave_out_what_is_not_needed() {
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
