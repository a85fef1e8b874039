// The list of servers that a camera is sent to, as its form shows it.
import { expect, test } from 'vitest';
import type { PushStatus } from '../types';
import { isAddress, shownUrl, statusOf, targetsOf } from './pushes';

test('what is kept apart is shown as such', () => {
  expect(shownUrl('rtmp://a/live/{password}')).toBe('rtmp://a/live/…');
  expect(shownUrl('https://{password:as-it-is}')).toBe('https://…');
  expect(shownUrl('rtsp://relay/…')).toBe('rtsp://relay/…');
});

test('an address is told from what is none', () => {
  for (const url of ['rtmp://a/live/k', ' RTMPS://a/l/k', 'srt://a:1', 'https://a/whip', 'rtsp://a'])
    expect(isAddress(url), url).toBe(true);
  for (const url of ['', 'a/live', 'rtmp://', 'file:///etc/x', 'exec:sh'])
    expect(isAddress(url), url).toBe(false);
});

test('how a target is goes with it, wherever it stands in the form', () => {
  const [a, b] = [{ url: 'rtmp://a/live/{password}', password_file: '/x' }, { url: 'rtsp://b/…' }];
  const all = [{ to: 'a' }, { to: 'b' }] as PushStatus[];
  expect(statusOf(b, 0, [a, b], all)?.to).toBe('b');
  expect(statusOf(a, 0, [a, b], all)?.to).toBe('a');
  expect(statusOf({ ...b, stream: 'sub' }, 1, [a, b], all)).toBeNull();
  expect(statusOf(b, 1, [a, b], all.slice(0, 1))).toBeNull();
  expect(statusOf(b, 1, [b, b], all)?.to).toBe('b');
  expect(targetsOf(null)).toEqual([]);
});
