//! Sealing: a session's data on its way into the table, and back.
//!
//! ```text
//! sealed    = version (1 byte, 1) ‖ nonce (12 bytes, random) ‖ AES-256-GCM(plaintext) ‖ tag (16 bytes)
//! plaintext = 0 ‖ data  or  1 ‖ zstd(data), whichever is shorter
//! key       = HKDF-SHA-256(session id, info = "session-api data 1")
//! associated data = version ‖ handle ‖ media type
//! ```
//!
//! The key is stored nowhere: it takes the session id, and the table holds only that id's hash. The
//! associated data ties what is sealed to its place, so that whoever can write to the table cannot
//! swap two sessions' data or relabel it. A nonce is never used twice with a key in practice: they
//! are 96 random bits, and a key serves one session (NIST SP 800-38D, 8.3, allows 2³² of them).

use std::cell::RefCell;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use zstd::zstd_safe::{self, CCtx, DCtx};

use crate::session::{MediaType, NoRandomness, SessionId};

/// The most data that a session holds, in bytes as sent: 1 MiB.
pub const MAX_DATA: usize = 1024 * 1024;

/// The most bytes that sealed data takes, so that the whole item stays below DynamoDB's 400 KB with
/// room for every other attribute at its largest.
pub const MAX_SEALED: usize = 390_000;

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// In front of the ciphertext: the version and the nonce.
const HEADER_LEN: usize = 1 + NONCE_LEN;
/// Behind it.
const TAG_LEN: usize = 16;

thread_local! {
    // Kept for speed: a context takes longer to make than a session of a few KB to compress.
    static COMPRESSION: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESSION: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// The level at which to compress this many bytes. Up to 16 KB, for which zstd has settings of their
/// own, level 7 saves 5 % over its default for 60 µs, which a write unit per KB repays many times
/// over; above, the same gain takes milliseconds.
const fn level(length: usize) -> i32 {
    if length <= 16 * 1024 { 7 } else { zstd::DEFAULT_COMPRESSION_LEVEL }
}

/// Why data could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// More than [`MAX_DATA`] as sent, or more than [`MAX_SEALED`] sealed.
    #[error("the data is too large")]
    TooLarge,
    /// There is no nonce to seal it with.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The library refused, which it does for no input within the limits.
    #[error("the data could not be encrypted")]
    Refused,
}

/// Why sealed data could not be opened. None of these happen to an item that this code wrote and
/// nobody touched since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short to be sealed data at all.
    #[error("the sealed data is cut short")]
    CutShort,
    /// Sealed in a format that this code does not know.
    #[error("the sealed data is of unknown version {0}")]
    UnknownVersion(u8),
    /// Changed since, or sealed for another session or media type.
    #[error("the sealed data is not authentic")]
    NotAuthentic,
    /// Authentic, and yet not what [`seal`] makes.
    #[error("the sealed data does not decompress")]
    NotDecompressed,
}

/// Compresses data where that makes it shorter, and encrypts it for this session and media type.
///
/// # Errors
/// [`SealError::TooLarge`] for data past either limit.
pub fn seal(id: &SessionId, media_type: &MediaType, data: &[u8]) -> Result<Vec<u8>, SealError> {
    if data.len() > MAX_DATA {
        return Err(SealError::TooLarge);
    }
    let mut sealed = Vec::with_capacity(data.len().saturating_add(HEADER_LEN + 1 + TAG_LEN));
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| NoRandomness)?;
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    match compress(data) {
        Some(compressed) => {
            sealed.push(ZSTD);
            sealed.extend_from_slice(&compressed);
        }
        None => {
            sealed.push(PLAIN);
            sealed.extend_from_slice(data);
        }
    }
    if sealed.len() > MAX_SEALED - TAG_LEN {
        return Err(SealError::TooLarge);
    }
    let (_, plaintext) = sealed.split_at_mut(HEADER_LEN);
    let tag = key(id)
        .and_then(|key| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            key.seal_in_place_separate_tag(nonce, associated_data(id, media_type), plaintext)
        })
        .map_err(|_| SealError::Refused)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Gives back the data that [`seal`] was given for the same session and media type.
///
/// # Errors
/// [`OpenError`] for anything else; never a panic, and never data that was not sealed so.
pub fn open(
    id: &SessionId,
    media_type: &MediaType,
    mut sealed: Vec<u8>,
) -> Result<Vec<u8>, OpenError> {
    let Some((&mut [version, ref nonce @ ..], ciphertext)) =
        sealed.split_first_chunk_mut::<HEADER_LEN>()
    else {
        return Err(OpenError::CutShort);
    };
    if version != VERSION {
        return Err(OpenError::UnknownVersion(version));
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::CutShort)?;
    let plaintext = key(id)
        .and_then(|key| key.open_in_place(nonce, associated_data(id, media_type), ciphertext))
        .map_err(|_| OpenError::NotAuthentic)?;
    match plaintext.split_first() {
        Some((&PLAIN, data)) => Ok(data.to_vec()),
        Some((&ZSTD, compressed)) => decompress(compressed),
        _ => Err(OpenError::NotDecompressed),
    }
}

/// The data, compressed, where that makes it shorter.
fn compress(data: &[u8]) -> Option<Vec<u8>> {
    // A buffer that has room for less than the data is how zstd is told to give up.
    let mut compressed = Vec::with_capacity(data.len().saturating_sub(1));
    COMPRESSION
        .with_borrow_mut(|context| context.compress(&mut compressed, data, level(data.len())))
        .is_ok()
        .then_some(compressed)
}

