// The device's own microphone: opened when somebody wants to speak, and how loud it is.
import { talkWords as t } from './en-talk';

export interface Microphone {
  readonly stream: MediaStream;
  /** How loud it is now, 0 to 1. */
  level(): number;
  close(): void;
}

/** Why there is no microphone, for people. */
export function whyNone(error: unknown): string {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') return t.denied;
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return t.none;
  if (name === 'NotReadableError' || name === 'AbortError') return t.busy;
  return t.insecure;
}

/** Opens it; the browser may ask. Errors as the browser does; see [`whyNone`]. */
export async function openMicrophone(): Promise<Microphone> {
  const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  // Without a context that the browser trusts there is nothing to ask.
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return {
    stream,
    level() {
      analyser.getFloatTimeDomainData(samples);
      return loudness(samples);
    },
    close() {
      for (const track of stream.getTracks()) track.stop();
      void context.close();
    },
  };
}

/** 60 dB below full scale is nothing, full scale is 1. */
export function loudness(samples: Float32Array): number {
  const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  return shown(rms);
}

/** How far a meter goes for an amplitude of 0 to 1. */
export function shown(amplitude: number): number {
  return Math.min(1, Math.max(0, 1 + Math.log10(Math.max(amplitude, 1e-6)) / 3));
}
