//! The state of the box in Prometheus' text format.

use perch_domain::health::CameraState;
use perch_domain::status::{Overall, RecordingState};
use perch_domain::summary::Status;
use std::fmt::{Display, Write};

/// Renders everything that is a number.
pub(super) fn render(status: &Status) -> String {
    let mut out = Page(String::new());
    out.gauge("perch_up", "1 while everything works.", [(vec![], f64::from(u8::from(status.state == Overall::Ok)))]);
    out.gauge("perch_build_info", "The version that runs.", [(vec![("version", status.version.clone())], 1.0)]);
    out.gauge("perch_uptime_seconds", "Seconds since the daemon started.", [(vec![], status.uptime_s as f64)]);
    out.gauge("perch_memory_bytes", "Resident memory of the daemon.", [(vec![], status.memory_bytes as f64)]);
    out.gauge(
        "perch_clock_synchronised",
        "1 while the system says that its clock is synchronised.",
        [(vec![], f64::from(u8::from(status.clock.synchronised)))],
    );
    out.gauge("perch_disk_total_bytes", "Size of the disk of recordings.", [(vec![], status.disk.total_bytes as f64)]);
    out.gauge("perch_disk_free_bytes", "Free on the disk of recordings.", [(vec![], status.disk.free_bytes as f64)]);
    out.gauge("perch_recordings_bytes", "Bytes of recordings.", [(vec![], status.disk.recordings_bytes as f64)]);
    out.gauge("perch_webrtc_sessions", "Live WebRTC sessions.", [(vec![], status.webrtc_sessions as f64)]);
    out.gauge("perch_rtsp_readers", "Live RTSP readers.", [(vec![], status.rtsp_readers as f64)]);

    let each = |value: &dyn Fn(&perch_domain::status::CameraInfo) -> f64| -> Vec<_> {
        status.cameras.iter().map(|c| (vec![("camera", c.id.to_string())], value(c))).collect()
    };
    let live = |s: CameraState| f64::from(u8::from(s.delivers()));
    let behind = |s| f64::from(u8::from(s == CameraState::Overloaded));
    out.gauge("perch_camera_live", "1 while frames arrive.", each(&|c| live(c.health.state)));
    out.gauge(
        "perch_camera_overloaded",
        "1 while the box does not keep up with encoding.",
        each(&|c| behind(c.health.state)),
    );
    out.gauge("perch_camera_fps", "Measured frames a second.", each(&|c| f64::from(c.capture.fps)));
    out.gauge("perch_camera_bitrate_kbps", "Measured kbit/s.", each(&|c| f64::from(c.capture.bitrate_kbps)));
    out.gauge("perch_camera_encoders", "Encoders that exist now.", each(&|c| f64::from(c.capture.encoders)));
    let recording = |s| f64::from(u8::from(s == RecordingState::Recording));
    out.gauge("perch_camera_recording", "1 while a file is written.", each(&|c| recording(c.recording.state)));
    out.counter("perch_camera_restarts_total", "Restarts of capture.", each(&|c| c.health.restarts as f64));
    out.counter(
        "perch_camera_dropped_total",
        "Packets dropped at slow consumers.",
        each(&|c| c.capture.dropped as f64),
    );

    let tasks = |value: &dyn Fn(&perch_domain::task::TaskStatus) -> f64| -> Vec<_> {
        status.tasks.iter().map(|t| (vec![("task", t.id.to_string())], value(t))).collect()
    };
    out.gauge("perch_task_running", "1 while the task runs.", tasks(&|t| f64::from(u8::from(t.running))));
    out.counter("perch_task_restarts_total", "Restarts of the task.", tasks(&|t| t.restarts as f64));
    out.0
}

type Sample = (Vec<(&'static str, String)>, f64);

struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample>) {
        self.family(name, help, "gauge", samples);
    }

    fn counter(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample>) {
        self.family(name, help, "counter", samples);
    }

    // Writing to a String cannot fail.
    fn family(&mut self, name: &str, help: &str, kind: impl Display, samples: impl IntoIterator<Item = Sample>) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escape(v))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out() {
        let mut page = Page(String::new());
        page.gauge("x", "help.", [(vec![("task", "a\"} 1\nevil 2\\".to_owned())], 1.0)]);
        assert_eq!(page.0, "# HELP x help.\n# TYPE x gauge\nx{task=\"a\\\"} 1\\nevil 2\\\\\"} 1\n");
    }
}
