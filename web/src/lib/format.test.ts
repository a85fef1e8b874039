// Numbers with units, and names of devices.
import { describe, expect, it } from 'vitest';
import { bitrate, bytes, inGroups, percent } from './format';
import { deviceName, platform } from './platform';

describe('numbers', () => {
  it('carry units', () => {
    expect(bytes(512)).toBe('512 B');
    expect(bytes(1_440_000_000)).toBe('1.4 GB');
    expect(bytes(64_000_000_000)).toBe('64 GB');
    expect(bitrate(640)).toBe('640 kbit/s');
    expect(bitrate(2400)).toBe('2.4 Mbit/s');
    expect(percent(0.002)).toBe('0.2 %');
    expect(percent(0.42)).toBe('42 %');
  });

  it('of a code stand in groups', () => {
    expect(inGroups('12345678')).toBe('1234 5678');
    expect(inGroups('123456')).toBe('1234 56');
    expect(inGroups('123456789012')).toBe('1234 5678 9012');
  });
});

describe('platform', () => {
  const iphone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1';
  const mac =
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15';
  const pixel =
    'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36';
  const linux = 'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0';

  it('is recognised by the user agent', () => {
    expect(platform(iphone, 5)).toBe('ios');
    expect(platform(mac, 5)).toBe('ios');
    expect(platform(mac, 0)).toBe('macos');
    expect(platform(pixel, 5)).toBe('android');
    expect(platform(linux, 0)).toBe('linux');
  });

  it('gives a device its first name', () => {
    expect(deviceName(iphone, 5)).toBe('iPhone');
    expect(deviceName(mac, 0)).toBe('Safari on Mac');
    expect(deviceName(pixel, 5)).toBe('Pixel 8');
    expect(deviceName(linux, 0)).toBe('Firefox on Linux');
  });
});
