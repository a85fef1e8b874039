// What is pasted into other programs.
import { expect, it } from 'vitest';
import { addressOf, go2rtc, homeAssistant } from './player-snippets';

const plain = { camera: 'front', main: 'rtsp://tv:s@box:8554/front', sub: 'rtsp://tv:s@box:8554/front/sub' };
const both = {
  ...plain,
  main_tls: 'rtsps://tv:s@box:8322/front',
  sub_tls: 'rtsps://tv:s@box:8322/front/sub',
};

it('gives the address that was chosen, in clear where there is no other', () => {
  expect(addressOf(both, { stream: 'sub', isEncrypted: true })).toBe(both.sub_tls);
  expect(addressOf(both, { stream: 'main', isEncrypted: false })).toBe(both.main);
  expect(addressOf(plain, { stream: 'main', isEncrypted: true })).toBe(plain.main);
});

it('writes what Home Assistant reads, whatever a camera is called', () => {
  expect(homeAssistant([plain], () => 'The "front": door', { stream: 'main', isEncrypted: false })).toBe(
    [
      'ffmpeg:',
      'camera:',
      '  - platform: ffmpeg',
      String.raw`    name: "The \"front\": door"`,
      '    input: "-rtsp_transport tcp -i rtsp://tv:s@box:8554/front"',
    ].join('\n'),
  );
});

it('writes both streams for go2rtc', () => {
  expect(go2rtc([plain], false)).toBe(
    `streams:\n  front: rtsp://tv:s@box:8554/front\n  front_small: rtsp://tv:s@box:8554/front/sub`,
  );
});