fn decompress(compressed: &[u8]) -> Result<Vec<u8>, OpenError> {
    // The frame says how long its content is, which saves allocating for the longest.
    let length = zstd_safe::get_frame_content_size(compressed)
        .ok()
        .flatten()
        .and_then(|length| usize::try_from(length).ok())
        .filter(|&length| length <= MAX_DATA)
        .ok_or(OpenError::NotDecompressed)?;
    let mut data = Vec::with_capacity(length);
    DECOMPRESSION
        .with_borrow_mut(|context| context.decompress(&mut data, compressed))
        .map_err(|_| OpenError::NotDecompressed)?;
    Ok(data)
}

fn key(id: &SessionId) -> Result<LessSafeKey, ring::error::Unspecified> {
    let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(id.expose().as_bytes());
    let key = pseudorandom.expand(&[b"session-api data 1"], &AES_256_GCM)?;
    Ok(LessSafeKey::new(UnboundKey::from(key)))
}

/// The handle's length is fixed, so the three parts can be told apart.
fn associated_data(id: &SessionId, media_type: &MediaType) -> Aad<Vec<u8>> {
    let handle = id.handle();
    Aad::from([&[VERSION], handle.as_str().as_bytes(), media_type.as_str().as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> SessionId {
        SessionId::parse("abcdefghijklmnopqrstuv").unwrap()
    }

    fn media_type(text: &str) -> MediaType {
        MediaType::parse(text).unwrap()
    }

    /// Bytes that do not compress, the same in every run.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn bytes_come_back_exactly() {
        let all: Vec<u8> = (0..=255).collect();
        let text = "all work and no play ".repeat(50_000);
        for data in [b"".as_slice(), b"x", &all, &text.as_bytes()[..MAX_DATA], &noise(300_000)] {
            let sealed = seal(&id(), &MediaType::default(), data).unwrap();
            assert!(sealed.len() <= MAX_SEALED);
            assert_eq!(open(&id(), &MediaType::default(), sealed).unwrap(), data);
        }
    }

    #[test]
    fn data_is_compressed_where_that_helps_and_only_there() {
        let seal = |data: &[u8]| seal(&id(), &MediaType::default(), data).unwrap().len();
        assert!(seal(&[b'a'; 10_000]) < 200);
        assert_eq!(seal(&noise(10_000)), 10_000 + HEADER_LEN + 1 + TAG_LEN);
    }

    #[test]
    fn the_limits_are_1_mib_as_sent_and_390_000_bytes_sealed() {
        let seal = |data: &[u8]| seal(&id(), &MediaType::default(), data).map(|s| s.len());
        let overhead = HEADER_LEN + 1 + TAG_LEN;
        assert!(seal(&vec![b'a'; MAX_DATA]).is_ok());
        assert!(matches!(seal(&vec![b'a'; MAX_DATA + 1]), Err(SealError::TooLarge)));
        assert_eq!(seal(&noise(MAX_SEALED - overhead)).unwrap(), MAX_SEALED);
        assert!(matches!(seal(&noise(MAX_SEALED - overhead + 1)), Err(SealError::TooLarge)));
        assert!(matches!(seal(&noise(MAX_DATA)), Err(SealError::TooLarge)));
    }

    #[test]
    fn the_same_data_never_looks_the_same() {
        let seal = || seal(&id(), &MediaType::default(), b"the same").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn it_opens_for_its_own_session_and_media_type_only() {
        let sealed = seal(&id(), &media_type("text/plain"), b"data").unwrap();
        let other = SessionId::parse("abcdefghijklmnopqrstuw").unwrap();
        let open = |id: &SessionId, kind: &str| open(id, &media_type(kind), sealed.clone());
        assert_eq!(open(&id(), "text/plain").unwrap(), b"data");
        assert_eq!(open(&other, "text/plain"), Err(OpenError::NotAuthentic));
        assert_eq!(open(&id(), "text/html"), Err(OpenError::NotAuthentic));
    }

    #[test]
    fn a_format_of_the_future_is_named_and_not_guessed_at() {
        let mut sealed = seal(&id(), &MediaType::default(), b"data").unwrap();
        sealed[0] = 2;
        assert_eq!(open(&id(), &MediaType::default(), sealed), Err(OpenError::UnknownVersion(2)));
    }

    #[test]
    fn cut_short_anywhere_it_does_not_open() {
        let sealed = seal(&id(), &MediaType::default(), b"some data").unwrap();
        for length in 0..sealed.len() {
            let cut = sealed[..length].to_vec();
            assert!(open(&id(), &MediaType::default(), cut).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(data in prop::collection::vec(any::<u8>(), 0..5000)) {
            let sealed = seal(&id(), &MediaType::default(), &data).unwrap();
            prop_assert_eq!(open(&id(), &MediaType::default(), sealed).unwrap(), data);
        }

        #[test]
        fn one_flipped_bit_anywhere_is_noticed(
            data in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0..8_u8,
        ) {
            let mut sealed = seal(&id(), &MediaType::default(), &data).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&id(), &MediaType::default(), sealed).is_err());
        }

        #[test]
        fn arbitrary_bytes_do_not_open(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open(&id(), &MediaType::default(), bytes).is_err());
        }
    }
}
