//! The fragment index of one file as a small blob: varints, each value as the difference to what the one before predicts. Behind it the
//! numbers of those fragments that do not begin with a keyframe, each as the distance to the one before; there are none in most files,
//! and a program that does not know of them reads what stands before.

use perch_domain::archive::Fragment;

const FORMAT: u8 = 1;

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn put_signed(out: &mut Vec<u8>, n: i64) {
    put(out, ((n << 1) ^ (n >> 63)) as u64);
}

fn take(data: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

fn take_signed(data: &mut &[u8]) -> Option<i64> {
    take(data).map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
}

/// About five bytes a fragment.
pub(crate) fn encode(fragments: &[Fragment]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + 8 * fragments.len());
    out.push(FORMAT);
    put(&mut out, fragments.len() as u64);
    let (mut offset, mut start, mut duration) = (0u64, 0i64, 0i64);
    for f in fragments {
        put_signed(&mut out, f.offset_bytes.wrapping_sub(offset) as i64);
        put(&mut out, f.size_bytes);
        put_signed(&mut out, f.start_us.wrapping_sub(start));
        put_signed(&mut out, f.duration_us.wrapping_sub(duration));
        offset = f.offset_bytes.wrapping_add(f.size_bytes);
        start = f.start_us.wrapping_add(f.duration_us);
        duration = f.duration_us;
    }
    let mut before = 0;
    for (n, _) in fragments.iter().enumerate().filter(|(_, f)| !f.starts) {
        put(&mut out, (n - before) as u64);
        before = n;
    }
    out
}

/// `None` when the blob is not one of ours.
pub(crate) fn decode(mut data: &[u8]) -> Option<Vec<Fragment>> {
    let data = &mut data;
    let (format, rest) = data.split_first()?;
    *data = rest;
    let count = take(data)? as usize;
    if *format != FORMAT || count > data.len() {
        return None;
    }
    let mut out = Vec::with_capacity(count);
    let (mut offset, mut start, mut duration) = (0u64, 0i64, 0i64);
    for _ in 0..count {
        let f = Fragment {
            offset_bytes: offset.wrapping_add(take_signed(data)? as u64),
            size_bytes: take(data)?,
            start_us: start.wrapping_add(take_signed(data)?),
            duration_us: duration.wrapping_add(take_signed(data)?),
            starts: true,
        };
        offset = f.offset_bytes.wrapping_add(f.size_bytes);
        start = f.start_us.wrapping_add(f.duration_us);
        duration = f.duration_us;
        out.push(f);
    }
    let mut at = 0;
    while !data.is_empty() {
        at = usize::try_from(take(data)?).ok()?.checked_add(at)?;
        out.get_mut(at)?.starts = false;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_is_small() {
        let many: Vec<_> = (0..60)
            .map(|i| Fragment {
                offset_bytes: 800 + i * 125_000,
                size_bytes: 125_000,
                start_us: i as i64 * 1_000_000,
                duration_us: 1_000_000,
                starts: i % 7 != 3,
            })
            .collect();
        let blob = encode(&many);
        assert!(blob.len() < 60 * 7, "{}", blob.len());
        assert_eq!(decode(&blob), Some(many));
        let odd = vec![
            Fragment {
                offset_bytes: u64::MAX,
                size_bytes: 0,
                start_us: i64::MIN,
                duration_us: i64::MAX,
                starts: false,
            },
            Fragment { offset_bytes: 3, size_bytes: u64::MAX, start_us: -1, duration_us: 0, starts: false },
        ];
        assert_eq!(decode(&encode(&odd)), Some(odd.clone()));
        let all_start: Vec<_> = odd.into_iter().map(|f| Fragment { starts: true, ..f }).collect();
        assert_eq!(decode(&encode(&all_start)[..]), Some(all_start.clone()));
    }

    #[test]
    fn damaged_blobs_are_refused() {
        for bad in
            [&[][..], &[2, 0], &[1, 5, 0], &[1, 0, 0], &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
        assert_eq!(decode(&encode(&[])), Some(vec![]));
    }
}
