// Browsers whose fake microphone hears a file of the tests' own, and the sound files that tests make.
import { writeFileSync } from 'node:fs';
import { type Browser, chromium } from '@playwright/test';
import { CHROMIUM } from './chromium.mjs';

/** Writes a WAV file of one channel at 48 kHz: `sample` of the moment in seconds, -1 to 1. */
export function wav(path: string, seconds: number, sample: (s: number) => number): void {
  const rate = 48_000;
  const data = Buffer.alloc(seconds * rate * 2);
  for (let i = 0; i < seconds * rate; i++) data.writeInt16LE(Math.round(sample(i / rate) * 32_000), i * 2);
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  writeFileSync(path, Buffer.concat([head, data]));
}

/** A browser that may use its microphone, which hears this file again and again, or Chromium's own beeps. */
export function withMicrophone(path?: string): Promise<Browser> {
  const microphone = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
  const heard = path === undefined ? [] : [`--use-file-for-fake-audio-capture=${path}`];
  return chromium.launch({ ...CHROMIUM, args: [...CHROMIUM.args, ...microphone, ...heard] });
}

/** A camera that is spoken through and records nothing: its section of perch.toml. */
export const SPEAKING_CAMERA = `
[[camera]]
id = "door"
name = "Front door"
source = "test"
width = 320
height = 180
fps = 8
bitrate_kbps = 300
record = { mode = "off" }
motion = { enabled = false }
talkback = { sink = "test", max_s = 60 }`;
