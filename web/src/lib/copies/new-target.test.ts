// The form of a place for copies: what it becomes, and what it lacks.
import { describe, expect, it } from 'vitest';
import { NEW_TARGET, type NewTarget, targetBody, targetProblems } from './new-target';
import { NO_ANSWERS } from './presets';

const whole = (more: Partial<NewTarget> = {}): NewTarget => ({
  ...NEW_TARGET,
  answers: { ...NO_ANSWERS, region: 'eu-central-1' },
  bucket: 'perch',
  access: 'AK',
  secret: 'SK',
  ...more,
});

describe('the form of a place for copies', () => {
  it('encrypts for a key that was proven or is one, and for nothing else', () => {
    const recipient = `age1${'q'.repeat(58)}`;
    const key = (more: Partial<NewTarget>) => targetProblems(whole(more)).get('key') ?? '';
    expect(key({ encryption: 'new' })).toMatch(/Make the key first/);
    expect(key({ encryption: 'new', recipient })).toMatch(/Show first/);
    expect(key({ encryption: 'new', recipient, isKeyProven: true })).toBe('');
    expect(key({ encryption: 'own', recipient: 'AGE-SECRET-KEY-1' })).toMatch(/begins with age1/);
    const own = whole({ encryption: 'own', recipient: ` ${recipient} `, opaque: true });
    expect(targetBody(own)).toMatchObject({ encrypt_to: [recipient], opaque: true });
    expect(targetBody({ ...own, encryption: 'none' })).not.toHaveProperty('encrypt_to');
    expect(targetBody({ ...own, encryption: 'none' })).not.toHaveProperty('opaque');
  });

  it('becomes what the box takes, without what was left out', () => {
    expect(targetBody(whole())).toEqual({
      endpoint: 'https://s3.eu-central-1.amazonaws.com',
      region: 'eu-central-1',
      bucket: 'perch',
      access_key: 'AK',
      secret_key: 'SK',
      what: 'events',
    });
    const more = whole({
      prefix: '/home/',
      mbit: '1,5',
      gigabytes: '20',
    });
    expect(targetBody(more)).toMatchObject({
      prefix: 'home',
      max_bytes_per_s: 187_500,
      monthly_bytes: 20_000_000_000,
    });
  });

  it.each<[Partial<NewTarget>, string[]]>([
    [{}, []],
    [{ answers: NO_ANSWERS, bucket: 'a', access: ' ', secret: '' }, ['region', 'bucket', 'access', 'secret']],
    [{ mbit: '-1', gigabytes: 'much' }, ['mbit', 'gigabytes']],
    [{ store: 'garage' }, ['endpoint']],
  ])('%j lacks %j', (given, lacks) => {
    expect([...targetProblems(whole(given)).keys()]).toEqual(lacks);
  });
});
