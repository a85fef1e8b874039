// The JSON of the HTTP contract, as the daemon serialises it.

export type Role = 'admin' | 'viewer';
export type Stream = 'main' | 'sub';
export type StreamChoice = 'auto' | Stream;

export interface Problem {
  status: number;
  title?: string;
  detail?: string;
  code?: string;
  tries_left?: number;
}

export interface Me {
  device_id: string;
  device_name: string;
  username: string | null;
  role: Role;
  has_accounts: boolean;
  box_name: string;
  version: string;
  ca_sha256: string;
}

export interface Device {
  id: string;
  name: string;
  kind: 'paired' | 'session';
  username: string | null;
  role: Role;
  created_at: string;
  last_seen_at: string;
  current: boolean;
  live_sessions: number;
}

export interface User {
  name: string;
  role: Role;
  created_at: string;
}

export interface StreamPassword {
  name: string;
  created_at: string;
}

export interface NewStreamPassword {
  name: string;
  password: string;
  urls: { camera: string; main: string; sub: string }[];
}

export interface PairingCode {
  otp: string;
  expires_at: string;
  url: string;
  qr_svg: string;
}

export type CameraState = 'starting' | 'live' | 'stalled' | 'missing' | 'failed';

export interface CameraHealth {
  state: CameraState;
  reason: string;
  since: string;
  restarts: number;
}

export interface RecordingStatus {
  state: 'off' | 'waiting' | 'recording' | 'paused';
  reason: string;
}

export interface CameraInfo {
  id: string;
  name: string;
  source?: string;
  width: number;
  height: number;
  fps: number;
  codec: 'h264' | 'vp8';
  has_audio: boolean;
  record_mode: 'continuous' | 'motion' | 'off';
  motion_enabled: boolean;
  health: CameraHealth;
  capture: {
    encoder: string;
    encoders: number;
    fps: number;
    bitrate_kbps: number;
    sub_active: boolean;
    dropped: number;
  };
  recording: RecordingStatus;
  last_event_at: string | null;
}

export type Cause = 'quiet' | 'motion' | 'global_change' | 'learning' | 'flutter';
export type EventKind = 'motion';

/** A rectangle in parts of the picture, 0..1, origin top left. */
export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface PerchEvent {
  id: number;
  camera: string;
  kind: EventKind;
  start: string;
  end: string | null;
  score: number;
  cause: Cause;
  boxes: Box[];
  pinned: boolean;
  has_thumbnail: boolean;
}

export interface EventPage {
  events: PerchEvent[];
  next_cursor: number | null;
}

export type GapCause =
  | 'box_off'
  | 'camera_unavailable'
  | 'disk_full'
  | 'disk_error'
  | 'recording_off'
  | 'no_motion'
  | 'lost'
  | 'retention'
  | 'unknown';

export interface Timeline {
  from: string;
  to: string;
  spans: { start: string; end: string }[];
  gaps: { start: string; end: string; cause: GapCause }[];
  events: PerchEvent[];
}

export interface TaskStatus {
  name: string;
  running: boolean;
  reason: string;
  since: string;
  restarts: number;
}

export interface Status {
  name: string;
  state: 'ok' | 'degraded';
  sentence: string;
  version: string;
  uptime_s: number;
  clock: { now: string; synchronised: boolean };
  cameras: CameraInfo[];
  tasks: TaskStatus[];
  disk: {
    total_bytes: number;
    free_bytes: number;
    recordings_bytes: number;
    days_at_this_rate: number | null;
    problem: string;
  };
  webrtc_sessions: number;
  rtsp_readers: number;
  memory_bytes: number;
}

export interface LiveSession {
  lease: string;
  camera: string;
  stream: Stream;
  device_id: string;
  device_name: string;
  username: string | null;
  role: Role;
  started_at: string;
  connected: boolean;
  remote: string;
  bytes_sent: number;
}

export type Notice =
  | { type: 'event'; event: PerchEvent }
  | { type: 'health'; camera: string; health: CameraHealth }
  | { type: 'recording'; camera: string; recording: RecordingStatus };
