// The form of settings: drafts, what the box says to them, saving, being overtaken, and the way back.
import { describe, expect, it, vi } from 'vitest';
import { ApiError, Unreachable } from '../api';
import { words as t } from '../en-settings';
import { ManualClock, settle } from '../testing/manual-clock';
import type { SettingsSchema } from '../types';
import { SettingsForm } from './form.svelte';
import type { Done, SettingsPorts } from './ports';
import { patchOf, valueAt } from './tree';

const setting = (key: string, type: 'whole' | 'text' | 'flag', value: unknown, more = {}) => ({
  key,
  type,
  default: value,
  sentence: '',
  at_start: false,
  ...more,
});
const schema: SettingsSchema = {
  settings: [
    setting('box.name', 'text', 'Perch', { min: 1, max: 64 }),
    setting('recording.max_days', 'whole', 30, { min: 0, max: 36500, unit: 'days' }),
    setting('http.listen', 'text', '0.0.0.0:8443', { at_start: true, set_by: 'PERCH_HTTP_LISTEN' }),
    setting('camera[].name', 'text', 'a'),
    setting('camera[].motion.enabled', 'flag', true),
  ],
  locked: null,
};
const done = (tag: string, more = {}): Done => ({
  diff: '',
  effects: [],
  not_followed: [],
  waits_for_start: [],
  warnings: [],
  tag,
  ...more,
});
const refusal = (status: number, detail: string) => new ApiError({ status, detail });

function setUp(camera: string | null = null, more: Partial<SettingsPorts> = {}) {
  const file = { name: 'Shop', days: 14 };
  const clock = new ManualClock();
  const change = vi.fn<SettingsPorts['change']>(async (_, patch, __, dry) => {
    const days = valueAt(patch, 'recording.max_days');
    if (!dry && typeof days === 'number') file.days = days;
    return done('b');
  });
  const read = async () => ({
    values: {
      box: { name: file.name },
      recording: { max_days: file.days },
      http: { listen: '[::]:1' },
      camera: [
        { id: 'door', name: 'Door', motion: { enabled: true } },
        { id: 'yard', name: 'Yard', motion: { enabled: true } },
      ],
    },
    tag: `${file.name}${file.days}`,
  });
  const restore = vi.fn<SettingsPorts['restore']>(async () => ((file.days = 14), done('c')));
  const versions = async () => [9, 8, 7].map((number) => ({ number, at: '', by: 'anna' }));
  const rest = {
    addCamera: vi.fn(),
    wouldAdd: vi.fn(),
    removeCamera: vi.fn(),
    version: vi.fn(),
    kept: vi.fn(),
    controls: vi.fn(),
  };
  const ports: SettingsPorts = {
    read,
    schema: async () => schema,
    change,
    versions,
    restore,
    ...rest,
    ...more,
  };
  return { form: new SettingsForm(camera, ports, clock), file, clock, change, restore };
}

it('values are found by keys, and patches made of them', () => {
  expect(
    patchOf([
      ['a.b', 1],
      ['a.c.d', null],
      ['e', [2]],
    ]),
  ).toEqual({ a: { b: 1, c: { d: null } }, e: [2] });
  expect([valueAt({ a: { b: 0 } }, 'a.b'), valueAt({ a: 1 }, 'a.b'), valueAt({}, 'x')]).toEqual([
    0,
    null,
    null,
  ]);
});

describe('a draft', () => {
  it('is asked about once nobody types any more, and gone where it says what is so', async () => {
    const { form, clock, change } = setUp();
    await form.load();
    expect(form.field('recording.max_days')).toMatchObject({
      text: '14',
      usual: '30 days',
      isChanged: false,
    });
    form.type('recording.max_days', '1');
    form.type('recording.max_days', '7');
    expect(form.isDirty && form.canSave).toBe(true);
    await clock.advance(399);
    expect(change).not.toHaveBeenCalled();
    await clock.advance(1);
    expect(change.mock.calls).toEqual([[null, { recording: { max_days: 7 } }, 'Shop14', true]]);
    expect(form.outlook?.tag).toBe('b');
    form.type('recording.max_days', '14');
    expect([form.isDirty, form.outlook, clock.waiting]).toEqual([false, null, 0]);
  });

  it('that cannot be understood is never sent', async () => {
    const { form, clock, change } = setUp();
    await form.load();
    form.type('recording.max_days', 'x');
    expect([form.canSave, form.field('recording.max_days')?.problem]).toEqual([false, t.notANumber]);
    await clock.advance(1000);
    expect(change).not.toHaveBeenCalled();
    form.discard();
    expect(form.field('recording.max_days')).toMatchObject({ text: '14', problem: '' });
  });

  it('may go back to the default', async () => {
    const { form } = setUp();
    await form.load();
    form.set('recording.max_days', null);
    expect(form.field('recording.max_days')).toMatchObject({
      text: '30',
      value: 30,
      usual: '',
      isChanged: true,
    });
  });

  it('is refused at its field, and what is about no field above', async () => {
    const detail = 'the config is refused:\n  recording.max_days = 7: must be 8\n  camera[0].name: is odd';
    const { form, clock } = setUp(null, { change: () => Promise.reject(refusal(400, detail)) });
    await form.load();
    form.type('recording.max_days', '7');
    await clock.advance(400);
    expect(form.field('recording.max_days')?.problem).toBe('Must be 8.');
    expect([form.refused.rest, form.canSave]).toEqual([['Camera[0].name: is odd.'], false]);
    form.type('recording.max_days', '8');
    expect(form.canSave).toBe(true);
  });

  it('may be saved though the box was out of reach when it was asked', async () => {
    const { form, clock } = setUp(null, { change: () => Promise.reject(new Unreachable()) });
    await form.load();
    form.type('recording.max_days', '7');
    await clock.advance(400);
    expect([form.refused.rest.length, form.canSave]).toEqual([1, true]);
  });
});

