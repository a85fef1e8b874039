//! The streams of pictures that cases use, each with how ffmpeg makes it. Small and short: they are looped.

use super::jpeg::{Jpeg, matrices};
use super::{Absent, Unit, h264_units, h265_units, made};
use std::sync::Arc;

const FAST: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -threads 1 -bf 0";

fn source(size: &str, rate: u32, seconds: u32) -> String {
    format!("-f lavfi -i testsrc=s={size}:r={rate}:d={seconds}")
}

fn h264(name: &str, source: &str, rest: &str) -> Result<Vec<Unit>, Absent> {
    made(&format!("{name}.h264"), &format!("{source} {rest} -f h264")).map(|stream| h264_units(&stream))
}

fn fast(name: &str, size: &str, rate: u32, seconds: u32, rest: &str) -> Result<Vec<Unit>, Absent> {
    h264(name, &source(size, rate, seconds), &format!("{FAST} {rest}"))
}

/// The normal camera: 640x360, 25 a second, a keyframe each two seconds, baseline, parameter sets with each keyframe.
pub fn camera() -> Result<Vec<Unit>, Absent> {
    fast(
        "camera",
        "640x360",
        25,
        4,
        "-profile:v baseline -b:v 500k -g 50 -keyint_min 50 -x264-params repeat-headers=1:scenecut=0",
    )
}

/// 4 Mbit/s at 1920x1080 of slices, without filler, for measurements.
pub fn heavy() -> Result<Vec<Unit>, Absent> {
    fast(
        "heavy",
        "1920x1080",
        25,
        2,
        "-vf noise=alls=8:allf=t -profile:v main -b:v 4M -maxrate 4M -bufsize 2M -g 50 -x264-params scenecut=0",
    )
}

/// Cyclic intra refresh: one IDR at the beginning, recovery points after.
pub fn refresh() -> Result<Vec<Unit>, Absent> {
    fast(
        "refresh",
        "320x180",
        25,
        10,
        "-profile:v main -b:v 300k -g 50 -x264-params intra-refresh=1:repeat-headers=1:keyint=50:scenecut=0",
    )
}

/// One GOP of 220 s, and then the next.
pub fn long_gop() -> Result<Vec<Unit>, Absent> {
    fast(
        "longgop",
        "128x96",
        25,
        240,
        "-profile:v main -b:v 60k -g 5500 -keyint_min 5500 -x264-params scenecut=0:keyint=5500:min-keyint=5500",
    )
}

/// A keyframe each 20 s of 15 pictures a second, high profile.
pub fn gop_20_s() -> Result<Vec<Unit>, Absent> {
    fast("gop20", "320x180", 15, 20, "-profile:v high -b:v 150k -g 300 -keyint_min 300 -x264-params scenecut=0")
}

/// Two streams of one size whose SPS differ in their frame rate.
pub fn two_sps() -> Result<(Vec<Unit>, Vec<Unit>), Absent> {
    let one = |name, more: &str| fast(name, "320x180", 25, 2, &format!("-profile:v main -b:v 300k -g 50 {more}"));
    Ok((one("vui-a", "")?, one("vui-b", "-bsf:v h264_metadata=tick_rate=30")?))
}

/// 704x480 with pixels of 40:33, 15 a second.
pub fn wide_pixels() -> Result<Vec<Unit>, Absent> {
    fast("sar", "704x480", 15, 4, "-vf setsar=40/33 -profile:v main -b:v 400k -g 30")
}

/// 960x1080 without a word about its pixels, 10 a second.
pub fn squeezed() -> Result<Vec<Unit>, Absent> {
    fast("nosar", "960x1080", 10, 2, "-profile:v main -b:v 500k -g 20")
}

/// 2592x1944, 5 a second.
pub fn large() -> Result<Vec<Unit>, Absent> {
    fast("big43", "2592x1944", 5, 2, "-profile:v high -b:v 1500k -g 10")
}

/// 366x206, 15 a second: cropped at the right and below.
pub fn odd_size() -> Result<Vec<Unit>, Absent> {
    fast("odd", "366x206", 15, 4, "-profile:v main -b:v 300k -g 30")
}

/// 640x360 of which 8 columns at the left and 4 rows above are cropped too.
pub fn cropped() -> Result<Vec<Unit>, Absent> {
    fast("crop", "640x360", 25, 2, "-profile:v main -b:v 400k -g 50 -bsf:v h264_metadata=crop_left=8:crop_top=4")
}

