//! Real players: ffmpeg, GStreamer, aiortsp.

use super::*;

#[test]
fn ffmpeg_decodes_over_tcp_and_udp() {
    let bench = Bench::new();
    for (transport, path, width) in [("tcp", "/front", "320"), ("udp", "/front", "320"), ("tcp", "/front/sub", "160")] {
        // The instant in which a media ends has a test of its own.
        let idle = || Stream::ALL.iter().all(|stream| bench.camera.hub.consumers(*stream).is_empty());
        wait_for("the last media to end", Duration::from_secs(5), idle);
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-rtsp_transport", transport, "-show_entries", "stream=codec_name,width,sample_rate"])
            .args(["-of", "csv=p=0", "-analyzeduration", "500000", &bench.url(path)])
            .stderr(Stdio::inherit())
            .output();
        let output = String::from_utf8(output.expect("ffprobe runs").stdout).expect("text");
        assert!(output.contains(&format!("h264,{width}")) && output.contains("opus,48000"), "{transport}: {output}");
        wait_for("the probe's media to end", Duration::from_secs(5), idle);
        let decoded = Command::new("ffmpeg")
            .args(["-v", "warning", "-rtsp_transport", transport, "-analyzeduration", "500000", "-i", &bench.url(path)])
            .args(["-t", "1.5", "-map", "0", "-progress", "pipe:1", "-f", "null", "-"])
            .output()
            .expect("ffmpeg runs");
        let progress = String::from_utf8_lossy(&decoded.stdout);
        let frames = progress.lines().rev().find_map(|l| l.strip_prefix("frame=")?.trim().parse::<u32>().ok());
        eprintln!("ffmpeg over {transport}, {path}: {frames:?} frames");
        let errors = String::from_utf8_lossy(&decoded.stderr);
        assert!(!errors.contains("corrupt"), "{transport} {path}: {errors}");
        assert!(decoded.status.success() && frames.is_some_and(|n| n >= 15), "{transport}: {progress}");
    }
    wait_for("the demand to end", Duration::from_secs(3), || bench.consumers(Stream::Main) == 0);
}

#[test]
fn a_udp_reader_that_vanishes_ends_with_its_connection() {
    let bench = Bench::new();
    let url = bench.url("/front/sub");
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "quiet", "-rtsp_transport", "udp", "-i", &url, "-f", "null", "-"])
        .stdin(Stdio::null())
        .spawn()
        .expect("ffmpeg runs");
    wait_for("the reader to play", Duration::from_secs(20), || bench.server.readers() == 1);
    assert!(bench.camera.hub.demand().sub);
    ffmpeg.kill().expect("killed");
    ffmpeg.wait().expect("gone");
    wait_for("the demand to end", Duration::from_secs(3), || !bench.camera.hub.demand().sub);
    wait_for("the reader to be gone", Duration::from_secs(2), || bench.server.readers() == 0);
}

#[test]
fn gstreamer_reads_rtsp_and_rtsps() {
    let camera = Camera::start("front", SMALL);
    let tls_listen = Some("127.0.0.1:0".parse().expect("an address"));
    let identity = identity();
    let config = Config { tls_listen, ..config() };
    let server = Running::start_as(identity.clone(), config, vec![camera.streams()], clock()).expect("starts");
    server.set_passwords(vec![stream_login("tv", "opensesame", &[])]);
    let tls = server.tls_local_addr().expect("RTSPS listens");
    // Those that connect and say nothing must not hold up the others.
    let _silent: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(tls).expect("connects")).collect();
    for (scheme, at, protocols) in
        [("rtsp", server.local_addr(), "tcp"), ("rtsp", server.local_addr(), "udp"), ("rtsps", tls, "tcp")]
    {
        let text = format!(
            "rtspsrc location={scheme}://tv:opensesame@{at}/front protocols={protocols} latency=0 tls-validation-flags=0 name=s \
             s. ! application/x-rtp,media=video ! rtph264depay ! h264parse ! avdec_h264 ! fakesink name=video sync=false \
             s. ! application/x-rtp,media=audio ! rtpopusdepay ! opusdec ! fakesink name=audio sync=false"
        );
        let player = gst::parse::launch(&text).expect("pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
        let frames: Vec<_> = ["video", "audio"].map(|name| count_buffers(&player, name)).into();
        let began = Instant::now();
        player.set_state(gst::State::Playing).expect("starts");
        wait_for(&format!("{scheme} {protocols} frames"), Duration::from_secs(20), || {
            frames.iter().all(|n| n.load(Ordering::Relaxed) >= 20)
        });
        eprintln!("{scheme} over {protocols}: 20 frames and 20 sounds after {:?}", began.elapsed());
        player.set_state(gst::State::Null).expect("stops");
    }
    let (old, new) = (identity.certificate(), certificate());
    assert!(old.chain_pem.contains(&shown(tls)), "the certificate of the box");
    identity.exchange(new.clone());
    wait_for("the renewed certificate", Duration::from_secs(20), || new.chain_pem.contains(&shown(tls)));
}

#[test]
fn aiortsp_reads() {
    let venv = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("aiortsp-venv");
    let python = venv.join("bin/python");
    let run = |program: &std::path::Path, args: &[&str]| {
        Command::new(program).args(args).status().is_ok_and(|status| status.success())
    };
    if !run(&python, &["-c", "import aiortsp"]) {
        let venv = venv.display().to_string();
        let made =
            run("python3.11".as_ref(), &["-m", "venv", &venv]) || run("python3".as_ref(), &["-m", "venv", &venv]);
        if !made || !run(&python, &["-m", "pip", "-q", "install", "aiortsp==1.4.0"]) {
            let _ = writeln!(std::io::stderr(), "SKIPPED: aiortsp cannot be installed here");
            return;
        }
    }
    let bench = Bench::new();
    let script = "
import asyncio, sys
from aiortsp.rtsp.reader import RTSPReader
async def main():
    n = 0
    async with RTSPReader(sys.argv[1], timeout=5) as reader:
        async for packet in reader.iter_packets():
            n += len(packet.data) > 0
            if n >= 50:
                return
    sys.exit(f'only {n} packets')
asyncio.run(asyncio.wait_for(main(), 10))
";
    assert!(run(&python, &["-c", script, &bench.url("/front")]));
}

fn count_buffers(pipeline: &gst::Pipeline, sink: &str) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let pad = pipeline.by_name(sink).and_then(|s| s.static_pad("sink")).expect("a sink");
    let counted = count.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
    count
}