describe('saving', () => {
  it('is undone by one tap', async () => {
    const { form, file, restore } = setUp();
    await form.load();
    form.type('recording.max_days', '7');
    await form.save();
    expect([file.days, form.isDirty, form.done]).toEqual([7, false, { words: t.saved, undo: 8 }]);
    await form.undo();
    expect(restore).toHaveBeenCalledWith(8, 'b');
    expect([form.done, form.field('recording.max_days')?.text]).toEqual([
      { words: t.undone, undo: null },
      '14',
    ]);
  });

  it('says what waits for the next start', async () => {
    const { form } = setUp(null, { change: async () => done('b', { waits_for_start: ['http.listen'] }) });
    await form.load();
    form.type('box.name', 'Hall');
    await form.save();
    expect(form.done?.words).toBe(t.savedForStart);
  });

  it('says what does not follow yet although it is saved', async () => {
    const behind = ['http.hostnames: they are not in the certificate yet'];
    const { form } = setUp(null, { change: async () => done('b', { not_followed: behind }) });
    await form.load();
    form.type('box.name', 'Hall');
    await form.save();
    expect(form.done?.words).toContain('Http.hostnames: they are not in the certificate yet.');
  });

  it('keeps the draft and shows both where somebody else was faster', async () => {
    const { form, file, change, clock } = setUp();
    await form.load();
    form.type('recording.max_days', '7');
    form.type('box.name', 'Hall');
    Object.assign(file, { name: 'Hall', days: 9 });
    change.mockRejectedValueOnce(refusal(412, 'the settings were changed since'));
    await form.save();
    expect(form.field('recording.max_days')).toMatchObject({ text: '7', theirs: '9 days', isChanged: true });
    // Both wanted the same.
    expect(form.field('box.name')).toMatchObject({ text: 'Hall', theirs: '', isChanged: false });
    expect([form.wasOvertaken, form.canSave]).toEqual([true, true]);
    await clock.advance(400);
    expect(change.mock.lastCall).toEqual([null, { recording: { max_days: 7 } }, 'Hall9', true]);
    await form.save();
    expect(change.mock.lastCall).toEqual([null, { recording: { max_days: 7 } }, 'Hall9', false]);
    expect([form.wasOvertaken, file.days]).toEqual([false, 7]);
  });

  it('is not undone where something was changed since', async () => {
    const { form, restore } = setUp();
    await form.load();
    form.type('recording.max_days', '7');
    await form.save();
    restore.mockRejectedValueOnce(refusal(412, 'stale'));
    await form.undo();
    expect(form.done).toEqual({ words: t.undoStale, undo: null });
  });
});

describe('a camera’s form', () => {
  it('knows only its camera', async () => {
    const { form, change, clock } = setUp('yard');
    await form.load();
    expect([form.field('name')?.text, form.field('box.name')]).toEqual(['Yard', null]);
    form.set('motion.enabled', false);
    await clock.advance(400);
    expect(change.mock.lastCall).toEqual(['yard', { motion: { enabled: false } }, 'Shop14', true]);
  });

  it('takes refusals of its camera alone to its fields', async () => {
    const detail = 'the config is refused:\n  camera[1].name = : must be a text\n  camera[0].name: is odd';
    const { form } = setUp('yard', { change: () => Promise.reject(refusal(400, detail)) });
    await form.load();
    form.type('name', 'x');
    await form.save();
    expect(form.field('name')?.problem).toBe('Must be a text.');
    expect(form.refused.rest).toEqual(['Camera[0].name: is odd.']);
  });

  it('says that it is gone', async () => {
    const { form } = setUp('cellar');
    await form.load();
    expect([form.isGone, form.error]).toEqual([true, '']);
  });
});

it('nothing can be typed where it is locked or set from outside', async () => {
  const open = setUp();
  await open.form.load();
  expect(open.form.field('http.listen')?.lock).toContain('PERCH_HTTP_LISTEN');
  expect(open.form.field('box.name')?.lock).toBe('');
  const shut = setUp(null, { schema: async () => ({ ...schema, locked: 'the box may not write' }) });
  await shut.form.load();
  expect(shut.form.field('box.name')?.lock).toBe('the box may not write');
  shut.form.type('box.name', 'Hall');
  expect(shut.form.canSave).toBe(false);
  const lost = setUp(null, { schema: () => Promise.reject(new Unreachable()) });
  await lost.form.load();
  expect(lost.form.error).not.toBe('');
  await settle();
});
