//! Compression and authenticated encryption of session data at rest.
//!
//! ```text
//! sealed    = version (1 byte, 1) ‖ nonce (12 bytes, random) ‖ AES-256-GCM(plaintext) ‖ tag (16 bytes)
//! plaintext = 0 ‖ data  or  1 ‖ zstd(data), whichever is shorter
//! key       = HKDF-SHA-256(session id, info = "session-api data 1")
//! associated data = version ‖ handle ‖ media type
//! ```
//!
//! The key isn't stored anywhere: it's derived from the session id, and the table holds only a hash of that.
//! The associated data ties sealed data to its session and media type, so somebody who can write to the table
//! can't swap two sessions' data or relabel it. In practice, no key sees the same nonce twice: nonces are 96
//! random bits, and a key serves one session (NIST SP 800-38D, 8.3, allows 2³² nonces per key).

use std::cell::RefCell;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use zstd::zstd_safe::{self, CCtx, DCtx};

use crate::random::{self, NoRandomness};
use crate::session::{MediaType, SessionId};

/// Maximum size of a session's data as sent, in bytes: 1 MiB.
pub const MAX_DATA: usize = 1024 * 1024;

/// Maximum size of sealed data, in bytes. Leaves room for all other attributes, at their maximum sizes, within
/// DynamoDB's 400 KB limit for an item.
pub const MAX_SEALED: usize = 390_000;

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Length of the version and the nonce, which precede the ciphertext.
const HEADER_LEN: usize = 1 + NONCE_LEN;
/// Length of the authentication tag, which follows the ciphertext.
const TAG_LEN: usize = 16;

thread_local! {
    // Creating a context takes longer than compressing a session of a few KB.
    static COMPRESSION: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESSION: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Returns the compression level for data of this length. For data up to 16 KB, zstd has separate settings: level 7
/// saves 5% more than the default in 60 µs, and every KB saved is a write unit saved. For larger data, the same gain
/// takes milliseconds.
const fn level(length: usize) -> i32 {
    if length <= 16 * 1024 { 7 } else { zstd::DEFAULT_COMPRESSION_LEVEL }
}

/// Why data can't be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Larger than [`MAX_DATA`] as sent, or than [`MAX_SEALED`] once sealed.
    #[error("the data is too large")]
    TooLarge,
    /// We couldn't generate a nonce.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The encryption library refused. It accepts any input within the limits, so this should never happen.
    #[error("the data could not be encrypted")]
    Refused,
}

/// Why sealed data can't be opened. None of these can happen to an item that this code wrote and nobody has modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It's too short to be sealed data.
    #[error("the sealed data is truncated")]
    Truncated,
    /// Its format is unknown.
    #[error("the sealed data has unknown version {0}")]
    UnknownVersion(u8),
    /// It was modified, or it was sealed for another session or media type.
    #[error("the sealed data is not authentic")]
    NotAuthentic,
    /// It's authentic, but malformed inside. [`seal`] never produces that.
    #[error("the sealed data can't be decompressed")]
    NotDecompressed,
}

/// Compresses data if that makes it shorter, and encrypts it for this session and media type.
///
/// # Errors
/// [`SealError::TooLarge`] for data above [`MAX_DATA`], or above [`MAX_SEALED`] once sealed.
pub fn seal(id: &SessionId, media_type: &MediaType, data: &[u8]) -> Result<Vec<u8>, SealError> {
    if data.len() > MAX_DATA {
        return Err(SealError::TooLarge);
    }
    let mut sealed = Vec::with_capacity(data.len().saturating_add(HEADER_LEN + 1 + TAG_LEN));
    let nonce = random::bytes::<NONCE_LEN>()?;
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

/// Decrypts and decompresses what [`seal`] returned for the same session and media type.
///
/// # Errors
/// [`OpenError`] for any other input. It never panics, and never returns data that isn't authentic.
pub fn open(
    id: &SessionId,
    media_type: &MediaType,
    mut sealed: Vec<u8>,
) -> Result<Vec<u8>, OpenError> {
    let Some((&mut [version, ref nonce @ ..], ciphertext)) =
        sealed.split_first_chunk_mut::<HEADER_LEN>()
    else {
        return Err(OpenError::Truncated);
    };
    if version != VERSION {
        return Err(OpenError::UnknownVersion(version));
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Truncated)?;
    let plaintext = key(id)
        .and_then(|key| key.open_in_place(nonce, associated_data(id, media_type), ciphertext))
        .map_err(|_| OpenError::NotAuthentic)?;
    match plaintext.split_first() {
        Some((&PLAIN, data)) => Ok(data.to_vec()),
        Some((&ZSTD, compressed)) => decompress(compressed),
        _ => Err(OpenError::NotDecompressed),
    }
}

/// Returns the compressed data, or `None` if compression doesn't make it shorter.
fn compress(data: &[u8]) -> Option<Vec<u8>> {
    // zstd gives up when the output doesn't fit into the buffer.
    let mut compressed = Vec::with_capacity(data.len().saturating_sub(1));
    COMPRESSION
        .with_borrow_mut(|context| context.compress(&mut compressed, data, level(data.len())))
        .is_ok()
        .then_some(compressed)
}

fn decompress(compressed: &[u8]) -> Result<Vec<u8>, OpenError> {
    // The frame header states the length, so the buffer doesn't have to be the maximum size.
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

/// Concatenates the parts. The handle has a fixed length, so the result is unambiguous.
fn associated_data(id: &SessionId, media_type: &MediaType) -> Aad<Vec<u8>> {
    let handle = id.handle().as_str();
    Aad::from([&[VERSION], handle.as_bytes(), media_type.as_str().as_bytes()].concat())
}

#[cfg(test)]
mod tests;
