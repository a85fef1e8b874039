//! Where makers' cameras have their streams, as their manuals say: tried in order once a camera's user and password are given. A row is
//! public knowledge; a maker that is missing is one more row.

/// A maker's usual paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Its name for people; others that are the same inside follow.
    pub names: &'static [&'static str],
    /// Path of the large stream and of the small one, the newest models' first.
    pub paths: &'static [(&'static str, &'static str)],
}

/// All makers, the most common first.
pub const MAKERS: &[Maker] = &[
    Maker {
        names: &["Hikvision", "Annke", "Ezviz", "HiLook", "LTS"],
        paths: &[
            ("/Streaming/Channels/101", "/Streaming/Channels/102"),
            ("/h264/ch1/main/av_stream", "/h264/ch1/sub/av_stream"),
        ],
    },
    Maker {
        names: &["Dahua", "Amcrest", "Imou", "Lorex", "Empiretech"],
        paths: &[("/cam/realmonitor?channel=1&subtype=0", "/cam/realmonitor?channel=1&subtype=1")],
    },
    Maker {
        names: &["Reolink"],
        paths: &[("/h264Preview_01_main", "/h264Preview_01_sub"), ("/Preview_01_main", "/Preview_01_sub")],
    },
    Maker { names: &["TP-Link", "Tapo", "VIGI", "Kasa"], paths: &[("/stream1", "/stream2")] },
    Maker {
        names: &["Axis"],
        paths: &[("/axis-media/media.amp?videocodec=h264", "/axis-media/media.amp?videocodec=h264&resolution=640x360")],
    },
    Maker {
        names: &["Uniview", "UNV"],
        paths: &[("/media/video1", "/media/video2"), ("/unicast/c1/s0/live", "/unicast/c1/s1/live")],
    },
    Maker { names: &["Hanwha", "Samsung", "Wisenet"], paths: &[("/profile2/media.smp", "/profile3/media.smp")] },
    Maker { names: &["Foscam"], paths: &[("/videoMain", "/videoSub")] },
    Maker { names: &["Vivotek"], paths: &[("/live.sdp", "/live2.sdp"), ("/live1s1.sdp", "/live1s2.sdp")] },
    Maker { names: &["Bosch"], paths: &[("/?inst=1", "/?inst=2"), ("/rtsp_tunnel?inst=1", "/rtsp_tunnel?inst=2")] },
    Maker { names: &["Sony"], paths: &[("/media/video1", "/media/video2"), ("/video1", "/video2")] },
    Maker {
        names: &["Panasonic", "i-PRO"],
        paths: &[
            ("/MediaInput/stream_1", "/MediaInput/stream_2"),
            ("/MediaInput/h264/stream_1", "/MediaInput/h264/stream_2"),
        ],
    },
    Maker {
        names: &["Mobotix"],
        paths: &[("/stream/profile0", "/stream/profile1"), ("/mobotix.h264", "/mobotix.mjpeg")],
    },
    Maker { names: &["Eufy"], paths: &[("/live0", "/live1")] },
    Maker { names: &["Thingino", "OpenIPC"], paths: &[("/ch0", "/ch1"), ("/stream=0", "/stream=1")] },
    Maker { names: &["Wyze"], paths: &[("/live", "/live/sub"), ("/unicast", "/unicast")] },
    Maker { names: &["Xiaomi", "Yi"], paths: &[("/ch0_0.h264", "/ch0_1.h264")] },
    Maker { names: &["Ubiquiti", "UniFi"], paths: &[("/s0", "/s1")] },
    Maker { names: &["Grandstream"], paths: &[("/0", "/4")] },
    Maker { names: &["Geovision"], paths: &[("/CH001.sdp", "/CH002.sdp")] },
    Maker { names: &["D-Link"], paths: &[("/live1.sdp", "/live2.sdp"), ("/play1.sdp", "/play2.sdp")] },
    Maker {
        names: &["Trendnet", "Edimax"],
        paths: &[("/play1.sdp", "/play2.sdp"), ("/ipcam_h264.sdp", "/ipcam_mjpeg.sdp")],
    },
    Maker { names: &["Milesight"], paths: &[("/main", "/sub")] },
    Maker { names: &["Arecont"], paths: &[("/h264.sdp", "/h264.sdp?res=half")] },
    Maker { names: &["Xiongmai", "XMEye"], paths: &[("/11", "/12"), ("/onvif1", "/onvif2")] },
];

/// The paths to try, each once: those of the maker that `words` names first (what the camera says of itself), then all others in order.
pub fn paths_for(words: &str) -> Vec<(&'static str, &'static str)> {
    let words = words.to_ascii_lowercase();
    let is_named = |maker: &&Maker| maker.names.iter().any(|name| words.contains(&name.to_ascii_lowercase()));
    let first = MAKERS.iter().filter(is_named);
    let then = MAKERS.iter().filter(|maker| !is_named(maker));
    let mut paths: Vec<(&str, &str)> = Vec::new();
    for pair in first.chain(then).flat_map(|maker| maker.paths) {
        if paths.iter().all(|(main, _)| *main != pair.0) {
            paths.push(*pair);
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_row_can_be_sent_and_names_two_streams() {
        let mut names = BTreeSet::new();
        assert!(MAKERS.len() >= 20);
        for maker in MAKERS {
            assert!(maker.names.iter().all(|name| names.insert(*name)), "{:?} stands there twice", maker.names);
            for (main, sub) in maker.paths {
                let is_sendable = |path: &str| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
                assert!(is_sendable(main) && is_sendable(sub), "{maker:?}");
                assert!(main != sub || *main == "/unicast", "{maker:?}");
            }
        }
    }

    #[test]
    fn the_makers_own_paths_come_first_and_each_once() {
        let all = paths_for("");
        let once: BTreeSet<_> = all.iter().map(|(main, _)| main).collect();
        assert_eq!(once.len(), all.len());
        assert_eq!(all[0].0, "/Streaming/Channels/101");
        for (words, first) in
            [("REOLINK RLC-520", "/h264Preview_01_main"), ("TAPO C200 by TP-Link", "/stream1"), ("odd", all[0].0)]
        {
            let paths = paths_for(words);
            assert_eq!((paths[0].0, paths.len()), (first, all.len()), "{words}");
        }
    }
}
