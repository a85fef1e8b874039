// Which settings stand on which page, in which order. What is here and not in the box's schema is left out; a test holds that nothing
// of the schema is forgotten.

export const BOX_GROUPS = {
  name: ['box.name', 'box.time_zone'],
  recording: [
    'recording.max_days',
    'recording.event_max_days',
    'recording.max_bytes',
    'recording.min_free_bytes',
  ],
  access: [
    'access.otp_digits',
    'access.otp_ttl_s',
    'access.session_idle_s',
    'access.session_max_s',
    'webrtc.max_viewers',
    'webrtc.max_viewers_per_person',
  ],
  network: [
    'http.hostnames',
    'acme.domain',
    'acme.challenge',
    'acme.contact',
    'acme.dns_hook',
    'webrtc.addresses',
    'webrtc.interfaces',
    'webrtc.stun',
    'webrtc.vp8',
    'webrtc.relay_only',
    'http.listen',
    'http.plain_listen',
    'webrtc.udp_listen',
    'rtsp.listen',
    'rtsp.tls_listen',
  ],
  update: ['update.url', 'update.check_every_h'],
} as const;

/** Of a camera, without `camera[].`. */
export const CAMERA_GROUPS = {
  general: ['name', 'room'],
  record: [
    'record.mode',
    'record.pre_roll_s',
    'record.post_roll_s',
    'record.gap_s',
    'record.chapter_s',
    'record.segment_max_s',
  ],
  motion: ['motion.enabled', 'motion.sensitivity', 'motion.min_area', 'motion.fps'],
  picture: [
    'codec',
    'width',
    'height',
    'fps',
    'bitrate_kbps',
    'rotation',
    'mirror',
    'encode',
    'overlay.time',
    'overlay.name',
  ],
  small: ['sub.width', 'sub.height', 'sub.fps', 'sub.bitrate_kbps'],
  sound: ['audio.source', 'audio.gain_db'],
  talk: ['talkback.sink', 'talkback.echo', 'talkback.max_s', 'talkback.players'],
  onEvent: [
    'talkback.on_event.play',
    'talkback.on_event.kinds',
    'talkback.on_event.quiet_s',
    'talkback.on_event.days',
    'talkback.on_event.from',
    'talkback.on_event.to',
  ],
  network: ['sub_source', 'transport', 'aspect', 'tls.sha256', 'onvif'],
} as const;

/** Have parts of the page of their own. */
export const APART = [
  'source',
  'motion.zones',
  'motion.masks',
  'privacy',
  'controls',
  'push[].url',
  'push[].stream',
] as const;

/** Of network cameras alone: others may not say them. */
export const OF_NETWORK: ReadonlySet<string> = new Set(CAMERA_GROUPS.network);

/** Of cameras that may encode for themselves. */
export const OF_ENCODING: ReadonlySet<string> = new Set(['encode']);

/** Of pictures that the box encodes: others cannot be written into. */
export const OF_ENCODED: ReadonlySet<string> = new Set(['overlay.time', 'overlay.name']);

/** Have a page of their own: profiles and schedules. */
export const OF_MODES = [
  'profile{}.name',
  'profile{}.cameras{}.off',
  'profile{}.cameras{}.record.mode',
  'profile{}.cameras{}.motion.enabled',
  'schedule[].days',
  'schedule[].from',
  'schedule[].to',
  'schedule[].profile',
  'schedule[].off',
] as const;

/** Only by hand: files on the box, and what names a camera's recordings. */
export const BY_HAND: ReadonlySet<string> = new Set([
  'box.data_dir',
  'webrtc.turn[].url',
  'webrtc.turn[].secret_file',
  'webrtc.turn[].ca_file',
  'sync[].endpoint',
  'sync[].region',
  'sync[].bucket',
  'sync[].prefix',
  'sync[].access_key',
  'sync[].secret_key',
  'sync[].access_key_file',
  'sync[].secret_key_file',
  'sync[].ca_file',
  'sync[].what',
  'sync[].max_bytes_per_s',
  'sync[].monthly_bytes',
  'sync[].encrypt_to',
  'sync[].opaque',
  'acme.directory',
  'acme.ca_file',
  'acme.dns_hook_secret_file',
  'camera[].id',
  'camera[].password_file',
  'camera[].sub_password_file',
  'camera[].push[].password_file',
  'camera[].tls.ca_file',
]);