/// One picture a second, a keyframe each four.
pub fn slow() -> Result<Vec<Unit>, Absent> {
    fast("slow", "640x360", 1, 12, "-profile:v main -b:v 100k -g 4 -keyint_min 4")
}

/// Each picture a keyframe.
pub fn intra() -> Result<Vec<Unit>, Absent> {
    fast("intra", "640x360", 25, 2, "-profile:v main -b:v 1500k -g 1")
}

/// Interlaced, macroblock-adaptive, 720x576.
pub fn mbaff() -> Result<Vec<Unit>, Absent> {
    let rest = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -threads 1 -bf 0 -flags +ilme+ildct -x264-params tff=1:keyint=50:bframes=0";
    h264("mbaff", &source("720x576", 25, 2), rest)
}

/// Two B-frames between others, as a pyramid: pictures travel out of order. The second value: how many pictures later than its
/// place in the stream each is shown.
pub fn b_frames() -> Result<(Vec<Unit>, Vec<i64>), Absent> {
    let rest = "-c:v libx264 -preset superfast -pix_fmt yuv420p -threads 1 -profile:v main -b:v 400k -g 50 -bf 2 -x264-params b-adapt=0:b-pyramid=none:scenecut=0:open-gop=0:keyint=50:min-keyint=50";
    let units = h264("bframes", &source("640x360", 25, 4), rest)?;
    Ok((units.clone(), shown_later(&units)))
}

/// Open GOPs: the first keyframe is an IDR, the others recovery points, with B-frames before them in what is shown.
pub fn open_gop() -> Result<(Vec<Unit>, Vec<i64>), Absent> {
    let rest = "-c:v libx264 -preset superfast -pix_fmt yuv420p -threads 1 -profile:v main -b:v 400k -g 50 -bf 2 -x264-params b-adapt=0:b-pyramid=none:scenecut=0:open-gop=1:keyint=50:min-keyint=50:repeat-headers=1";
    let units = h264("opengop", &source("640x360", 25, 8), rest)?;
    Ok((units.clone(), shown_later(&units)))
}

/// The normal camera in another profile.
pub fn profile(profile: &str, pixels: &str) -> Result<Vec<Unit>, Absent> {
    let rest = format!(
        "-c:v libx264 -preset superfast -tune zerolatency -threads 1 -pix_fmt {pixels} -profile:v {profile} -b:v 500k -g 50"
    );
    h264(&format!("{profile}-{pixels}"), &source("640x360", 25, 2), &rest)
}

/// For `I P B B P B B ...` in each GOP: a reference waits for the B-frames that are shown before it.
fn shown_later(units: &[Unit]) -> Vec<i64> {
    let is_reference = |unit: &Unit| unit.iter().any(|n| matches!(n[0] & 31, 1 | 5) && n[0] & 0x60 != 0);
    let mut later = Vec::new();
    for (i, unit) in units.iter().enumerate() {
        let before = units[i + 1..].iter().take_while(|next| !is_reference(next)).count();
        // A B-frame is shown one place before where it travels.
        later.push(if is_reference(unit) { before as i64 } else { -1 });
    }
    later
}

/// Four slices a picture.
pub fn sliced() -> Result<Vec<Unit>, Absent> {
    fast(
        "sliced",
        "640x360",
        25,
        4,
        "-profile:v main -b:v 600k -g 50 -x264-params slices=4:scenecut=0:repeat-headers=1",
    )
}

/// A word that the picture is to be turned by 90 degrees (H.264 D.2.27), once a GOP.
pub fn turned() -> Result<Vec<Unit>, Absent> {
    fast(
        "turned",
        "640x360",
        25,
        2,
        "-profile:v main -b:v 400k -g 50 -bsf:v h264_metadata=display_orientation=insert:rotate=90",
    )
}

fn h265(name: &str, rest: &str) -> Result<Vec<Unit>, Absent> {
    h265_of(name, "320x180", rest)
}

fn h265_of(name: &str, size: &str, rest: &str) -> Result<Vec<Unit>, Absent> {
    let encoder = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -b:v 300k";
    let arguments = format!("{} {encoder} {rest} -f hevc", source(size, 25, 4));
    made(&format!("{name}.h265"), &arguments).map(|stream| h265_units(&stream))
}

