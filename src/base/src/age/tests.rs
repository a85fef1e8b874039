//! What others encrypted, what others could open, and everything in between that is damaged.

use super::chunk::{CHUNK_BYTES, TAG_BYTES};
use super::*;
use crate::ErrorKind;
use crate::Result;
use std::io::{ErrorKind as IoKind, Read};

/// Of `age-keygen` 1.1.1, and a text that `age` 1.1.1 encrypted for it.
const PUBLIC: &str = "age12s8kxhuvarkxwjpcqxrte7d93p09jgcatjjtv8e88u6t0q4fhgyqtpupzj";
const SECRET: &str = "AGE-SECRET-KEY-1LZYU7A4D7WY3FTV6CW7GVUQJHKPKF2MJR362K8R7NUK6V7D8AFRQQ8TQ6G";
const BY_AGE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBZSjdZa0U1KzZ2KzUwMm5xZzdmR0ZLdWNkaDJ6QkkzbW5IbGxhR0hIaTFj\
    CkdPdnVjalRrYkwvWG0ycFhkT3ArcGtaRUdBVVAvTXUrY3RkTUFwNkJFcWMKLS0tIGxWb2xTdGduWi9XemdTVXorYkNWbjVDV1FUUVNhL0hCcmlydXlDL3Rldk0K\
    d3fYUVJiThT3gAu/oXzXvuPcRPyX/sZnbWeo1PgvMNs+QBcWVLxVovaRAOMAjXziHNmQSRxAYg==";

fn identity() -> AgeIdentity {
    AgeIdentity::parse(SECRET).expect("a key")
}

fn recipient() -> Recipient {
    Recipient::parse(PUBLIC).expect("a key")
}

fn opened(sealed: &[u8]) -> (Vec<u8>, Result<(), IoKind>) {
    let mut plain = Vec::new();
    let read = match open(sealed, &[identity()]) {
        Ok(mut opened) => opened.read_to_end(&mut plain).map(|_| ()).map_err(|e| e.kind()),
        Err(_) => Err(IoKind::Other),
    };
    (plain, read)
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 31 % 251) as u8).collect()
}

#[test]
fn what_age_encrypted_opens() {
    let sealed = crate::base64::decode(BY_AGE).expect("base64");
    assert_eq!(opened(&sealed), (b"made by another program".to_vec(), Ok(())));
}

#[test]
fn every_length_comes_back_and_any_part_of_it_is_the_same_again() {
    for bytes in [0, 1, 100, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 200_000] {
        let plain = content(bytes);
        let whole = seal(&[recipient()], &plain).expect("sealed");
        assert_eq!(opened(&whole), (plain.clone(), Ok(())), "{bytes} bytes");

        let seal = Seal::new(&[recipient()]).expect("made");
        let (head, key) = seal.parts();
        let kept = Seal::kept(head.to_vec(), *key.expose());
        let read = |at: u64, out: &mut [u8]| {
            out.copy_from_slice(&plain[at as usize..at as usize + out.len()]);
            Ok(())
        };
        let all = seal.read_at(bytes as u64, 0, usize::MAX, read).expect("read");
        assert_eq!(all.len() as u64, seal.sealed_bytes(bytes as u64));
        let mut parts = Vec::new();
        for most in [7, 150, 1000, 65_536, 100_001].iter().cycle() {
            let part = kept.read_at(bytes as u64, parts.len() as u64, *most, read).expect("read");
            if part.is_empty() {
                break;
            }
            parts.extend(part);
        }
        assert!(parts == all, "{bytes} bytes: parts of a kept one are the whole");
        assert_eq!(opened(&parts), (plain, Ok(())));
    }
}

#[test]
fn what_is_still_being_written_opens_as_far_as_it_goes() {
    let plain = content(3 * CHUNK_BYTES + 5);
    let sealed = seal(&[recipient()], &plain).expect("sealed");
    let head = sealed.len() - plain.len() - 4 * TAG_BYTES;
    for (at, whole) in [
        (head + CHUNK_BYTES + TAG_BYTES, 1),
        (head + 2 * (CHUNK_BYTES + TAG_BYTES) + 9, 2),
        (sealed.len() - 1, 3),
        (head, 0),
    ] {
        assert_eq!(opened(&sealed[..at]), (plain[..whole * CHUNK_BYTES].to_vec(), Err(IoKind::UnexpectedEof)), "{at}");
    }
    let mut more = sealed.clone();
    more.push(0);
    assert!(opened(&more).1.is_err());
}

