// A new camera: its short name, its address, and its way from the form to the box and back.
import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api';
import { words as t } from '../en-settings';
import { Adding, type AddingPorts } from './adding.svelte';
import {
  NO_SOURCE,
  apart,
  cameraBody,
  cameraProblems,
  idOf,
  kindOf,
  sourceOf,
  sourceProblems,
} from './new-camera';

const network = (place: string, user = '', password = '') => ({ ...NO_SOURCE, place, user, password });

describe('a short name', () => {
  it.each([
    ['Front door', 'front-door'],
    ['  Vordertür!  ', 'vordertur'],
    ['Straße 5', 'strasse-5'],
    ['门', 'camera'],
    ['_x', 'x'],
    ['a'.repeat(60), 'a'.repeat(28)],
  ])('of %s is %s', (name, id) => expect(idOf(name, [])).toBe(id));

  it('is one that no other camera has', () => {
    expect(idOf('Yard', ['yard', 'yard-2'])).toBe('yard-3');
  });
});

describe('a source', () => {
  it.each([
    [network('192.168.1.20'), { source: 'rtsp://192.168.1.20' }],
    [network(' rtsp://cam/a '), { source: 'rtsp://cam/a' }],
    [network('rtsp://cam/a', 'me@home:x'), { source: 'rtsp://me%40home%3Ax@cam/a' }],
    [network('cam', "o'neil", 'S3CRET'), { source: 'rtsp://o%27neil@cam', password: 'S3CRET' }],
    [network('rtsp://me:p%40s@cam/a'), { source: 'rtsp://me@cam/a', password: 'p@s' }],
    [network('rtsps://me@cam/a?b=c', '', ''), { source: 'rtsps://me@cam/a?b=c' }],
    [{ ...NO_SOURCE, kind: 'usb' as const, place: '/dev/video0' }, { source: 'v4l2:/dev/video0' }],
    [{ ...NO_SOURCE, kind: 'libcamera' as const }, { source: 'libcamera' }],
    [{ ...NO_SOURCE, kind: 'libcamera' as const, place: 'x' }, { source: 'libcamera:x' }],
    [{ ...NO_SOURCE, kind: 'file' as const, place: '/a.mp4' }, { source: 'file:/a.mp4' }],
    [{ ...NO_SOURCE, kind: 'test' as const, place: 'left over' }, { source: 'test' }],
  ])('of %o', (fields, source) => {
    expect(sourceOf(fields)).toEqual(source);
    expect(kindOf(source.source)).toBe(fields.kind);
  });

  it('may keep the password that the box has', () => {
    expect(sourceOf(network('rtsp://cam/b', 'me'), true)).toEqual({ source: 'rtsp://me:{password}@cam/b' });
    expect(sourceOf(network('rtsp://cam/b', 'me', 'new'), true).source).toBe('rtsp://me@cam/b');
  });

  it('comes apart where it was pasted whole, also with signs that encode nothing', () => {
    expect(apart(network('rtsp://me:50%@cam/a'))).toMatchObject({
      place: 'rtsp://cam/a',
      user: 'me',
      password: '50%',
    });
    expect(apart(network('rtsp://cam/a@b'))).toEqual(network('rtsp://cam/a@b'));
  });

  it('says what it lacks', () => {
    expect(sourceProblems(network('')).get('source')).toBe(t.newCamera.needsAddress);
    expect(sourceProblems(network('cam', '', 'x')).get('user')).toBe(t.newCamera.needsUser);
    expect(sourceProblems({ ...NO_SOURCE, kind: 'test' }).size).toBe(0);
    const fields = { ...network('cam'), name: '', room: '', id: 'A b', record: 'off', sound: '' };
    expect([...cameraProblems(fields, []).keys()]).toEqual(['name', 'id']);
    expect(cameraProblems({ ...fields, id: 'yard' }, ['yard']).get('id')).toBe(t.newCamera.takenId);
  });
});

