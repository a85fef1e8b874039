// Looking for cameras and trying one out: what is asked in which order, and that nothing comes of what was stopped.
import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api';
import type { Found, FoundCamera, FoundStreams, Probed } from '../types';
import { NO_SOURCE, type SourceFields, foundFields, needsStreams, sourceOf } from './new-camera';
import type { FinderPorts } from './ports';
import { Finding, Trying } from './trying.svelte';

const withStreams = (fields: SourceFields, found: FoundCamera): SourceFields => ({
  ...fields,
  ...foundFields(found),
});
const network = (place: string) => ({ ...NO_SOURCE, place, user: 'me', password: 'pw' });
const stream = (source: string) => ({
  source,
  codec: 'H.264',
  width: null,
  height: null,
  fps: null,
  bitrate_kbps: null,
});
const camera = (name: string, path: string, sub = false) => ({
  name,
  main: stream(`rtsp://me@cam/${path}`),
  sub: sub ? stream(`rtsp://me@cam/${path}-small`) : null,
});
const told = (cameras: FoundStreams['cameras'], problem: FoundStreams['problem'] = null): FoundStreams => ({
  by: cameras.length ? 'onvif' : null,
  onvif: null,
  maker: '',
  model: '',
  firmware: '',
  clock_ahead_s: null,
  cameras,
  problem,
});
const probed = (weight: 'good' | 'bad'): Probed => ({
  source: 'rtsp://cam/…',
  streams: [],
  modes: null,
  judgement: [{ weight, stream: 'main', what: 'so', change: '' }],
});
const ports = (more: Partial<Pick<FinderPorts, 'streams' | 'probe'>> = {}) => ({
  streams: vi.fn<FinderPorts['streams']>(more.streams ?? (async () => told([camera('Cam', 'a', true)]))),
  probe: vi.fn<FinderPorts['probe']>(more.probe ?? (async () => probed('good'))),
});

describe('an address', () => {
  it.each([
    ['192.168.1.20', true],
    ['cam.local:8554', true],
    ['rtsp://cam', true],
    ['rtsp://cam:554/', true],
    ['http://cam/onvif/device_service', true],
    ['rtsp://cam/stream1', false],
    ['rtsp://cam?x=1', false],
    ['cam/stream1', false],
    ['', false],
  ])('%s names no stream: %s', (place, needs) => expect(needsStreams(network(place))).toBe(needs));

  it('of a device never needs any', () => {
    expect(needsStreams({ ...NO_SOURCE, kind: 'usb', place: '/dev/video0' })).toBe(false);
  });
});

it('a camera that was found fills the form, its user apart', () => {
  expect(foundFields(camera('Cam', 'a', true))).toEqual({ place: 'rtsp://cam/a', sub: 'rtsp://cam/a-small' });
  expect(foundFields(camera('Cam', 'a'))).toEqual({ place: 'rtsp://cam/a', sub: '' });
  const fields = withStreams(network('cam'), camera('Cam', 'a', true));
  expect(sourceOf(fields)).toEqual({
    source: 'rtsp://me@cam/a',
    sub_source: 'rtsp://me@cam/a-small',
    password: 'pw',
  });
});

describe('trying out', () => {
  it('asks for streams first where none is named, and watches what was found', async () => {
    const box = ports();
    const trying = new Trying(box);
    await trying.run(network('cam'), 'Tapo', (found) => withStreams(network('cam'), found));
    expect(box.streams.mock.calls[0]?.[0]).toEqual({
      address: 'cam',
      username: 'me',
      password: 'pw',
      model: 'Tapo',
    });
    expect(box.probe.mock.calls[0]?.[0]).toMatchObject({ source: 'rtsp://me@cam/a', password: 'pw' });
    expect([trying.phase, trying.works]).toEqual(['tried', true]);
  });

  it('watches a whole address at once', async () => {
    const box = ports({ probe: async () => probed('bad') });
    const trying = new Trying(box);
    await trying.run(network('rtsp://cam/a'), '', () => network('never'));
    expect(box.streams).not.toHaveBeenCalled();
    expect([trying.phase, trying.works]).toEqual(['tried', false]);
  });

  it('ends where a camera tells nothing', async () => {
    const problem = { lacking: 'password' as const, what: 'it refuses', change: 'check' };
    const box = ports({ streams: async () => told([], problem) });
    const trying = new Trying(box);
    await trying.run(network('cam'), '', () => network('never'));
    expect([trying.phase, trying.streams?.problem]).toEqual(['failed', problem]);
    expect(box.probe).not.toHaveBeenCalled();
  });

  it('says why the box could not be asked', async () => {
    const busy = new ApiError({ status: 429, detail: 'others are trying out cameras' });
    const trying = new Trying(ports({ probe: () => Promise.reject(busy) }));
    await trying.run(network('rtsp://cam/a'), '', () => network(''));
    expect([trying.phase, trying.error]).toEqual(['failed', 'Others are trying out cameras.']);
  });

  it('is stopped: the request is aborted, and nothing comes of a late answer', async () => {
    let answer: (probed: Probed) => void = () => {};
    let signal: AbortSignal | undefined;
    const probe: FinderPorts['probe'] = (_, given) => {
      signal = given;
      return new Promise((done) => (answer = done));
    };
    const trying = new Trying(ports({ probe }));
    const running = trying.run(network('rtsp://cam/a'), '', () => network(''));
    expect(trying.busy).toBe(true);
    trying.stop();
    expect([trying.phase, signal?.aborted]).toEqual(['idle', true]);
    answer(probed('good'));
    await running;
    expect([trying.phase, trying.probed]).toEqual(['idle', null]);
  });

  it('watches another camera of the same device', async () => {
    const box = ports({
      streams: async () => told([camera('One', 'a'), camera('Two', 'b')]),
    });
    const trying = new Trying(box);
    await trying.run(network('cam'), '', (found) => withStreams(network('cam'), found));
    await trying.choose(withStreams(network('cam'), trying.streams!.cameras[1]!));
    expect(box.probe.mock.calls.map(([body]) => body.source)).toEqual(['rtsp://me@cam/a', 'rtsp://me@cam/b']);
    expect(trying.streams?.cameras).toHaveLength(2);
  });
});

it('a search that is begun anew leaves the one before', async () => {
  const answers: ((found: Found) => void)[] = [];
  const finding = new Finding({ discover: () => new Promise((done) => answers.push(done)) });
  const none: Found = { devices: [], microphones: [], network: [] };
  const [first, second] = [finding.look(), finding.look('10.0.0.1')];
  answers[0]?.({ ...none, microphones: [{ source: 'late', name: '' }] });
  await first;
  expect([finding.found, finding.busy]).toEqual([null, true]);
  answers[1]?.(none);
  await second;
  expect([finding.found, finding.busy]).toEqual([none, false]);
});