#[test]
fn every_changed_byte_is_seen() {
    let sealed = seal(&[recipient()], &content(300)).expect("sealed");
    for n in 0..sealed.len() {
        for bit in [0, 5] {
            let mut bad = sealed.clone();
            bad[n] ^= 1 << bit;
            let (plain, read) = opened(&bad);
            assert!(read.is_err() && plain.is_empty(), "byte {n}");
        }
        assert!(opened(&sealed[..n]).1.is_err(), "{n} bytes");
    }
    // Chunks that changed places.
    let plain = content(2 * CHUNK_BYTES + 1);
    let sealed = seal(&[recipient()], &plain).expect("sealed");
    let head = sealed.len() - plain.len() - 3 * TAG_BYTES;
    let (one, two) = (head + CHUNK_BYTES + TAG_BYTES, head + 2 * (CHUNK_BYTES + TAG_BYTES));
    let swapped = [&sealed[..head], &sealed[one..two], &sealed[head..one], &sealed[two..]].concat();
    assert_eq!(opened(&swapped), (vec![], Err(IoKind::InvalidData)));
    for nothing in [&b""[..], b"plain text", b"age-encryption.org/v2\n", &[b'\n'; 100_000]] {
        assert!(open(nothing, &[identity()]).is_err());
    }
}

#[test]
fn each_recipient_opens_it_and_nobody_else() {
    let other = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    let secret = bech32::encode("age-secret-key-", &[7; 32]).to_ascii_uppercase();
    let mine = AgeIdentity::parse(&secret).expect("a key");
    let public = aws_lc_rs::agreement::PrivateKey::from_private_key(&aws_lc_rs::agreement::X25519, &[7; 32]);
    let public = public.expect("a key").compute_public_key().expect("a key");
    let theirs = Recipient(public.as_ref().try_into().expect("32 bytes"));
    assert_eq!(Recipient::parse(&theirs.to_string()).expect("its own form"), theirs);
    let sealed = seal(&[recipient(), theirs], b"for two").expect("sealed");
    for keys in [vec![identity()], vec![mine.clone()], vec![mine.clone(), identity()]] {
        let mut plain = String::new();
        open(&sealed[..], &keys).expect("opens").read_to_string(&mut plain).expect("read");
        assert_eq!(plain, "for two");
    }
    let for_one = seal(&[recipient()], b"for one").expect("sealed");
    let refused = open(&for_one[..], &[mine]).err().expect("another's");
    assert_eq!((refused.kind(), refused.message().contains("another key")), (ErrorKind::Forbidden, true));
    assert!(seal(&[], b"x").is_err() && seal(&[recipient(); 21], b"x").is_err());
    assert!(
        AgeIdentity::parse(other).is_ok() && AgeIdentity::parse(&other.replace("GAEX", "GAEY")).is_err(),
        "mistyped"
    );
}

#[test]
fn keys_are_read_as_people_have_them() {
    assert_eq!(recipient().to_string(), PUBLIC);
    assert_eq!(Recipient::parse(&format!(" {PUBLIC}\n")).expect("pasted"), recipient());
    let file = format!("# created: 2026-11-30\n# public key: {PUBLIC}\n{SECRET}\n");
    assert_eq!(AgeIdentity::parse_file(&file).expect("as age-keygen writes it").len(), 1);
    assert!(AgeIdentity::parse_file("# nothing\n").is_err());
    let secret = Recipient::parse(SECRET).expect_err("the wrong one");
    assert!(secret.message().contains("stays with you") && !secret.to_string().contains("LZYU7"));
    for bad in [
        "",
        "age1",
        &PUBLIC[..61],
        &PUBLIC.replace('s', "z"),
        &PUBLIC.replacen("age1", "age2", 1),
        "age1Q",
        &PUBLIC.replacen('h', "H", 1),
    ] {
        assert!(Recipient::parse(bad).is_err(), "{bad}");
    }
    assert!(!format!("{:?}", identity()).contains("LZYU") && format!("{:?}", identity()).contains("***"));
}
