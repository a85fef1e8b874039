// What is pasted into other programs so that they read the cameras. Pure.
import type { NewStreamPassword } from './types';

export type Urls = NewStreamPassword['urls'][number];

export interface Choice {
  stream: 'main' | 'sub';
  isEncrypted: boolean;
}

/** The address of a camera's stream; in clear where the box does not offer RTSPS. */
export function addressOf(urls: Urls, { stream, isEncrypted }: Choice): string {
  const encrypted = stream === 'main' ? urls.main_tls : urls.sub_tls;
  return (isEncrypted ? encrypted : undefined) ?? urls[stream];
}

/** A text as YAML reads it back, whatever people called a camera (YAML 1.2 takes what JSON writes). */
const quoted = (text: string): string => JSON.stringify(text);

/** For configuration.yaml of Home Assistant. */
export function homeAssistant(all: Urls[], name: (camera: string) => string, choice: Choice): string {
  const entry = (urls: Urls) =>
    [
      '  - platform: ffmpeg',
      `    name: ${quoted(name(urls.camera))}`,
      `    input: ${quoted(`-rtsp_transport tcp -i ${addressOf(urls, choice)}`)}`,
    ].join('\n');
  return ['ffmpeg:', 'camera:', ...all.map(entry)].join('\n');
}

/** For go2rtc.yaml: both streams of each camera. */
export function go2rtc(all: Urls[], isEncrypted: boolean): string {
  const lines = (urls: Urls) => [
    `  ${urls.camera}: ${addressOf(urls, { stream: 'main', isEncrypted })}`,
    `  ${urls.camera}_small: ${addressOf(urls, { stream: 'sub', isEncrypted })}`,
  ];
  return ['streams:', ...all.flatMap(lines)].join('\n');
}
