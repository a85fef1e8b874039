// The mock box's cameras that are not there yet: found, asked for their streams, and tried out.
const network = (address, name, model, more) => ({
  address,
  onvif: `http://${address}/onvif/device_service`,
  rtsp_port: null,
  name,
  model,
  used_by: null,
  onvif: null,
  ...more,
});
const FOUND = {
  devices: [
    {
      source: 'v4l2:by-id/usb-046d_HD_Pro_Webcam_C920-video-index0',
      name: 'HD Pro Webcam C920',
      offers: 'Motion JPEG to 1920x1080 at 30',
      problem: null,
      used_by: null,
    },
  ],
  microphones: [{ source: 'alsa:plughw:CARD=C920,DEV=0', name: 'HD Pro Webcam C920' }],
  network: [
    network('192.168.1.20', 'Front', 'DS-2CD2042WD', { used_by: 'front' }),
    network('192.168.1.31', 'Yard cam', 'FC-1 with a name that is as long as makers like to have it'),
    network('192.168.1.44', '', 'Hipcam RealServer/V1.0', { onvif: null, rtsp_port: 8554 }),
  ],
};
const stream = (source, width, height) => ({
  source,
  codec: 'H.264',
  width,
  height,
  fps: 25,
  bitrate_kbps: 4096,
});
const said = (weight, what, change = '', of = 'main') => ({ weight, stream: of, what, change });

/** The routes, as the mock's table has them; `still` makes a JPEG. Who names the user `wrong` is refused. */
export function routes({ json, scenario, still }) {
  const nothing = {
    by: null,
    maker: '',
    model: '',
    firmware: '',
    clock_ahead_s: null,
    cameras: [],
    problem: null,
  };
  return [
    [
      'GET',
      /^\/discovery$/,
      async () => json(scenario.finding === 'none' ? { devices: [], microphones: [], network: [] } : FOUND),
    ],
    [
      'POST',
      /^\/discovery\/streams$/,
      async ({ body }) => {
        const user = body.username ?? '';
        if (user === 'slow') await new Promise((done) => setTimeout(done, 60_000).unref());
        const problem = {
          lacking: 'password',
          what: 'it refuses user and password for ONVIF: check both, and whether ONVIF is switched on for that user',
          change: 'give the user and password of the camera itself, as its own app or page has them',
        };
        if (user === 'wrong') return json({ ...nothing, problem });
        const at = (path) => `rtsp://${user}@192.168.1.31/${path}`;
        const camera = {
          name: 'Fake FC-1',
          main: stream(at('main'), 1920, 1080),
          sub: stream(at('sub'), 640, 360),
        };
        return json({
          ...nothing,
          by: 'onvif',
          onvif: 'http://192.168.1.31/onvif/device_service',
          maker: 'Fake',
          model: 'FC-1',
          firmware: '1.2.3',
          cameras: [camera],
        });
      },
    ],
    [
      'POST',
      /^\/cameras\/probe$/,
      async ({ body }) => {
        const main = {
          stream: 'main',
          codec: 'H.264',
          width: 1920,
          height: 1080,
          fps: 25,
          bitrate_kbps: 4096,
          keyframe_interval_s: 10,
          has_b_frames: false,
          sound: 'AAC, 16 kHz',
          round_trip_ms: 4,
          clock_ahead_s: -640,
          still: still().toString('base64'),
        };
        const judgement = [
          said('good', 'H.264 1920x1080, 25 pictures a second, 4.1 Mbit/s, with sound'),
          said(
            'odd',
            'a keyframe comes each 10 s only: a picture begins late, and recordings are cut late',
            'set the keyframe interval (I-frame interval, GOP) in the camera to 2 s',
          ),
          said(
            'advice',
            "its clock is 11 min behind the box's: a time in its picture is wrong",
            'set a time server (NTP) in it',
          ),
          ...(body.sub_source
            ? [said('good', 'H.264 640x360, 15 pictures a second, 0.5 Mbit/s', '', 'sub')]
            : []),
        ];
        return json({ source: 'rtsp://192.168.1.31/…', streams: [main], modes: null, judgement });
      },
    ],
  ];
}
