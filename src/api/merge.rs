//! Applies merge patches (RFC 7396) to the text of JSON data.
//!
//! We don't parse the data into values. We copy its text and change only the members that the patch names, so
//! everything else stays the same, byte for byte: numbers, order, escapes, and whitespace. Data of any depth
//! can be patched.
//!
//! We read the data twice: once to check it and find the members to change, and once to copy it. Time and
//! memory grow linearly with the data and the patch.

mod scanner;

use std::mem;

use indexmap::IndexMap;

use super::problem::Problem;
use scanner::{Malformed, Name, Scanner, without_separator};

/// How deeply a patch may nest objects. This limits the recursion.
const MAX_DEPTH: usize = 128;

/// A parsed merge patch.
pub(super) struct MergePatch<'a> {
    change: Change<'a>,
    /// Number of members in all the patch's objects.
    members: usize,
}

impl<'a> MergePatch<'a> {
    /// Parses a patch.
    ///
    /// # Errors
    /// [`Problem::InvalidPatch`] if it isn't JSON; [`Problem::PatchTooDeep`] if it nests more than
    /// [`MAX_DEPTH`] objects.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let mut json = Scanner::new(body).map_err(invalid_patch)?;
        let mut members = 0;
        let change = Change::parse(&mut json, &mut members, MAX_DEPTH)?;
        json.end().map_err(invalid_patch)?;
        Ok(Self { change, members })
    }

    /// Returns the data with the patch applied. If the patch changes nothing, the bytes stay the same.
    ///
    /// If an object in the data repeats a name that the patch changes, the last member counts and the others are
    /// removed.
    ///
    /// # Errors
    /// [`Problem::NotJson`] if the data isn't JSON.
    pub(super) fn apply(&self, data: &[u8]) -> Result<Vec<u8>, Problem> {
        self.merge(data).map_err(|Malformed| Problem::NotJson)
    }

    fn merge(&self, data: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut last = LastPositions(vec![0; self.members]);
        let mut json = Scanner::new(data)?;
        self.change.locate(&mut json, &mut last)?;
        json.end()?;

        let mut json = Scanner::new(data)?;
        let mut merged = String::with_capacity(data.len());
        merged.push_str(json.skip_whitespace());
        self.change.write(&mut json, &last, &mut merged)?;
        merged.push_str(json.skip_whitespace());
        Ok(merged.into_bytes())
    }
}

/// A change to one value.
enum Change<'a> {
    /// Replaces the value with this text. `null` as a member's value removes the member.
    Replace(&'a str),
    /// Changes members of the value, which becomes an object if it isn't one.
    Merge(Box<IndexMap<Name<'a>, MemberChange<'a>>>),
}

/// A change to a member. If an object in the patch repeats a name, the last member counts.
struct MemberChange<'a> {
    /// The member's number, unique within the patch.
    id: usize,
    /// The name as the patch spells it.
    name: &'a str,
    change: Change<'a>,
}

/// The position in the data of each value to change, by `MemberChange::id`. If a name is repeated, the last position
/// counts. 0 means that the data has no such member.
struct LastPositions(Vec<usize>);

impl LastPositions {
    fn get(&self, member: &MemberChange<'_>) -> usize {
        self.0.get(member.id).copied().unwrap_or_default()
    }

    fn set(&mut self, member: &MemberChange<'_>, position: usize) {
        if let Some(last) = self.0.get_mut(member.id) {
            *last = position;
        }
    }
}

impl<'a> Change<'a> {
    /// Parses a patch's next value. `members` counts the members parsed so far. `depth` is how many more levels of
    /// objects the value may have.
    fn parse(json: &mut Scanner<'a>, members: &mut usize, depth: usize) -> Result<Self, Problem> {
        if !json.enter_object() {
            return json.value().map(Self::Replace).map_err(invalid_patch);
        }
        let depth = depth.checked_sub(1).ok_or(Problem::PatchTooDeep { limit: MAX_DEPTH })?;
        let mut changes = IndexMap::new();
        let mut first = true;
        while let Some(name) = json.next_name(mem::take(&mut first)).map_err(invalid_patch)? {
            let decoded = Name::decode(name).map_err(invalid_patch)?;
            let id = *members;
            *members = id.saturating_add(1);
            let change = Self::parse(json, members, depth)?;
            changes.insert(decoded, MemberChange { id, name, change });
        }
        Ok(Self::Merge(Box::new(changes)))
    }

    /// Reads the data's next value and records where the values to change are.
    fn locate(&self, json: &mut Scanner<'_>, last: &mut LastPositions) -> Result<(), Malformed> {
        let changes = match self {
            Self::Merge(changes) if json.enter_object() => changes,
            _ => return json.value().map(drop),
        };
        let mut first = true;
        while let Some(name) = json.next_name(mem::take(&mut first))? {
            if let Some(member) = changes.get(&Name::decode(name)?) {
                last.set(member, json.position());
                member.change.locate(json, last)?;
            } else {
                json.value()?;
            }
        }
        Ok(())
    }

    /// Reads the data's next value and writes it with the change applied.
    fn write(
        &self,
        json: &mut Scanner<'_>,
        last: &LastPositions,
        merged: &mut String,
    ) -> Result<(), Malformed> {
        let changes = match self {
            Self::Merge(changes) if json.enter_object() => changes,
            _ => {
                self.write_new(merged);
                return json.value().map(drop);
            }
        };
        merged.push('{');
        let start = json.position();
        let mut first = true;
        // Start of the members that we've read but not written yet.
        let mut unchanged = start;
        let end = loop {
            let before = json.position();
            let Some(name) = json.next_name(mem::take(&mut first))? else { break before };
            let Some(member) = changes.get(&Name::decode(name)?) else {
                json.value()?;
                continue;
            };
            write_members(json.text(unchanged, before), merged);
            if last.get(member) == json.position() && !member.removes() {
                write_members(json.text(before, json.position()), merged);
                member.change.write(json, last, merged)?;
            } else {
                json.value()?;
            }
            unchanged = json.position();
        };
        write_members(json.text(unchanged, end), merged);
        // A position before this object lies in an earlier object with the same name, which is being dropped.
        for member in changes.values().filter(|member| last.get(member) < start) {
            member.write_new(merged);
        }
        merged.push_str(json.text(end, json.position()));
        Ok(())
    }

    /// Writes the value of a new member.
    fn write_new(&self, merged: &mut String) {
        match self {
            Self::Replace(value) => merged.push_str(value),
            Self::Merge(changes) => {
                merged.push('{');
                for member in changes.values() {
                    member.write_new(merged);
                }
                merged.push('}');
            }
        }
    }
}

impl MemberChange<'_> {
    fn removes(&self) -> bool {
        matches!(self.change, Change::Replace("null"))
    }

    /// Writes a new member at the end of an object.
    fn write_new(&self, merged: &mut String) {
        if !self.removes() {
            write_members(",", merged);
            merged.push_str(self.name);
            merged.push(':');
            self.change.write_new(merged);
        }
    }
}

/// Writes an object's members, or the beginning of a member. Leaves out the comma before them if nothing has
/// been written to the object yet.
fn write_members(members: &str, merged: &mut String) {
    // No value ends with an opening brace, so the brace must be the object's own.
    let first = merged.ends_with('{');
    merged.push_str(if first { without_separator(members) } else { members });
}

fn invalid_patch(_: Malformed) -> Problem {
    Problem::InvalidPatch
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
