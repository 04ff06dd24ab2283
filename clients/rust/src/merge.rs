use crate::Data;

/// Three-way merge of session data by its keys. Returns theirs with the keys changed that differ between base and
/// mine. Where both changed a key, mine wins.
pub(crate) fn merge(base: &Data, mine: &Data, theirs: &Data) -> Data {
    let mut merged = theirs.clone();
    for (key, value) in mine {
        if base.get(key) != Some(value) {
            merged.insert(key.clone(), value.clone());
        }
    }
    merged.retain(|key, _| mine.contains_key(key) || !base.contains_key(key));
    merged
}
