// The health line: what getStats says about a live picture, in the words of people.
import { bitrate, percent } from './format';
import { t } from './en';
import { shown } from './microphone';

export interface StatsSample {
  atMs: number;
  bytes: number;
  packets: number;
  lost: number;
  jitterDelayS: number;
  jitterFrames: number;
  roundTripS: number | null;
  relayed: boolean;
  /** 0: sound alone. */
  height: number;
  fps: number;
}

/** How loud what comes is now, 0 to 1, as a meter shows it; whatever the volume is here. */
export async function soundLevel(pc: RTCPeerConnection): Promise<number> {
  const all = [...(await pc.getStats()).values()] as Record<string, unknown>[];
  const sound = all.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio');
  return typeof sound?.audioLevel === 'number' ? shown(sound.audioLevel) : 0;
}

/** Reads one sample of the picture, or of the sound, or null while nothing is received. */
export async function sampleStats(
  pc: RTCPeerConnection,
  kind: 'video' | 'audio' = 'video',
): Promise<StatsSample | null> {
  const report = await pc.getStats();
  const all = [...report.values()] as Record<string, unknown>[];
  const video = all.find((s) => s.type === 'inbound-rtp' && s.kind === kind);
  if (!video) return null;
  const pair = all.find(
    (s) => s.type === 'candidate-pair' && s.nominated === true && s.state === 'succeeded',
  );
  const local = pair && (report.get(pair.localCandidateId as string) as Record<string, unknown> | undefined);
  const remote =
    pair && (report.get(pair.remoteCandidateId as string) as Record<string, unknown> | undefined);
  const number = (value: unknown) => (typeof value === 'number' ? value : 0);
  return {
    atMs: number(video.timestamp),
    bytes: number(video.bytesReceived),
    packets: number(video.packetsReceived),
    lost: number(video.packetsLost),
    jitterDelayS: number(video.jitterBufferDelay),
    jitterFrames: number(video.jitterBufferEmittedCount),
    roundTripS: typeof pair?.currentRoundTripTime === 'number' ? pair.currentRoundTripTime : null,
    relayed: local?.candidateType === 'relay' || remote?.candidateType === 'relay',
    height: number(video.frameHeight),
    fps: number(video.framesPerSecond),
  };
}

/** "142 ms, 360p at 10 fps, direct, 0.6 Mbit/s, 0.2 % lost" from two samples. */
export function healthLine(before: StatsSample, after: StatsSample): string {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000);
  const frames = after.jitterFrames - before.jitterFrames;
  const buffered = frames > 0 ? (after.jitterDelayS - before.jitterDelayS) / frames : 0;
  const delayMs = Math.round((buffered + (after.roundTripS ?? 0) / 2) * 1000);
  const received = after.packets - before.packets;
  const lost = Math.max(0, after.lost - before.lost);
  const share = received + lost > 0 ? lost / (received + lost) : 0;
  return [
    t.live.delay(delayMs),
    after.height > 0 ? t.live.size(after.height, Math.round(after.fps)) : t.live.rations.sound,
    after.relayed ? t.live.relayed : t.live.direct,
    bitrate(((after.bytes - before.bytes) * 8) / 1000 / seconds),
    t.live.lostShare(percent(share)),
  ].join(', ');
}