const X265: &str = "log-level=error:pools=none:frame-threads=1:scenecut=0:keyint=50:min-keyint=50";

/// H.265, 320x180, 25 a second, a keyframe each two seconds with its parameter sets.
pub fn h265_camera() -> Result<Vec<Unit>, Absent> {
    h265("camera", &format!("-x265-params {X265}:bframes=0:repeat-headers=1"))
}

/// H.265 whose GOPs are open: after the first picture, keyframes are CRA with leading pictures.
pub fn h265_open_gop() -> Result<Vec<Unit>, Absent> {
    h265("cra", &format!("-x265-params {X265}:open-gop=1:bframes=2:b-adapt=0:b-pyramid=0:repeat-headers=1"))
}

/// H.265 of 10 bits.
pub fn h265_main10() -> Result<Vec<Unit>, Absent> {
    h265("main10", &format!("-pix_fmt yuv420p10le -x265-params {X265}:bframes=0:repeat-headers=1"))
}

/// H.265 of another size, for streams that change.
pub fn h265_other() -> Result<Vec<Unit>, Absent> {
    h265("other", &format!("-vf scale=366:206 -x265-params {X265}:bframes=0:repeat-headers=1"))
}

/// H.265 with two slices a picture, 320x192. This encoder needs threads for it.
pub fn h265_sliced() -> Result<Vec<Unit>, Absent> {
    let rest = "log-level=error:pools=2:scenecut=0:keyint=50:min-keyint=50:bframes=0:repeat-headers=1:slices=2:ctu=32";
    h265_of("sliced", "320x192", &format!("-x265-params {rest}"))
}

/// Motion JPEG of one size, 10 a second, with the Huffman tables that RFC 2435 takes for granted.
fn jpeg(name: &str, pixels: &str, rest: &str) -> Result<Vec<Jpeg>, Absent> {
    let arguments =
        format!("{} -c:v mjpeg -huffman default -pix_fmt {pixels} {rest} -f mjpeg", source("320x176", 10, 2));
    made(&format!("{name}.mjpeg"), &arguments).map(|stream| Jpeg::all(&stream))
}

/// With tables of its own, 4:2:0.
pub fn jpeg_camera() -> Result<Vec<Jpeg>, Absent> {
    jpeg("camera", "yuvj420p", "-q:v 5")
}

/// Restart markers after each row of macroblocks.
pub fn jpeg_restarts() -> Result<Vec<Jpeg>, Absent> {
    jpeg("restarts", "yuvj420p", "-q:v 5 -slices 4 -threads 4")
}

/// The tables that quality 75 means (RFC 2435 4.2), but for the first value of each, which this encoder holds at 8.
pub fn jpeg_75() -> Result<Vec<Jpeg>, Absent> {
    let (luma, chroma) = matrices(75);
    let text = |m: &[u8; 64]| m.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let tables = format!("-intra_matrix {} -chroma_intra_matrix {}", text(&luma), text(&chroma));
    jpeg("q75", "yuvj420p", &format!("-q:v 8 -qmin 8 -qmax 8 {tables}"))
}

/// MPEG-4 part 2, as cameras of 2005 send it: whole pictures, start codes and all. The first of each unit: the headers.
pub fn mpeg4() -> Result<Vec<Unit>, Absent> {
    let stream = made("mpeg4.m4v", &format!("{} -c:v mpeg4 -b:v 300k -g 25 -bf 0 -f m4v", source("320x176", 25, 2)))?;
    let starts: Vec<usize> =
        stream.windows(4).enumerate().filter(|(_, w)| *w == [0, 0, 1, 0xb6]).map(|(at, _)| at).collect();
    let group = |at: usize| stream[..at].windows(4).rposition(|w| w == [0, 0, 1, 0xb0] || w == [0, 0, 1, 0xb3]);
    let begins: Vec<usize> = starts
        .iter()
        .enumerate()
        .map(|(i, at)| group(*at).filter(|g| i == 0 || *g > starts[i - 1]).unwrap_or(*at))
        .collect();
    let end = |i: usize| begins.get(i + 1).copied().unwrap_or(stream.len());
    Ok((0..begins.len()).map(|i| Arc::new(vec![stream[begins[i]..end(i)].to_vec()])).collect())
}