describe('adding', () => {
  function setUp(more: Partial<AddingPorts> = {}) {
    const taken: string[] = ['door'];
    const answer = { diff: '', effects: [], not_followed: [], waits_for_start: [], warnings: [], tag: 'a' };
    const ports = {
      taken: () => taken,
      changed: vi.fn(async () => {}),
      wouldAdd: vi.fn(async () => ({ ...answer, effects: ['yard is added'] })),
      addCamera: vi.fn(async (camera) => (taken.push(String(camera.id)), answer)),
      change: vi.fn(async () => answer),
      removeCamera: vi.fn(async () => answer),
      ...more,
    } satisfies AddingPorts;
    return { adding: new Adding(ports), ports };
  }

  it('makes the short name until somebody writes one', () => {
    const { adding } = setUp();
    adding.edit({ name: 'Door' });
    expect(adding.fields.id).toBe('door-2');
    adding.edit({ id: 'mine' });
    adding.edit({ name: 'Yard' });
    expect(adding.fields.id).toBe('mine');
  });

  it('sends nothing that lacks something', async () => {
    const { adding, ports } = setUp();
    await adding.send();
    expect(ports.addCamera).not.toHaveBeenCalled();
    expect([...adding.problems.keys()]).toEqual(['source', 'name', 'id']);
    adding.edit({ place: 'cam' });
    expect([...adding.problems.keys()]).toEqual(['name', 'id']);
  });

  it('adds, changes what was wrong, and takes back', async () => {
    const { adding, ports } = setUp();
    adding.edit({ name: 'Yard', place: 'rtsp://me:pw@cam/a', sound: 'source' });
    await adding.send();
    expect(ports.addCamera).toHaveBeenCalledWith({
      id: 'yard',
      name: 'Yard',
      source: 'rtsp://me@cam/a',
      password: 'pw',
      record: { mode: 'continuous' },
      audio: { source: 'source' },
    });
    expect(adding.added).toBe('yard');
    // The form is still open; what is taken out of it goes.
    adding.edit({ place: 'rtsp://cam/b', sound: '' });
    await adding.send();
    expect(ports.addCamera).toHaveBeenCalledOnce();
    expect(ports.change).toHaveBeenCalledWith(
      'yard',
      {
        name: 'Yard',
        room: null,
        source: 'rtsp://me@cam/b',
        sub_source: null,
        password: 'pw',
        record: { mode: 'continuous' },
        audio: { source: null },
      },
      '*',
      false,
    );
    await adding.takeBack();
    expect(ports.removeCamera).toHaveBeenCalledWith('yard');
    expect([adding.added, adding.fields.name]).toEqual([null, 'Yard']);
    expect(ports.changed).toHaveBeenCalledTimes(3);
  });

  it.each([
    ['usb', '/dev/video0', 'alsa:hw:1', { audio: { source: 'alsa:hw:1' } }],
    ['network', 'rtsp://cam/a', 'alsa:hw:1', { audio: { source: 'alsa:hw:1' } }],
    ['network', 'rtsp://cam/a', 'source', { audio: { source: 'source' } }],
    // It was chosen before the kind was another.
    ['usb', '/dev/video0', 'source', {}],
    ['usb', '/dev/video0', '', {}],
  ] as const)('a %s camera at %s with the sound %s', (kind, place, sound, audio) => {
    const { adding } = setUp();
    adding.edit({ kind, place, sound, name: 'Yard' });
    const { audio: is } = cameraBody(adding.fields);
    expect(is === undefined ? {} : { audio: is }).toEqual(audio);
  });

  it('says what adding it does besides, and does it when it is sent once more', async () => {
    const would = {
      diff: '',
      not_followed: [],
      waits_for_start: [],
      warnings: [],
      tag: 'a',
      effects: ['yard is added', 'recordings are there'],
    };
    const { adding, ports } = setUp({ wouldAdd: vi.fn(async () => would) });
    adding.edit({ name: 'Yard', place: 'cam' });
    await adding.send();
    expect([adding.warning, adding.added, adding.busy]).toEqual(['Recordings are there.', null, false]);
    // Another short name is another question.
    adding.edit({ id: 'other' });
    expect(adding.warning).toBe('');
    await adding.send();
    expect(ports.addCamera).not.toHaveBeenCalled();
    await adding.send();
    expect([adding.warning, adding.added]).toEqual(['', 'other']);
  });

  it('shows a refusal at its field', async () => {
    const detail = 'the config is refused:\n  camera[1].source = …: must be an address';
    const { adding } = setUp({ addCamera: () => Promise.reject(new ApiError({ status: 400, detail })) });
    adding.edit({ name: 'Yard', place: 'cam' });
    await adding.send();
    expect([adding.problems.get('source'), adding.error, adding.added]).toEqual([
      'Must be an address.',
      '',
      null,
    ]);
    const taken = new ApiError({ status: 409, detail: 'camera yard is there already' });
    const other = setUp({ addCamera: () => Promise.reject(taken) }).adding;
    other.edit({ name: 'Yard', place: 'cam' });
    await other.send();
    expect(other.error).toBe('Camera yard is there already.');
  });
});

it('where it was asked by ONVIF is written for that very host', () => {
  const fields = { ...NO_SOURCE, place: 'rtsp://192.168.1.31/main', onvif: 'http://192.168.1.31:8000/onvif' };
  expect(sourceOf(fields).onvif).toBe('http://192.168.1.31:8000/onvif');
  expect(sourceOf({ ...fields, place: '192.168.1.32/main' }).onvif).toBeUndefined();
  expect(sourceOf({ ...fields, kind: 'usb', place: '/dev/video0' })).toEqual({ source: 'v4l2:/dev/video0' });
  const six = { ...fields, place: 'rtsp://[fd00::7]:554/a', onvif: 'http://[fd00::7]/onvif' };
  expect(sourceOf(six).onvif).toBe('http://[fd00::7]/onvif');
});
